//! What a check found, and how a person reads it. Pure; touches nothing.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::text::printable;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; nobody need do anything.
    Note,
    /// It could not be found out.
    Unknown,
    /// It keeps a token away, or will.
    Wrong,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: Cow<'static, str>,
    pub(super) state: Severity,
    /// What was found.
    pub(super) what: String,
    /// What mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, what: &str) -> Self {
        Self::new(check, Severity::Ok, what, "")
    }

    pub(super) fn note(check: &'static str, what: &str, mend: &str) -> Self {
        Self::new(check, Severity::Note, what, mend)
    }

    pub(super) fn unknown(check: &'static str, what: &str) -> Self {
        Self::new(check, Severity::Unknown, what, "")
    }

    /// `mend` is empty where `what` says it itself.
    pub(super) fn wrong(check: &'static str, what: &str, mend: &str) -> Self {
        Self::new(check, Severity::Wrong, what, mend)
    }

    fn new(check: &'static str, state: Severity, what: &str, mend: &str) -> Self {
        let mend = (!mend.is_empty()).then(|| mend.to_owned());
        Self { check: check.into(), state, what: what.to_owned(), mend }
    }
}

/// A line a finding, what was said by others made printable; then how many are wrong.
pub(super) fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let state = match finding.state {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Unknown => "unknown",
            Severity::Wrong => "WRONG",
        };
        let mend = finding.mend.as_ref().map(|mend| format!("; {mend}")).unwrap_or_default();
        text.push_str(&format!(
            "{state:8} {}: {}\n",
            finding.check,
            printable(&format!("{}{mend}", finding.what))
        ));
    }
    let wrong = findings.iter().filter(|finding| finding.state == Severity::Wrong).count();
    text.push_str(&match wrong {
        0 => "nothing is wrong\n".to_owned(),
        1 => "1 thing is wrong\n".to_owned(),
        more => format!("{more} things are wrong\n"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line() {
        let findings = [
            Finding::ok("agent", "answers"),
            Finding::wrong("token file", "is\nempty", "run 'x'"),
            Finding::unknown("clock", "cannot tell"),
        ];
        assert_eq!(
            render(&findings),
            "ok       agent: answers\n\
             WRONG    token file: is\\x0aempty; run 'x'\n\
             unknown  clock: cannot tell\n\
             1 thing is wrong\n"
        );
    }
}
