//! The options on the PAM line. Pure; touches nothing.
//!
//! A mistake never stops a login: the option keeps its default, and a line in the log says what is accepted. For an
//! option that says which users are served, the default could be wider than what was meant. Then nobody is served.

use std::ffi::{CStr, CString};
use std::fmt;
use std::time::Duration;

/// The first uid of a person on EL and Debian alike (login.defs, UID_MIN).
const MIN_UID: u32 = 1000;
/// (uid_t)-1 is no uid: setresuid(2) takes it for "leave as it is".
const NO_UID: u32 = u32::MAX;
const START_WAIT: Duration = Duration::from_millis(250);
/// What a login may be held up in all, whatever is broken.
pub(crate) const MAX_START_WAIT: Duration = Duration::from_millis(300);
/// Longer than an issuer's worst answer that is worth waiting for, shorter than anybody's patience.
const MAX_TOKEN_WAIT: Duration = Duration::from_secs(30);

/// How often hints are printed; the agent counts, the module tells it the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HintPolicy {
    /// Not at all.
    Never,
    /// At most once a day.
    Daily,
    /// At each login.
    Always,
}

/// For whom the token file's variable is set. The agent's word says how the user stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportPolicy {
    /// Not for a user who has no enrolment: programs go by the variable, and there is no token behind it.
    Enrolled,
    /// For every user who is served, as on lines that were written before there was this option.
    Always,
}

/// The settings of one PAM line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Smaller uids are not served.
    pub(crate) min_uid: u32,
    /// The PAM services that are.
    pub(crate) services: Vec<String>,
    /// The Unix groups whose members are; none named: everybody.
    pub(crate) groups: Vec<CString>,
    /// How long the agent's first line is waited for.
    pub(crate) start_wait: Duration,
    /// How long a second one is waited for.
    pub(crate) token_wait: Duration,
    /// How often hints are printed.
    pub(crate) hint: HintPolicy,
    /// For whom BEARER_TOKEN_FILE is set.
    pub(crate) export: ExportPolicy,
    /// Whether the log also says why nothing was done.
    pub(crate) debug: bool,
    /// Who is served is not known: one of the options that say so is wrong.
    pub(crate) serves_nobody: bool,
}

/// What is wrong with an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// There is no such option.
    Unknown(String),
    /// Its value cannot be had; the default stands.
    Value { option: String, accepted: &'static str },
    /// The same of an option that says who is served.
    Served { option: String, accepted: &'static str },
}

/// Every option, and what it accepts.
const ACCEPTED: [(&str, &str); 8] = [
    ("min_uid", "min_uid=N, N from 1 to 4294967294"),
    ("services", "services=NAME,NAME…"),
    ("groups", "groups=NAME,NAME…"),
    ("start_wait", "start_wait=Nms, N from 1 to 300"),
    ("token_wait", "token_wait=Ns or Nms, at most 30s"),
    ("hint", "hint=never, hint=daily or hint=always"),
    ("export", "export=enrolled or export=always"),
    ("debug", "debug"),
];

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(option) => {
                let known = ACCEPTED.map(|(name, _)| name).join(" ");
                write!(f, "unknown option '{option}' is ignored; there are: {known}")
            }
            Self::Value { option, accepted } => {
                write!(f, "option '{option}' is ignored and its default stands; accepted: {accepted}")
            }
            Self::Served { option, accepted } => {
                write!(f, "option '{option}' is wrong and nobody is served; accepted: {accepted}")
            }
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            min_uid: MIN_UID,
            services: vec!["sshd".to_owned()],
            groups: Vec::new(),
            start_wait: START_WAIT,
            token_wait: Duration::ZERO,
            hint: HintPolicy::Daily,
            export: ExportPolicy::Always,
            debug: false,
            serves_nobody: false,
        }
    }
}

impl Options {
    /// Reads the words of the line; the mistakes are for the log.
    pub(crate) fn parse(args: &[&CStr]) -> (Self, Vec<Mistake>) {
        let mut options = Self::default();
        let mistakes = args.iter().filter_map(|arg| options.take(&arg.to_string_lossy()).err()).collect();
        (options, mistakes)
    }

    fn take(&mut self, option: &str) -> Result<(), Mistake> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let (_, accepted) = ACCEPTED
            .into_iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| Mistake::Unknown(option.to_owned()))?;
        if self.set(name, value).is_some() {
            return Ok(());
        }
        let option = option.to_owned();
        if ["min_uid", "services", "groups"].contains(&name) {
            self.serves_nobody = true;
            return Err(Mistake::Served { option, accepted });
        }
        Err(Mistake::Value { option, accepted })
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "min_uid" => self.min_uid = value.parse().ok().filter(|uid| (1..NO_UID).contains(uid))?,
            "services" => self.services = list(value)?.map(str::to_owned).collect(),
            "groups" => self.groups = list(value)?.map(CString::new).collect::<Result<_, _>>().ok()?,
            "start_wait" => {
                let wait = duration(value)?;
                self.start_wait = (!wait.is_zero() && wait <= MAX_START_WAIT).then_some(wait)?;
            }
            "token_wait" => self.token_wait = duration(value).filter(|wait| *wait <= MAX_TOKEN_WAIT)?,
            "hint" => self.hint = HintPolicy::named(value)?,
            "export" => self.export = ExportPolicy::named(value)?,
            "debug" => self.debug = value.is_empty().then_some(true)?,
            _ => return None,
        }
        Some(())
    }
}

impl HintPolicy {
    fn named(name: &str) -> Option<Self> {
        match name {
            "never" => Some(Self::Never),
            "daily" => Some(Self::Daily),
            "always" => Some(Self::Always),
            _ => None,
        }
    }
}

impl ExportPolicy {
    fn named(name: &str) -> Option<Self> {
        match name {
            "enrolled" => Some(Self::Enrolled),
            "always" => Some(Self::Always),
            _ => None,
        }
    }
}

/// The names between commas. An empty one makes the whole list a mistake: `groups=` must not read as "everybody"
/// by accident of a template, nor as "nobody".
fn list(value: &str) -> Option<impl Iterator<Item = &str>> {
    value.split(',').all(|name| !name.is_empty()).then(|| value.split(','))
}

/// `2s`, `250ms` or `0`; another number without a unit says nothing.
fn duration(value: &str) -> Option<Duration> {
    let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?;
    if value == "0" {
        Some(Duration::ZERO)
    } else if let Some(digits) = value.strip_suffix("ms") {
        number(digits).map(Duration::from_millis)
    } else {
        number(value.strip_suffix('s')?).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> (Options, Vec<Mistake>) {
        let words: Vec<_> = words.iter().map(|word| CString::new(*word).unwrap()).collect();
        Options::parse(&words.iter().map(CString::as_c_str).collect::<Vec<_>>())
    }

    #[test]
    fn without_options_the_defaults_stand() {
        let (options, mistakes) = parse(&[]);
        assert_eq!((options.min_uid, options.services.as_slice()), (1000, &["sshd".to_owned()][..]));
        assert_eq!((options.start_wait.as_millis(), options.token_wait.as_millis()), (250, 0));
        assert_eq!(options.export, ExportPolicy::Always);
        assert!(options.groups.is_empty() && options.hint == HintPolicy::Daily && !options.debug);
        assert!(mistakes.is_empty());
    }

    #[test]
    fn every_option_is_taken() {
        let (options, mistakes) = parse(&[
            "min_uid=500",
            "services=sshd,login",
            "groups=cms,atlas users",
            "start_wait=120ms",
            "token_wait=2s",
            "hint=never",
            "export=enrolled",
            "debug",
        ]);
        assert_eq!(mistakes, []);
        assert_eq!(options.min_uid, 500);
        assert_eq!(options.services, ["sshd", "login"]);
        assert_eq!(options.groups, [c"cms".to_owned(), c"atlas users".to_owned()]);
        assert_eq!((options.start_wait.as_millis(), options.token_wait.as_millis()), (120, 2000));
        assert_eq!((options.hint, options.export), (HintPolicy::Never, ExportPolicy::Enrolled));
        assert!(options.debug);
        assert_eq!(parse(&["export=enrolled", "export=always"]).0.export, ExportPolicy::Always);
    }

    #[test]
    fn times_are_in_seconds_or_milliseconds_and_zero_needs_no_unit() {
        for (word, milliseconds) in [
            ("token_wait=0", 0),
            ("token_wait=0s", 0),
            ("token_wait=1500ms", 1500),
            ("token_wait=30s", 30_000),
        ] {
            let (options, mistakes) = parse(&[word]);
            assert_eq!((options.token_wait.as_millis(), mistakes.len()), (milliseconds, 0), "{word}");
        }
    }

    #[test]
    fn a_bad_value_of_who_is_served_serves_nobody() {
        for word in [
            "min_uid=",
            "min_uid",
            "min_uid=0",
            "min_uid=4294967295",
            "min_uid=-1",
            "services=",
            "services=a,,b",
            "groups=",
            "groups",
        ] {
            let (options, mistakes) = parse(&[word, "services=sshd"]);
            assert_eq!(options, Options { serves_nobody: true, ..Options::default() }, "{word}");
            let name = word.split('=').next().unwrap();
            let said = mistakes[0].to_string();
            let right = format!("'{word}' is wrong and nobody is served; accepted: {name}");
            assert!(mistakes.len() == 1 && said.contains(&right), "{said}");
        }
    }

    #[test]
    fn a_bad_value_leaves_the_default_and_says_what_is_accepted() {
        for word in [
            "start_wait=250",
            "start_wait=0",
            "start_wait=301ms",
            "start_wait=1s",
            "token_wait=2",
            "token_wait=31s",
            "token_wait=-1s",
            "token_wait=+1s",
            "token_wait=s",
            "token_wait=1m",
            "token_wait=99999999999999999999s",
            "token_wait=18446744073709551615s",
            "hint=Daily",
            "hint",
            "export",
            "export=no",
            "export=Enrolled",
            "debug=1",
        ] {
            let (options, mistakes) = parse(&[word]);
            assert_eq!(options, Options::default(), "{word}");
            let name = word.split('=').next().unwrap();
            let said = mistakes[0].to_string();
            assert!(mistakes.len() == 1 && said.contains(&format!("accepted: {name}")), "{word}: {said}");
        }
    }

    #[test]
    fn an_unknown_option_is_named_and_the_others_still_count() {
        let (options, mistakes) = parse(&["min-uid=5", "use_first_pass", "debug", ""]);
        assert_eq!((options.min_uid, options.debug), (1000, true));
        assert_eq!(mistakes.len(), 3);
        assert!(
            mistakes[0].to_string().starts_with("unknown option 'min-uid=5' is ignored; there are: min_uid ")
        );
    }

    #[test]
    fn what_is_not_utf8_is_no_panic() {
        let (options, mistakes) = Options::parse(&[c"\xff\xfe=", c"services=\xff"]);
        assert_eq!(mistakes.len(), 1);
        assert_eq!(options.services, ["\u{fffd}"]);
    }

    #[test]
    fn every_option_is_in_the_man_page() {
        let page = include_str!("../../packaging/man/pam_iam.8");
        let section = page.split("\n.SH OPTIONS\n").nth(1).unwrap().split("\n.SH ").next().unwrap();
        let heads: Vec<_> =
            section.split("\n.TP\n").skip(1).filter_map(|entry| entry.lines().next()).collect();
        let options: Vec<_> = heads.iter().map(|head| head.split([' ', '=']).nth(1).unwrap()).collect();
        assert_eq!(options, ACCEPTED.map(|(name, _)| name));
    }
}
