//! `expect_subject`: which claim must say what of whoever enrols. Pure; touches nothing.

use crate::scope::ScopeSet;

pub(super) const SUBJECT: &str = "\"CLAIM=TEXT\" in which %u is the login name, %n the name without its domain, %d the domain, \
     %f NAME@DOMAIN, %Lu and so on the same in lower case, and %% a percent sign, e.g. \"preferred_username=%u\"";

/// A claim of the userinfo endpoint and what it must equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedSubject {
    claim: String,
    template: Vec<Part>,
}

/// A piece of the text that the claim must equal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(NamePart, LetterCase),
}

/// What of a login name. `%u`, `%d` and `%f` are SSSD's letters (`override_homedir` in sssd.conf(5)), but that its `%u`
/// is our `%n`: as `%u` it would let users of two domains be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamePart {
    Whole,
    Short,
    Domain,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetterCase {
    AsItIs,
    Lower,
}

/// What a claim must equal for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedValue {
    /// The value of the claim.
    pub text: String,
    /// The names that it was made of, besides the login name itself. None of them may be another user's of this host.
    pub other_names: Vec<String>,
}

/// Why nothing is expected of a user, and nobody can be this user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoExpectedValue {
    /// `%d` or `%f` of a name without a domain.
    #[error("the login name '{0}' has no domain")]
    NoDomain(String),
    /// More than one separator, or nothing beside it.
    #[error("the login name '{0}' has no clear domain")]
    Unclear(String),
    /// `%n` takes the domain away, and the site has not said that it may.
    #[error("the domain '{0}' is not one of subject_domains")]
    OtherDomain(String),
}

impl ExpectedSubject {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (claim, template) = text.split_once('=')?;
        let legal = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let clean = legal(claim) && !template.is_empty() && !template.contains(char::is_control);
        let template = parts(template).filter(|_| clean)?;
        Some(Self { claim: claim.to_owned(), template })
    }

    /// The claim's name.
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// What it must equal for `user`, the login name. Where only the name without its domain counts, the domain must be
    /// one of `domains`.
    ///
    /// # Errors
    /// `NoExpectedValue`: the login name has not what the template takes of it.
    pub fn value(&self, user: &str, domains: &[String]) -> Result<ExpectedValue, NoExpectedValue> {
        let mut value = ExpectedValue { text: String::new(), other_names: Vec::new() };
        for part in &self.template {
            let (part, letters) = match part {
                Part::Text(text) => {
                    value.text.push_str(text);
                    continue;
                }
                Part::Name(part, letters) => (*part, *letters),
            };
            let name = in_letters(part.of(user, domains)?, letters);
            value.text.push_str(&name);
            if part != NamePart::Domain && name != user && !value.other_names.contains(&name) {
                value.other_names.push(name);
            }
        }
        Ok(value)
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

impl NamePart {
    fn of(self, user: &str, domains: &[String]) -> Result<String, NoExpectedValue> {
        if self == Self::Whole {
            return Ok(user.to_owned());
        }
        let (short, domain) = split(user)?;
        let needed = || domain.ok_or_else(|| NoExpectedValue::NoDomain(user.to_owned()));
        // Names of domains have no letter case, neither in DNS nor in NetBIOS.
        let is_listed = |domain: &str| domains.iter().any(|one| one.eq_ignore_ascii_case(domain));
        match (self, domain) {
            (Self::Short, Some(other)) if !is_listed(other) => {
                Err(NoExpectedValue::OtherDomain(other.to_owned()))
            }
            (Self::Domain, _) => needed().map(str::to_owned),
            (Self::Full, _) => needed().map(|domain| format!("{short}@{domain}")),
            (Self::Whole | Self::Short, _) => Ok(short.to_owned()),
        }
    }
}

/// Name and domain of `DOMAIN\NAME` or `NAME@DOMAIN`, the forms of SSSD's `full_name_format` and winbind's default.
fn split(user: &str) -> Result<(&str, Option<&str>), NoExpectedValue> {
    let parted = user.split_once('\\').map(|(domain, name)| (name, domain)).or_else(|| user.split_once('@'));
    let Some((name, domain)) = parted else { return Ok((user, None)) };
    match [name, domain].iter().all(|part| !part.is_empty() && !part.contains(['@', '\\'])) {
        true => Ok((name, Some(domain))),
        false => Err(NoExpectedValue::Unclear(user.to_owned())),
    }
}

/// ASCII alone: what else becomes an ASCII letter in lower case, as U+212A becomes 'k', is another user's.
fn in_letters(name: String, letters: LetterCase) -> String {
    match letters {
        LetterCase::AsItIs => name,
        LetterCase::Lower => name.to_ascii_lowercase(),
    }
}

fn parts(template: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        let (letter, letters) = match c {
            '%' => match chars.next()? {
                'L' => (chars.next()?, LetterCase::Lower),
                letter => (letter, LetterCase::AsItIs),
            },
            c => {
                text.push(c);
                continue;
            }
        };
        let part = match (letter, letters) {
            ('u', _) => NamePart::Whole,
            ('n', _) => NamePart::Short,
            ('d', _) => NamePart::Domain,
            ('f', _) => NamePart::Full,
            ('%', LetterCase::AsItIs) => {
                text.push('%');
                continue;
            }
            _ => return None,
        };
        parts.push(Part::Text(std::mem::take(&mut text)));
        parts.push(Part::Name(part, letters));
    }
    parts.push(Part::Text(text));
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(text: &str) -> ExpectedSubject {
        ExpectedSubject::parse(text).unwrap()
    }

    #[test]
    fn the_login_name_stands_where_the_site_puts_it() {
        for (text, claim, value_of) in [
            ("preferred_username=%u", "preferred_username", "alice"),
            ("email=%u@example.org", "email", "alice@example.org"),
            ("sub=100%%=%u", "sub", "100%=alice"),
        ] {
            let subject = expected(text);
            assert_eq!((subject.claim(), value(text, "alice", &[]).as_str()), (claim, value_of));
        }
        assert_eq!(value("sub=%u", "%u%%", &[]), "%u%%", "a login name is no template");
    }

    fn value(text: &str, user: &str, domains: &[&str]) -> String {
        let domains: Vec<String> = domains.iter().map(|&domain| domain.to_owned()).collect();
        match expected(text).value(user, &domains) {
            Ok(value) => value.text,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_name_of_a_domain_comes_apart() {
        for (template, user, is) in [
            ("c=%u", "alice@ad.example", "alice@ad.example"),
            ("c=%u", "ALICE", "ALICE"),
            ("c=%Lu", "ALICE", "alice"),
            ("c=%n", "alice", "alice"),
            ("c=%n", "alice@ad.example", "alice"),
            ("c=%n", "AD\\alice", "alice"),
            ("c=%n", "alice@AD.Example", "alice"),
            ("c=%Ln", "AD\\ALICE", "alice"),
            ("c=%n@x.example", "AD\\alice", "alice@x.example"),
            ("c=%f", "alice@ad.example", "alice@ad.example"),
            ("c=%Lf", "AD\\Alice", "alice@ad"),
            ("c=%d", "alice@ad.example", "ad.example"),
            ("c=%Ld:%Ln", "AD\\Alice", "ad:alice"),
        ] {
            assert_eq!(value(template, user, &["ad.example", "AD"]), is, "{template} of {user}");
        }
    }

    #[test]
    fn users_of_two_domains_are_one_only_where_the_site_lists_both() {
        let domains = ["ad.example"];
        assert_eq!(value("c=%n", "alice@ad.example", &domains), "alice");
        for stranger in ["alice@child.ad.example", "OTHER\\alice", "alice@xad.example"] {
            assert!(
                value("c=%n", stranger, &domains).contains("is not one of subject_domains"),
                "{stranger}"
            );
            assert!(value("c=%n", stranger, &[]).contains("is not one of subject_domains"), "{stranger}");
            assert_ne!(value("c=%f", stranger, &domains), value("c=%f", "alice@ad.example", &domains));
        }
    }

    #[test]
    fn a_name_that_comes_apart_in_two_ways_is_nobodys() {
        let domains = ["ad.example", "AD", "x"];
        for user in
            ["alice@x@ad.example", "AD\\alice@ad.example", "AD\\x\\alice", "@ad.example", "alice@", "AD\\"]
        {
            for template in ["c=%n", "c=%f", "c=%d"] {
                assert!(value(template, user, &domains).contains("no clear domain"), "{template} of {user}");
            }
        }
        assert_eq!(value("c=%f", "alice", &domains), "the login name 'alice' has no domain");
        assert_eq!(value("c=%d", "alice", &domains), "the login name 'alice' has no domain");
    }

    #[test]
    fn what_is_no_ascii_letter_stays_what_it_is() {
        assert_eq!(value("c=%Lu", "\u{212a}im", &[]), "\u{212a}im", "the sign for Kelvin is no k");
        assert_eq!(value("c=%Lu", "\u{c9}VE", &[]), "\u{c9}ve");
    }

    #[test]
    fn each_other_name_is_told_for_it_may_be_another_users() {
        let domains = ["AD".to_owned()];
        let names = |text, user| expected(text).value(user, &domains).unwrap().other_names;
        assert_eq!(names("c=%u", "ALICE"), [""; 0]);
        assert_eq!(names("c=%Lu", "ALICE"), ["alice"]);
        assert_eq!(names("c=%n", "AD\\alice"), ["alice"]);
        assert_eq!(names("c=%f/%n/%Ln/%d", "AD\\Bob"), ["Bob@AD", "Bob", "bob"]);
        assert_eq!(names("c=%d", "AD\\alice"), [""; 0]);
    }

    #[test]
    fn what_compares_nothing_is_a_mistake() {
        let texts = [
            "", "sub", "=%u", "sub=", "sub=%", "sub=%x", "a b=%u", "sub=\n%u", "é=%u", "c=%L", "c=%L%",
            "c=%LLu",
        ];
        for text in texts {
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
