//! Which scopes an enrolment asks for, and what came of them. Pure; touches nothing.

use crate::protocol::Failure;
use crate::scope::ScopeSet;
use crate::text::printable;

/// Asked for where neither the user nor the provider's file says: reading, and what makes a WLCG token. More is
/// for who needs it to ask for; the consent page should not frighten everybody.
const DEFAULT: &str = "wlcg wlcg.groups storage.read:/";
/// Without `openid` no subject, without `offline_access` no refresh token, so no session (OpenID Connect Core
/// §3.1.2.1 and §11).
const ALWAYS: &str = "openid offline_access";
/// Stands for everything.
const MAX: &str = "max";

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Named with `-s`, `max` left out.
    explicit: ScopeSet,
    all: bool,
    /// The provider file's own `scope`.
    configured: Option<ScopeSet>,
    /// What else the site needs: by it the issuer says who enrols.
    needed: ScopeSet,
    /// Whatever is named: [`ALWAYS`], as far as the issuer knows it.
    always: ScopeSet,
}

impl Wish {
    pub(super) fn new(options: &[String], configured: Option<ScopeSet>, needed: ScopeSet) -> Self {
        let open = Self {
            explicit: ScopeSet::default(),
            all: false,
            configured,
            needed,
            always: ScopeSet::parse(ALWAYS),
        };
        open.naming(&options.iter().collect())
    }

    /// The same at an issuer that refuses `offline_access`.
    pub(super) fn without_offline_access(self) -> Self {
        Self { always: self.always.without("offline_access"), ..self }
    }

    fn naming(&self, named: &ScopeSet) -> Self {
        let all = named.iter().any(|scope| scope == MAX);
        let explicit = named.iter().filter(|scope| *scope != MAX).collect();
        Self { explicit, all, ..self.clone() }
    }

    /// Whether nobody has said yet what to ask for.
    pub(super) fn is_open(&self) -> bool {
        self.explicit.is_empty() && !self.all && self.configured.is_none()
    }

    /// What a person is asked who must decide.
    pub(super) fn question(&self, issuer: &str, offered: &ScopeSet) -> String {
        format!(
            "Which scopes of {}? Always asked for: {}.\n  Enter  {}\n  max    all of {}\n\
             Press Enter, or type max, or scopes separated by spaces:",
            printable(issuer),
            self.always,
            self.wanted(offered),
            if offered.is_empty() {
                "what it offers; it does not say what".to_owned()
            } else {
                offered.to_string()
            },
        )
    }

    /// What came of the question.
    pub(super) fn answered(&self, answer: &str) -> Result<Self, Failure> {
        if is_scope(answer) {
            return Ok(self.naming(&ScopeSet::parse(answer)));
        }
        Err(Failure::usage(format!("'{answer}' are no scopes")).advise("run it again, or name them with -s"))
    }

    /// What was named, and so is missed if it is not granted.
    pub(super) fn explicit(&self) -> &ScopeSet {
        &self.explicit
    }

    /// Whether what an issuer offers decides what is asked for.
    pub(super) fn depends_on_offer(&self) -> bool {
        self.all || self.explicit.is_empty()
    }

    /// What to ask an issuer for that advertises `offered`. `scopes_supported` is often incomplete (IAM leaves
    /// out restricted and parametric scopes), so what somebody named is asked for whether it is there or not.
    pub(super) fn wanted(&self, offered: &ScopeSet) -> ScopeSet {
        let mut wanted = self.explicit.union(&self.always).union(&self.needed);
        if self.all {
            wanted = wanted.union(offered);
        }
        let by_file = self.all || self.explicit.is_empty();
        match &self.configured {
            Some(configured) if by_file => wanted = wanted.union(configured),
            None if by_file && !self.all => {
                let default = ScopeSet::parse(DEFAULT);
                let usual: ScopeSet = default.iter().filter(|scope| offered.allows(scope)).collect();
                wanted = wanted.union(&usual);
            }
            _ => {}
        }
        wanted
    }
}

/// Scopes that were asked for and not granted, each with the likely reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shortfall(Vec<(String, &'static str)>);

const AT_REGISTRATION: &str =
    "the issuer does not give it to a new client (a restricted scope: ask its administrators)";
const AT_GRANT: &str = "the issuer's policy does not give it to you, or you left it out on the consent page";
const BY_CLIENT: &str = "the client lacks it, the issuer's policy does not give it to you, or you left it out on the \
                         consent page";
const ELSEWHERE: &str = "the refresh token was not granted it";

/// Who has not given what is missing at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grantor {
    /// The issuer's policy, or the user.
    Policy,
    /// Either of them, or the client, of which nobody has told us what it may have.
    PolicyOrClient,
    /// Whoever gave the refresh token.
    Elsewhere,
}

impl Grantor {
    fn reason(self) -> &'static str {
        match self {
            Self::Policy => AT_GRANT,
            Self::PolicyOrClient => BY_CLIENT,
            Self::Elsewhere => ELSEWHERE,
        }
    }
}

impl Shortfall {
    /// `asked` is what of `wanted` the client may ask for. `offline_access` came with the refresh token, whether the issuer
    /// lists it or not.
    pub(super) fn new(wanted: &ScopeSet, asked: &ScopeSet, granted: &ScopeSet, grantor: Grantor) -> Self {
        let dropped = granted.missing(asked).into_iter().filter(|scope| scope != "offline_access");
        let early = asked.missing(wanted).into_iter().map(|scope| (scope, AT_REGISTRATION));
        Self(early.chain(dropped.map(|scope| (scope, grantor.reason()))).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.0.iter().map(|(scope, reason)| (scope.as_str(), *reason))
    }

    pub(super) fn any_of(&self, explicit: &ScopeSet) -> bool {
        self.iter().any(|(missing, _)| explicit.iter().any(|scope| scope == missing))
    }
}

/// Whether all of it is scope-tokens (RFC 6749 §3.3).
fn is_scope(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FailureKind;

    fn wish(options: &[String], configured: Option<&str>) -> Wish {
        Wish::new(options, configured.map(ScopeSet::parse), ScopeSet::default())
    }

    fn wanted(options: &[&str], configured: Option<&str>, offered: &str) -> String {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        wish(&options, configured).wanted(&ScopeSet::parse(offered)).to_string()
    }

    const OFFERED: &str = "openid profile wlcg storage.read:/ storage.modify:/";

    #[test]
    fn by_default_what_is_usual_and_offered() {
        assert_eq!(wanted(&[], None, OFFERED), "offline_access openid storage.read:/ wlcg");
        assert_eq!(wanted(&[], None, ""), "offline_access openid");
    }

    #[test]
    fn an_issuer_that_refuses_offline_access_is_not_asked_for_it() {
        let wish = wish(&[], Some("read_user")).without_offline_access();
        assert_eq!(wish.wanted(&ScopeSet::default()).to_string(), "openid read_user");
        let question = wish.question("https://i.example/", &ScopeSet::default());
        assert!(question.contains("Always asked for: openid.\n"), "{question}");
    }

    #[test]
    fn the_providers_file_says_more() {
        assert_eq!(wanted(&[], Some("iam compute.read"), OFFERED), "compute.read iam offline_access openid");
    }

    #[test]
    fn what_the_user_names_is_asked_for_and_no_more() {
        assert_eq!(wanted(&["a b", "c"], Some("iam"), OFFERED), "a b c offline_access openid");
    }

    #[test]
    fn max_is_all_that_is_offered_or_configured() {
        assert_eq!(
            wanted(&["max", "a"], Some("iam"), OFFERED),
            "a iam offline_access openid profile storage.modify:/ storage.read:/ wlcg"
        );
        assert_eq!(wish(&["max a".into()], None).explicit(), &ScopeSet::parse("a"));
    }

    #[test]
    fn only_where_nobody_has_said_is_a_person_asked() {
        assert!(wish(&[], None).is_open());
        for (options, configured) in
            [(vec!["a".into()], None), (vec!["max".into()], None), (vec![], Some("iam"))]
        {
            assert!(!wish(&options, configured).is_open());
        }
        let open = wish(&[], None);
        let offered = ScopeSet::parse(OFFERED);
        assert_eq!(
            open.question("https://i.example/", &offered),
            "Which scopes of https://i.example/? Always asked for: offline_access openid.\n  \
             Enter  offline_access openid storage.read:/ wlcg\n  \
             max    all of openid profile storage.modify:/ storage.read:/ wlcg\n\
             Press Enter, or type max, or scopes separated by spaces:"
        );
        let answered = |text: &str| open.answered(text).map(|wish| wish.wanted(&offered).to_string());
        assert_eq!(answered("").unwrap(), "offline_access openid storage.read:/ wlcg");
        assert_eq!(
            answered("max").unwrap(),
            "offline_access openid profile storage.modify:/ storage.read:/ wlcg"
        );
        assert_eq!(answered("a:/b c").unwrap(), "a:/b c offline_access openid");
        assert_eq!(open.answered("a\"").unwrap_err().kind, FailureKind::Usage);
        assert!(
            open.answered("c").unwrap().explicit().allows("c"),
            "what was typed is missed if it is not granted"
        );
    }

    #[test]
    fn what_the_site_needs_to_know_who_it_is_is_asked_for_whatever_else() {
        let wish = |options: &[String]| Wish::new(options, None, ScopeSet::parse("openid profile"));
        assert_eq!(
            wish(&["a".into()]).wanted(&ScopeSet::default()).to_string(),
            "a offline_access openid profile"
        );
        assert!(!wish(&["a".into()]).explicit().allows("profile"));
    }

    #[test]
    fn what_is_missing_is_named_with_the_likely_reason() {
        let wanted = ScopeSet::parse("openid offline_access storage.read:/ compute.create iam");
        let registered = ScopeSet::parse("openid offline_access storage.read:/ iam");
        let shortfall = Shortfall::new(
            &wanted,
            &registered,
            &ScopeSet::parse("openid storage.read:/cms iam"),
            Grantor::Policy,
        );
        assert_eq!(
            shortfall.iter().collect::<Vec<_>>(),
            [("compute.create", AT_REGISTRATION), ("storage.read:/", AT_GRANT)]
        );
        assert!(shortfall.any_of(&ScopeSet::parse("compute.create")));
        assert!(!shortfall.any_of(&ScopeSet::parse("iam")));
    }
}
