//! The options on our PAM line, as the module reads them (pam_iam(8)). Pure; touches nothing.
//!
//! The module shares no crate with this; a test compares the two lists.

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
/// The module's own defaults.
const SERVICE: &str = "sshd";
pub(crate) const MIN_UID: u32 = 1000;
const MAX_START_WAIT: u64 = 300; // milliseconds
const MAX_TOKEN_WAIT: u64 = 30_000; // milliseconds

/// An option that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// What is wrong, what the module does about it, and what is accepted.
    pub(crate) text: String,
    /// Whether the module goes on by serving nobody.
    pub(crate) serves_nobody: bool,
}

/// The line to put into the file of a PAM service, on a system whose people begin at `min_uid`.
pub(crate) fn line(service: &str, min_uid: u32) -> String {
    let mut line = "-session   optional     pam_iam.so token_wait=2s export=enrolled".to_owned();
    if service != SERVICE {
        line.push_str(&format!(" services={service}"));
    }
    if min_uid != MIN_UID {
        line.push_str(&format!(" min_uid={min_uid}"));
    }
    line
}

/// What is wrong with the options of a line.
pub(crate) fn mistakes(options: &[String]) -> Vec<Mistake> {
    options.iter().filter_map(|option| mistake(option)).collect()
}

/// Whether a line of these options is for this service.
pub(crate) fn serves(options: &[String], service: &str) -> bool {
    let named = options.iter().rev().find_map(|option| option.strip_prefix("services="));
    named.unwrap_or(SERVICE).split(',').any(|one| one == service)
}

fn mistake(option: &str) -> Option<Mistake> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let Some((_, accepted)) = ACCEPTED.iter().find(|(known, _)| *known == name) else {
        let known = ACCEPTED.map(|(name, _)| name).join(" ");
        let text = format!("unknown option '{option}' is ignored; accepted: {known}");
        return Some(Mistake { text, serves_nobody: false });
    };
    if is_right(name, value) {
        return None;
    }
    let serves_nobody = matches!(name, "min_uid" | "services" | "groups");
    let effect =
        if serves_nobody { "is wrong and nobody is served" } else { "is ignored and its default stands" };
    Some(Mistake { text: format!("option '{option}' {effect}; accepted: {accepted}"), serves_nobody })
}

fn is_right(name: &str, value: &str) -> bool {
    match name {
        "min_uid" => value.parse().is_ok_and(|uid: u32| uid > 0 && uid < u32::MAX),
        "services" | "groups" => value.split(',').all(|name| !name.is_empty()),
        "start_wait" => milliseconds(value).is_some_and(|wait| (1..=MAX_START_WAIT).contains(&wait)),
        "token_wait" => milliseconds(value).is_some_and(|wait| wait <= MAX_TOKEN_WAIT),
        "hint" => ["never", "daily", "always"].contains(&value),
        "export" => ["enrolled", "always"].contains(&value),
        _ => value.is_empty(),
    }
}

fn milliseconds(value: &str) -> Option<u64> {
    let number =
        |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
    match value.strip_suffix("ms") {
        _ if value == "0" => Some(0),
        Some(digits) => number(digits),
        None => number(value.strip_suffix('s')?)?.checked_mul(1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_those_of_the_module() {
        let module = include_str!("../../../pam_iam/src/options.rs");
        let rows = module.lines().filter(|line| line.starts_with("    (\"") && line.ends_with("\"),"));
        let rows: Vec<&str> = rows.collect();
        let ours = ACCEPTED.map(|(name, accepted)| format!("    (\"{name}\", \"{accepted}\"),"));
        assert_eq!(rows, ours.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn a_mistake_is_told_with_what_it_does() {
        let said = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
            mistakes(&options).into_iter().map(|mistake| mistake.text).collect::<Vec<_>>()
        };
        assert_eq!(
            said(&[
                "min_uid=500",
                "services=sshd,login",
                "start_wait=300ms",
                "token_wait=2s",
                "hint=never",
                "export=always",
                "debug"
            ]),
            [""; 0]
        );
        assert_eq!(
            said(&["groups=", "token_wait=31s", "min-uid=5"]),
            [
                "option 'groups=' is wrong and nobody is served; accepted: groups=NAME,NAME…",
                "option 'token_wait=31s' is ignored and its default stands; accepted: token_wait=Ns or Nms, at most 30s",
                "unknown option 'min-uid=5' is ignored; accepted: min_uid services groups start_wait token_wait hint export debug",
            ]
        );
        for wrong in [
            "min_uid=0",
            "min_uid",
            "start_wait=1s",
            "start_wait=0",
            "token_wait=2",
            "hint",
            "export=no",
            "debug=1",
        ] {
            assert_eq!(said(&[wrong]).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn an_option_that_says_whom_to_serve_serves_nobody_if_it_is_wrong() {
        let serves_nobody = |option: &str| mistakes(&[option.to_owned()]).pop().unwrap().serves_nobody;
        assert!(["min_uid=0", "services=", "groups=a,,b"].into_iter().all(serves_nobody));
        // Whatever an option is called, and its value is.
        for option in ["start_wait=0", "debug=is wrong and nobody is served", "is wrong and nobody is served"]
        {
            assert!(!serves_nobody(option), "{option}");
        }
    }

    #[test]
    fn the_line_has_no_mistake_and_names_another_first_uid() {
        assert_eq!(line("sshd", 1000), "-session   optional     pam_iam.so token_wait=2s export=enrolled");
        assert!(line("login", 500).ends_with(" token_wait=2s export=enrolled services=login min_uid=500"));
        let words = |line: String| line.split_whitespace().skip(3).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(mistakes(&words(line("login", 500))), []);
    }
}
