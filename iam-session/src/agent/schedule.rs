//! When the agent wakes by itself, and for what. Pure; touches nothing.

use std::time::Duration;

use super::failure::{Outlook, Setback};
use super::freshness::Life;

/// The agents of one user spread their renewals over this part of a token's life; the first to renew spares the
/// others the attempt.
const SPREAD: u32 = 20;
/// Whatever goes wrong, nothing is attempted by itself more often.
const ATTEMPT_AT_MOST_EVERY: Duration = Duration::from_secs(5);
/// A store that cannot be read, a home that comes with a ticket, say, is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What the agent does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Have the session token renewed.
    Renew,
    /// See whether the store can be read again.
    Look,
}

/// What is known of the default account.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing<'a> {
    /// There is none, or nobody but the user can do anything about it.
    Nothing,
    /// The store or its record cannot be read.
    Troubled,
    /// Enrolled, perhaps with a token, perhaps after a failure.
    Enrolled { token: Option<Life>, setback: Option<&'a Setback> },
}

/// The next task and its time on CLOCK_BOOTTIME. `spread` (0 to 255) is this agent's own.
pub(super) fn next(
    standing: Standing<'_>,
    last_attempt: Option<Duration>,
    spread: u8,
    now: Duration,
) -> Option<(Duration, Task)> {
    let earliest = last_attempt.map_or(now, |last| last + ATTEMPT_AT_MOST_EVERY);
    match standing {
        Standing::Nothing => None,
        Standing::Troubled => Some((last_attempt.unwrap_or(now) + LOOK_AGAIN, Task::Look)),
        Standing::Enrolled { setback: Some(setback), .. } if setback.outlook == Outlook::Lasting => None,
        Standing::Enrolled { token, setback } => {
            let due = token.map_or(now, |life| life.renewal() + jitter(life, spread));
            let spared = setback.map_or(now, |setback| setback.not_before);
            Some((due.max(spared).max(earliest), Task::Renew))
        }
    }
}

fn jitter(life: Life, spread: u8) -> Duration {
    life.ends.saturating_sub(life.issued) / SPREAD * u32::from(spread) / 256
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::protocol::{Failure, FailureKind};

    const NOW: Duration = Duration::from_secs(1000);

    fn at(standing: Standing<'_>, last_attempt: Option<u64>, spread: u8) -> Option<(u64, Task)> {
        next(standing, last_attempt.map(Duration::from_secs), spread, NOW)
            .map(|(at, task)| (at.as_secs(), task))
    }

    fn life(issued: u64, ends: u64) -> Option<Life> {
        Some(Life { issued: Duration::from_secs(issued), ends: Duration::from_secs(ends) })
    }

    fn setback(outlook: Outlook) -> Setback {
        let failure = Failure { error: "e".into(), info: None, kind: FailureKind::Unreachable };
        let wish = Some(Duration::from_secs(30));
        Setback::after(None, failure, outlook, wish, 0, "boot", Now { unix: 0, boot: NOW })
    }

    #[test]
    fn a_token_is_renewed_at_two_thirds_of_its_life_and_by_each_agent_at_its_own_moment() {
        let standing = Standing::Enrolled { token: life(1000, 4600), setback: None };
        assert_eq!(at(standing, None, 0), Some((3400, Task::Renew)));
        assert_eq!(at(standing, None, 128), Some((3490, Task::Renew)));
    }

    #[test]
    fn a_missing_token_is_due_at_once_and_never_again_within_seconds() {
        let standing = Standing::Enrolled { token: None, setback: None };
        assert_eq!(at(standing, None, 0), Some((1000, Task::Renew)));
        assert_eq!(at(standing, Some(999), 0), Some((1004, Task::Renew)));
    }

    #[test]
    fn a_failing_issuer_is_spared() {
        let passing = setback(Outlook::Passing);
        let standing = Standing::Enrolled { token: life(0, 1200), setback: Some(&passing) };
        assert_eq!(at(standing, None, 0), Some((1030, Task::Renew)));
    }

    #[test]
    fn what_only_the_user_can_mend_wakes_nobody() {
        let lasting = setback(Outlook::Lasting);
        assert_eq!(at(Standing::Enrolled { token: None, setback: Some(&lasting) }, None, 0), None);
        assert_eq!(at(Standing::Nothing, None, 0), None);
    }

    #[test]
    fn an_unreadable_store_is_looked_at_once_a_minute() {
        assert_eq!(at(Standing::Troubled, Some(990), 0), Some((1050, Task::Look)));
    }
}
