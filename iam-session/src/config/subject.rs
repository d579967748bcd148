//! `expect_subject`: which claim must say what of whoever enrols. Pure; touches nothing.

use crate::scope::ScopeSet;

pub(super) const SUBJECT: &str =
    "\"CLAIM=TEXT\" in which %u is the login name and %% a percent sign, e.g. \"preferred_username=%u\"";

/// A claim of the userinfo endpoint and what it must equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedSubject {
    claim: String,
    template: String,
}

impl ExpectedSubject {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (claim, template) = text.split_once('=')?;
        let legal = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let clean = legal(claim) && !template.is_empty() && !template.contains(char::is_control);
        let whole = clean && expand(template, "").is_some();
        whole.then(|| Self { claim: claim.to_owned(), template: template.to_owned() })
    }

    /// The claim's name.
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// What it must equal for `user`, the login name.
    pub fn value(&self, user: &str) -> String {
        expand(&self.template, user).unwrap_or_default()
    }

    /// The scopes that have the userinfo endpoint tell the claim (OpenID Connect Core §5.4). Which one gives a claim
    /// that is no standard one only the issuer knows.
    pub fn scope(&self) -> Option<ScopeSet> {
        let scope = match self.claim.as_str() {
            "sub" => "openid",
            "email" | "email_verified" => "openid email",
            "phone_number" | "phone_number_verified" => "openid phone",
            "name" | "family_name" | "given_name" | "middle_name" | "nickname" | "preferred_username"
            | "profile" | "picture" | "website" | "gender" | "birthdate" | "zoneinfo" | "locale" => {
                "openid profile"
            }
            _ => return None,
        };
        Some(ScopeSet::parse(scope))
    }

    /// What an access token for the userinfo endpoint carries: as little of `granted` as shows the claim.
    pub fn scope_of(&self, granted: &ScopeSet) -> ScopeSet {
        let wanted = self.scope().unwrap_or_else(|| granted.clone());
        wanted.iter().filter(|scope| granted.allows(scope) && *scope != "offline_access").collect()
    }
}

fn expand(template: &str, user: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next()? {
                'u' => text.push_str(user),
                '%' => text.push('%'),
                _ => return None,
            },
            c => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(text: &str) -> ExpectedSubject {
        ExpectedSubject::parse(text).unwrap()
    }

    #[test]
    fn the_login_name_stands_where_the_site_puts_it() {
        for (text, claim, value) in [
            ("preferred_username=%u", "preferred_username", "alice"),
            ("email=%u@example.org", "email", "alice@example.org"),
            ("sub=100%%=%u", "sub", "100%=alice"),
        ] {
            let subject = expected(text);
            assert_eq!((subject.claim(), subject.value("alice").as_str()), (claim, value));
        }
        assert_eq!(expected("sub=%u").value("%u%%"), "%u%%", "a login name is no template");
    }

    #[test]
    fn what_compares_nothing_is_a_mistake() {
        for text in ["", "sub", "=%u", "sub=", "sub=%", "sub=%x", "a b=%u", "sub=\n%u", "é=%u"] {
            assert_eq!(ExpectedSubject::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_access_token_carries_no_more_than_shows_the_claim() {
        let granted = ScopeSet::parse("openid profile email offline_access storage.modify:/ entitlements");
        let scope = |text| expected(text).scope_of(&granted).to_string();
        assert_eq!(scope("preferred_username=%u"), "openid profile");
        assert_eq!(scope("sub=%u"), "openid");
        assert_eq!(scope("phone_number=%u"), "openid");
        assert_eq!(scope("entitlement=%u"), "email entitlements openid profile storage.modify:/");
    }
}
