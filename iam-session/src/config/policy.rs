//! What may go into a token file. Pure; touches nothing.

use super::{Site, User};
use crate::scope::ScopeSet;

/// The widest scope of an account's session token: its provider's `session_scope` where the provider file sets
/// one (`provider`, read at each mint), else the site's; both are the site's to write. A user's own
/// value only takes away. What was granted is intersected with this by who mints.
///
/// `offline_access`, `iam:…`, `scim:…`, personal data, writing and computing never are in a session token
/// unless the site lists them: nothing that is not listed survives an intersection.
pub fn effective_session_scope(site: &Site, provider: Option<&ScopeSet>, user: &User) -> ScopeSet {
    let widest = provider.unwrap_or(&site.session_scope);
    match &user.session_scope {
        Some(narrower) => widest.intersect(narrower),
        None => widest.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(scope: &str) -> User {
        User { session_scope: Some(ScopeSet::parse(scope)), ..User::default() }
    }

    #[test]
    fn the_sites_default_holds_unless_a_provider_has_its_own() {
        let site = Site::default();
        assert_eq!(effective_session_scope(&site, None, &User::default()), site.session_scope);
        let own = ScopeSet::parse("openid compute.create");
        assert_eq!(effective_session_scope(&site, Some(&own), &User::default()), own);
    }

    #[test]
    fn a_user_narrows_and_never_widens() {
        let narrowed = effective_session_scope(
            &Site::default(),
            None,
            &user("storage.read:/cms storage.modify:/ openid"),
        );
        assert_eq!(narrowed, ScopeSet::parse("openid storage.read:/cms"));
    }

    #[test]
    fn what_is_not_listed_never_gets_into_the_file() {
        let granted = ScopeSet::parse(
            "openid offline_access iam:admin.read scim:read email phone address storage.create:/ storage.modify:/ \
             storage.stage:/ compute.read compute.create storage.read:/ wlcg wlcg.groups",
        );
        let file = effective_session_scope(&Site::default(), None, &User::default()).intersect(&granted);
        assert_eq!(file, ScopeSet::parse("openid storage.read:/ wlcg"));
    }
}
