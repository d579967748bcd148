//! The last failure of a record, and when the issuer is asked again. Touches the agents' directory.
//!
//! It lies beside the cache, so that all agents of the user back off together: a failing issuer sees one
//! request a back-off, not one an agent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Now;
use crate::directory::{Directory, DirectoryError, Durability};
use crate::protocol::{Failure, LastError};
use crate::text::duration;

const MAX_FILE: usize = 8 * 1024;
/// After the first failure; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// When an issuer keeps failing it is asked once in this time, or in what it asks for itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether trying again without the user can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outlook {
    /// The issuer may answer better later.
    Passing,
    /// Somebody has to do something first: the enrolment has ended, or is suspended.
    Lasting,
}

/// The last failure since the last success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setback {
    pub(crate) failure: Failure,
    pub(crate) outlook: Outlook,
    /// How many in a row.
    pub(crate) count: u32,
    /// Seconds since the epoch.
    pub(crate) at: u64,
    pub(crate) boot_id: String,
    /// On CLOCK_BOOTTIME: the issuer is not asked before.
    pub(crate) not_before: Duration,
}

impl Setback {
    /// The next failure after `previous`. `retry_after` is the issuer's own wish, `spread` (0 to 255) the jitter.
    pub(crate) fn after(
        previous: Option<&Self>,
        failure: Failure,
        outlook: Outlook,
        retry_after: Option<Duration>,
        spread: u8,
        boot_id: &str,
        now: Now,
    ) -> Self {
        let count = previous.map_or(1, |previous| previous.count.saturating_add(1));
        let doubled = FIRST_PAUSE.saturating_mul(1 << (count - 1).min(8)).min(LONGEST_PAUSE);
        let pause = doubled.max(retry_after.unwrap_or_default());
        let jitter = pause * u32::from(spread) / (4 * 256);
        Self {
            failure,
            outlook,
            count,
            at: now.unix,
            boot_id: boot_id.to_owned(),
            not_before: now.boot + pause + jitter,
        }
    }

    /// Whether the issuer must not be asked yet.
    pub(crate) fn holds_at(&self, now: Duration) -> bool {
        now < self.not_before
    }

    /// For who asks meanwhile: when it is worth asking again.
    pub(crate) fn failure_at(&self, now: Duration) -> Failure {
        let mut failure = self.failure.clone();
        if self.outlook == Outlook::Passing {
            let left = self.not_before.saturating_sub(now).as_secs() + 1;
            failure.error = format!("{} (the issuer is asked again in {})", failure.error, duration(left));
        }
        failure
    }

    /// For `status`.
    pub(crate) fn to_last_error(&self, now: Now) -> LastError {
        let next = now.unix + self.not_before.saturating_sub(now.boot).as_secs();
        LastError {
            failure: self.failure.clone(),
            at: self.at,
            next_attempt_at: (self.outlook == Outlook::Passing).then_some(next),
        }
    }
}

/// The setback that stands against a record, if one does. Best effort: what cannot be read is not there.
pub(crate) fn find(directory: &Directory, record_id: &str, boot_id: &str) -> Option<Setback> {
    let bytes = directory.read(&file_name(record_id), MAX_FILE).ok()??;
    serde_json::from_slice(&bytes).ok().filter(|setback: &Setback| setback.boot_id == boot_id)
}

/// Notes a setback.
///
/// # Errors
/// [`DirectoryError`].
pub(crate) fn note(directory: &Directory, record_id: &str, setback: &Setback) -> Result<(), DirectoryError> {
    let bytes = serde_json::to_vec(setback).unwrap_or_default();
    directory.replace(&file_name(record_id), &bytes, Durability::Volatile)
}

/// All is well again.
///
/// # Errors
/// [`DirectoryError`].
pub(crate) fn clear(directory: &Directory, record_id: &str) -> Result<(), DirectoryError> {
    directory.remove(&file_name(record_id))
}

fn file_name(record_id: &str) -> String {
    format!("{record_id}.failure")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FailureKind;

    const NOW: Now = Now { unix: 1_000, boot: Duration::from_secs(100) };

    fn setback(previous: Option<&Setback>, retry_after: Option<u64>, spread: u8) -> Setback {
        let failure = Failure { error: "busy".into(), info: None, kind: FailureKind::Unreachable };
        let wish = retry_after.map(Duration::from_secs);
        Setback::after(previous, failure, Outlook::Passing, wish, spread, "boot", NOW)
    }

    fn pause(setback: &Setback) -> u64 {
        (setback.not_before - NOW.boot).as_secs()
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut last = setback(None, None, 0);
        let mut pauses = vec![pause(&last)];
        for _ in 0..12 {
            last = setback(Some(&last), None, 0);
            pauses.push(pause(&last));
        }
        assert_eq!(pauses[..6], [5, 10, 20, 40, 60, 60]);
        assert_eq!(pauses.last(), Some(&60));
    }

    #[test]
    fn jitter_only_lengthens_and_by_a_quarter_at_most() {
        let paused = |spread| (setback(None, None, spread).not_before - NOW.boot).as_millis();
        assert!(paused(0) == 5_000 && (6_200..6_250).contains(&paused(255)));
    }

    #[test]
    fn the_issuers_own_wish_is_honoured_when_it_is_longer() {
        assert_eq!(pause(&setback(None, Some(300), 0)), 300);
        assert_eq!(pause(&setback(None, Some(1), 0)), 5);
    }

    #[test]
    fn a_lasting_setback_announces_no_attempt() {
        let lasting = Setback { outlook: Outlook::Lasting, ..setback(None, None, 0) };
        assert_eq!(lasting.to_last_error(NOW).next_attempt_at, None);
        assert_eq!(setback(None, None, 0).to_last_error(NOW).next_attempt_at, Some(1_005));
    }
}
