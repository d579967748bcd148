//! Whether an agent stays after its login for what the login left running. Pure; touches nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whatever a site says, what runs on keeps its token for a day at most.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const KIND: &str = "\"processes\" or \"no\"";
pub(super) const SPAN: &str = "a number with s, m or h, of 1s to 24h, e.g. \"8h\"";

/// What an agent stays for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LingerFor {
    /// The processes that the login started and that still run: tmux, nohup, mosh-server.
    #[default]
    Processes,
    /// Nothing.
    No,
}

/// A policy about staying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linger {
    /// For what.
    pub what: LingerFor,
    /// For how long at most.
    pub max: Duration,
}

impl Default for Linger {
    fn default() -> Self {
        Self { what: LingerFor::default(), max: LONGEST }
    }
}

impl Linger {
    /// The stricter of both in each respect.
    pub fn narrowed(self, by: Self) -> Self {
        let processes = self.what == LingerFor::Processes && by.what == LingerFor::Processes;
        Self { what: if processes { LingerFor::Processes } else { LingerFor::No }, max: self.max.min(by.max) }
    }
}

pub(super) fn kind(text: &str) -> Option<LingerFor> {
    match text {
        "processes" => Some(LingerFor::Processes),
        "no" => Some(LingerFor::No),
        _ => None,
    }
}

pub(super) fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = if digits { number.parse().ok()? } else { return None };
    let span = Duration::from_secs(number.checked_mul(factor)?);
    (Duration::from_secs(1)..=LONGEST).contains(&span).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_with_its_unit() {
        for (text, seconds) in [("1s", 1), ("90m", 5400), ("24h", 86400)] {
            assert_eq!(span(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1", "0s", "25h", "1d", "-1s", "+1s", "1 h", "1é", "99999999999999999999h"] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn the_stricter_policy_holds() {
        let no = Linger { what: LingerFor::No, ..Linger::default() };
        let hour = Linger { max: Duration::from_secs(3600), ..Linger::default() };
        assert_eq!(Linger::default().narrowed(no).what, LingerFor::No);
        assert_eq!(no.narrowed(hour), Linger { what: LingerFor::No, max: hour.max });
    }
}
