//! The configuration of site, providers and user, as a mint needs it. Reads configuration files.
//!
//! It is read for each job, so a change holds from the next job on. A client is not asked about policy: a user could
//! otherwise widen what the site narrows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::gethostname;

use crate::config::{
    ConfigError, ExportChoice, Linger, Provider, Providers, Revocation, ScopeTable, Site, StoreLocks, User,
    effective_session_scope, issuer_url,
};
use crate::host::names;
use crate::lifeline_message::Message;
use crate::paths;
use crate::protocol::{Failure, Target};
use crate::runtime::accounts::AccountEntry;
use crate::scope::ScopeSet;

/// For the names of groups: at a login the agent waits 200 ms for the look that asks.
const PATIENCE: Duration = Duration::from_millis(100);
/// INDIGO IAM takes 4 to 256 characters.
const MAX_CLIENT_NAME: usize = 256;

pub(crate) struct Policy {
    site: Site,
    providers: Providers,
    user: User,
}

impl Policy {
    /// Reads it all. A mistake in any file stops the mint: half a policy may be a wider one.
    pub(crate) fn load(message: &Message) -> Result<Self, Failure> {
        let load = || -> Result<Self, ConfigError> {
            let directory = Path::new(paths::SITE_CONFIG);
            let (site, providers) = (Site::load(directory)?, Providers::load(directory)?);
            let store = site.store_dir.expand(&message.user, message.uid, &message.home);
            // A site keeps the store elsewhere because homes cannot be read at login, or hang.
            let user =
                if store.starts_with(&message.home) { User::load(&message.home)? } else { User::default() };
            Ok(Self { site, providers, user })
        };
        load().map_err(|error| {
            Failure::failed(error.to_string()).advise("mend that line, or ask the administrator to")
        })
    }

    pub(crate) fn store_dir(&self, message: &Message) -> PathBuf {
        self.site.store_dir.expand(&message.user, message.uid, &message.home)
    }

    /// What the site says of an issuer's tokens; of one that has moved, what it says of the one that it is now.
    fn rules_for(&self, issuer: &str) -> Option<&Provider> {
        self.providers.by_issuer(issuer).or_else(|| self.providers.successor_of(issuer))
    }

    /// Whether the site says that one issuer has become the other. A user's own files say nothing about that.
    pub(crate) fn has_moved(&self, from: &str, to: &str) -> bool {
        self.providers.of_issuer(to).any(|provider| provider.was(from))
    }

    pub(crate) fn store_locks(&self) -> StoreLocks {
        self.site.store_locks
    }

    /// What of `granted` the session token of `issuer` may carry; `openid` if nothing is left.
    pub(crate) fn session_scope(&self, issuer: &str, granted: &ScopeSet) -> ScopeSet {
        let provider = self.rules_for(issuer);
        let granted = granted.union(&self.scope_sets(issuer).expand(granted));
        let widest = provider.and_then(|provider| provider.session_scope.as_ref());
        let scope = effective_session_scope(&self.site, widest, &self.user).intersect(&granted);
        if scope.is_empty() { ScopeSet::parse("openid") } else { scope }
    }

    /// What `issuer` is asked for, for a token of `scope` for `audience`.
    pub(crate) fn asking(&self, issuer: &str, scope: &ScopeSet, audience: &str) -> (ScopeSet, String) {
        match self.rules_for(issuer) {
            Some(provider) => provider.asking(scope, audience),
            None => (scope.clone(), audience.to_owned()),
        }
    }

    /// What the issuer of an account is to be asked for a session token.
    pub(crate) fn session_request(&self, entry: &AccountEntry) -> String {
        let (scope, audience) = self.asking(&entry.issuer, &entry.session_scope, "");
        format!("{scope} for '{audience}'")
    }

    /// Which scopes of `issuer` stand for others.
    pub(crate) fn scope_sets(&self, issuer: &str) -> ScopeTable {
        self.rules_for(issuer).map(|provider| provider.scope_sets.clone()).unwrap_or_default()
    }

    /// What `issuer` ends with a refresh token, as far as the site has said.
    pub(crate) fn revocation(&self, issuer: &str) -> Revocation {
        self.rules_for(issuer).map_or_else(Revocation::default, |provider| provider.revocation)
    }

    /// Whether the user's logins set the variable of the token file.
    pub(crate) fn export(&self) -> ExportChoice {
        self.user.export
    }

    pub(crate) fn allows(&self, issuer: &str) -> bool {
        self.site.allows(issuer)
    }

    /// How an enrolment gets to its issuer: by the site's file or, where that names no such issuer, by the user's own.
    pub(crate) fn provider(&self, message: &Message, target: &Target) -> Result<Provider, Failure> {
        self.has_not_moved(&target.issuer)?;
        let own = match self.providers.by_issuer(&target.issuer) {
            Some(_) => Providers::default(),
            None => Providers::default().with_those_of(&message.home)?,
        };
        let listed = self.providers.by_issuer(&target.issuer).or(own.by_issuer(&target.issuer)).cloned();
        let unlisted = || issuer_url(&target.issuer).map(|issuer| Provider::unlisted(&issuer, ""));
        let mut provider = listed.or_else(unlisted).ok_or_else(|| {
            Failure::usage(format!("'{}' is no issuer's URL", target.issuer)).advise("name an https:// URL")
        })?;
        if !self.allows(&provider.issuer) {
            return Err(not_allowed(&provider.issuer));
        }
        let ca_dir = target.ca_dir.clone().filter(|directory| Path::new(directory).is_absolute());
        provider.transport.ca_dir = provider.transport.ca_dir.or(ca_dir);
        Ok(provider)
    }

    /// An issuer that has moved may answer still, and stays allowed for the accounts of before. What the site says of who
    /// may enrol it says of the new one.
    fn has_not_moved(&self, issuer: &str) -> Result<(), Failure> {
        match self.providers.successor_of(issuer).filter(|_| self.providers.by_issuer(issuer).is_none()) {
            Some(new) => Err(Failure::refused(format!("{issuer} has moved to {}", new.issuer))
                .advise(format!("enrol there: 'iam-session enroll {}'", new.alias))),
            None => Ok(()),
        }
    }

    /// What a consent page calls a client of `user`'s. A site's name is short; a user's may be as long as a directory likes.
    pub(crate) fn client_name(&self, user: &str) -> String {
        let host = || gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let site = self.site.site.clone().unwrap_or_else(host);
        format!("iam-session:{site}:{user}").chars().take(MAX_CLIENT_NAME).collect()
    }

    /// The provider of `issuer` that says who may enrol, if one does.
    pub(crate) fn expecting(&self, issuer: &str) -> Option<&Provider> {
        self.providers.of_issuer(issuer).find(|provider| provider.expect_subject.is_some())
    }

    /// Whether the site names a provider that this user enrols with: for everybody, or for a group.
    pub(crate) fn invites(&self) -> bool {
        let is_member = |groups: &[String]| names::is_in_one_of(groups, PATIENCE).unwrap_or(false);
        self.site.default_provider.is_some()
            || self.providers.allowed(&self.site).iter().any(|provider| is_member(&provider.groups))
    }

    /// The largest token file that is written.
    pub(crate) fn max_token_file(&self) -> usize {
        self.site.max_token_file
    }

    /// Whether agents stay for what a login left running.
    pub(crate) fn linger(&self) -> Linger {
        self.site.linger.narrowed(self.user.linger)
    }

    /// The accounts to be the default one, the first that is there. `chosen` is the store's.
    pub(crate) fn preferred_accounts<'a>(&'a self, chosen: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let (configured, site) =
            (self.user.default_account.as_deref(), self.site.default_provider.as_deref());
        [configured, chosen, site].into_iter().flatten()
    }

    /// What the user's own file says of the default account: its name, and the line.
    pub(crate) fn configured_account(&self) -> Option<(&str, &str)> {
        self.user.default_account.as_deref().zip(self.user.default_account_at.as_deref())
    }
}

pub(crate) fn not_allowed(issuer: &str) -> Failure {
    Failure::refused(format!("this site does not let its users enrol with {issuer}"))
        .advise("'allowed_issuers' in the site's configuration lists those it does")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_client_is_named_for_site_and_user() {
        let site = Site { site: Some("cern.ch".into()), ..Site::default() };
        let policy = Policy { site, providers: Providers::default(), user: User::default() };
        assert_eq!(policy.client_name("alice"), "iam-session:cern.ch:alice");
        assert_eq!(policy.client_name(&"u".repeat(300)).len(), MAX_CLIENT_NAME);
    }

    #[test]
    fn nobody_enrols_anew_where_the_issuer_was() {
        let scratch = Scratch::new();
        let text = "issuer = \"https://new.example/\"\nformerly = [\"https://old.example/\"]\n";
        scratch.write("issuers.d/wlcg.toml", text);
        let providers = Providers::load(&scratch).unwrap();
        let policy = Policy { site: Site::default(), providers, user: User::default() };
        for issuer in ["https://old.example/", "https://old.example"] {
            let refused = policy.has_not_moved(issuer).unwrap_err();
            assert_eq!(refused.error, format!("{issuer} has moved to https://new.example/"));
            assert_eq!(refused.info.as_deref(), Some("enrol there: 'iam-session enroll wlcg'"));
        }
        for issuer in ["https://new.example/", "https://other.example/"] {
            policy.has_not_moved(issuer).unwrap();
        }
    }
}
