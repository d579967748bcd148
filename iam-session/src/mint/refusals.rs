//! What a request for a session token failed with, beside the record in the store. Touches store and host directory.
//!
//! The runtime directory may be gone with the last login. A refusal of the issuer's holds on every host that shares the
//! store. Where no issuer has answered, the hosts that have all failed take turns: an issuer that is down sees one request
//! a user, and a host that has not failed itself is kept waiting by none that has.

use std::time::Duration;

use super::Mint;
use super::policy::Policy;
use super::token::RefreshAttempt;
use crate::clock::Now;
use crate::helper::HelperError;
use crate::issuer::wire::ErrorClass;
use crate::runtime::accounts::AccountEntry;
use crate::runtime::last_failure::{FailureScope, LONGEST_PAUSE, LastFailure, LastFailures, RequestedBy};
use crate::store::Store;

/// Whether it was the issuer that refused. What cannot be understood may be of a proxy's on the way from this host, and
/// without a status nobody was asked: this host's helper may be of another version.
pub(crate) fn is_issuers(error: &HelperError) -> bool {
    matches!(error, HelperError::Issuer(error) if error.status.is_some()
        && !matches!(error.class, ErrorClass::Unreachable | ErrorClass::Malformed))
}

/// Another jitter each time: hosts that take turns would else have an order. Without randomness all agents of one user
/// still share one back-off.
pub(crate) fn own_moment() -> u8 {
    let mut spread = [0];
    let _ = getrandom::fill(&mut spread);
    let [spread] = spread;
    spread
}

/// So long after its own failure a host asks, whatever hosts fail meanwhile: it may be the one that reaches the issuer.
const LONGEST_TURN: Duration = Duration::from_secs(5 * 60);

/// A failure as it is noted on the host where it happened. Where no issuer has answered, all other hosts come first: they
/// may reach it. Users who failed at one moment part all the same.
pub(crate) fn here(failure: LastFailure, in_store: bool, spread: u8) -> LastFailure {
    let spread = if failure.unanswered { u8::MAX - spread / 2 } else { spread };
    LastFailure { in_store, ..failure.jittered(spread) }
}

/// A failure of another host's as it is noted here.
pub(crate) fn elsewhere(failure: LastFailure, spread: u8) -> LastFailure {
    let spread = if failure.unanswered { spread / 2 } else { spread };
    failure.jittered(spread)
}

/// Whether what the store has is to stay although a request has failed since: a dead refresh token, which no later failure
/// revives, and an issuer's pause that is not over, where no issuer has answered now. That one has been heeded after a
/// minute, as long as other hosts wait for it: if it still stood there, they would ask an issuer that has gone by then
/// each by itself, and not in turn.
pub(crate) fn stays(stored: LastFailure, failure: &LastFailure, now: Now) -> bool {
    let is_heeded = failure.at.saturating_sub(stored.at) >= LONGEST_PAUSE.as_secs();
    stored.rebased(&failure.boot_id, now).filter(|stored| !stored.unanswered).is_some_and(|stored| {
        let holds = !is_heeded && stored.holds(RequestedBy::Agent, now.boot);
        stored.outlook > failure.outlook || failure.unanswered && holds
    })
}

/// What the store says that this host does not know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StoreNews {
    None,
    Refused(Box<LastFailure>),
    /// What this host knows holds no more.
    Over,
}

/// What follows from what this host knows, and from what the store has, of whatever host, clock and policy.
pub(crate) fn news(
    known: Option<&LastFailure>,
    stored: Option<LastFailure>,
    asked: &str,
    boot_id: &str,
    now: Now,
) -> StoreNews {
    // A refusal of another policy, or of a clock that is wrong, is in the place of ours: it takes nothing back.
    let is_over = |known: &&LastFailure| !known.concerns(asked) || known.in_store && stored.is_none();
    let (over, known) = (known.is_some_and(|known| is_over(&known)), known.filter(|known| !is_over(known)));
    let stored = stored.filter(|stored| stored.asked.as_deref() == Some(asked));
    match (known, stored.and_then(|stored| stored.rebased(boot_id, now))) {
        (Some(known), Some(stored)) if known.at == stored.at || known.rank() > stored.rank() => {
            StoreNews::None
        }
        // It is another host's turn: no more than that is said by one that reaches no issuer.
        (Some(known), Some(stored)) if known.unanswered && stored.unanswered => {
            StoreNews::Refused(Box::new(LastFailure {
                at: stored.at,
                noted: stored.noted,
                not_before: stored.not_before.min(known.not_on_demand_before + LONGEST_TURN),
                in_store: true,
                count: stored.count.max(known.count),
                ..known.clone()
            }))
        }
        (_, Some(stored)) if !stored.unanswered => {
            StoreNews::Refused(Box::new(LastFailure { in_store: true, ..stored }))
        }
        _ if over => StoreNews::Over,
        _ => StoreNews::None,
    }
}

impl Mint {
    /// Has this host know what the store knows of an issuer's refusals, before an agent acts.
    pub(crate) fn take_over_refusals(&self, store: &Store, policy: &Policy, entry: &AccountEntry) {
        let now = Now::read();
        let here = self.last_failures(&entry.record_id);
        let asked = policy.session_request(entry);
        for against in [FailureScope::Record, FailureScope::Session] {
            let stored = self.refusals(store, &entry.record_id).find_of_any_boot(against);
            match news(here.find(against).as_ref(), stored, &asked, here.boot_id, now) {
                StoreNews::None => {}
                StoreNews::Refused(refusal) => {
                    self.note(here.note(against, &elsewhere(*refusal, own_moment())));
                }
                StoreNews::Over => self.note(here.clear(against)),
            }
        }
    }

    /// Notes what a request failed with. A store that cannot be written leaves it to this host to know.
    pub(crate) fn note_request(
        &self,
        store: &Store,
        attempt: &RefreshAttempt<'_>,
        against: FailureScope,
        failure: LastFailure,
    ) {
        let record_id = &attempt.wanted.record_id;
        let failure = LastFailure { asked: Some(attempt.session_request.clone()), ..failure };
        let refusals = self.refusals(store, record_id);
        let stays = |stored| stays(stored, &failure, Now::read());
        let in_store = !refusals.find_of_any_boot(against).is_some_and(stays)
            && refusals.note(against, &failure).is_ok();
        self.note(self.last_failures(record_id).note(against, &here(failure, in_store, own_moment())));
    }

    /// All is well again, or the record is no more.
    pub(crate) fn clear_failure(&self, store: &Store, record_id: &str, against: FailureScope) {
        self.note(self.last_failures(record_id).clear(against));
        // Best effort: what stays holds nobody up for longer than its pause.
        let _ = self.refusals(store, record_id).clear(against);
    }

    fn refusals<'a>(&'a self, store: &'a Store, record_id: &'a str) -> LastFailures<'a> {
        let (directory, boot_id) = (store.directory(), self.runtime.cache.boot_id());
        LastFailures { directory, otherwise: None, record_id, boot_id }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::issuer::wire::IssuerError;
    use crate::protocol::Failure;
    use crate::runtime::last_failure::{RetryPause, RetryWhen};

    const NOW: Now = Now { unix: 1_000_000, boot: Duration::from_secs(100) };

    fn refusal(asked: &str, boot_id: &str, at: u64) -> LastFailure {
        let (outlook, pause) = (RetryWhen::Passing, RetryPause::Ours(Duration::from_secs(900)));
        let failure = Failure::refused("no");
        let refusal = LastFailure::after(None, failure, outlook, pause, boot_id, Now { unix: at, ..NOW });
        LastFailure { asked: Some(asked.into()), in_store: true, ..refusal }
    }

    fn heard(known: Option<&LastFailure>, stored: Option<LastFailure>) -> StoreNews {
        news(known, stored, "a for ''", "here", NOW)
    }

    #[test]
    fn what_no_issuer_has_answered_is_no_issuers() {
        use ErrorClass as E;
        let is_issuers = |class, status| {
            let error = IssuerError { class, message: "m".into(), status, retry_after: None };
            is_issuers(&HelperError::Issuer(error))
        };
        assert!(is_issuers(E::CredentialDead, Some(400)) && is_issuers(E::Busy, Some(503)));
        assert!(!is_issuers(E::Refused, None) && !is_issuers(E::Malformed, Some(403)));
        assert!(!super::is_issuers(&HelperError::Garbage));
    }

    #[test]
    fn a_refusal_of_another_policy_or_clock_takes_ours_not_back() {
        let ours = refusal("a for ''", "here", NOW.unix);
        for other in [refusal("b for ''", "there", NOW.unix), refusal("a for ''", "there", NOW.unix + 3600)] {
            assert_eq!(heard(Some(&ours), Some(other.clone())), StoreNews::None);
            assert_eq!(heard(None, Some(other)), StoreNews::None);
        }
    }

    #[test]
    fn hosts_that_reach_no_issuer_take_turns_and_keep_nobody_else_waiting() {
        let failed_at = |unix, boot_id| {
            let now = Now { unix, boot: Duration::from_secs(unix) };
            let failure = Failure::unreachable("no");
            let last =
                LastFailure::after(None, failure, RetryWhen::Passing, RetryPause::Doubling, boot_id, now);
            LastFailure { asked: Some("a for ''".into()), unanswered: true, ..last }
        };
        let heard = |known, stored, unix| {
            news(known, stored, "a for ''", "here", Now { unix, boot: Duration::from_secs(unix) })
        };
        let theirs = failed_at(1004, "there");
        assert_eq!(heard(None, Some(theirs.clone()), 1006), StoreNews::None);
        let ours = super::here(failed_at(1000, "here"), true, 0);
        let StoreNews::Refused(turn) = heard(Some(&ours), Some(theirs), 1006) else { panic!("not heard") };
        assert!(turn.holds(RequestedBy::Agent, Duration::from_secs(1008)));
        assert!(!turn.holds(RequestedBy::Agent, Duration::from_secs(1009)));
        // Its own next failure is the third in a row, and its pause as long as that of one host alone.
        let (first, second) = (failed_at(1000, "there"), RetryPause::Doubling);
        let now = Now { unix: 1006, boot: Duration::from_secs(1006) };
        let again = Failure::unreachable("no");
        let second = LastFailure::after(Some(&first), again, RetryWhen::Passing, second, "there", now);
        let second = LastFailure { asked: Some("a for ''".into()), unanswered: true, ..second };
        let StoreNews::Refused(after) = heard(Some(&ours), Some(second), 1007) else { panic!("not heard") };
        assert_eq!(after.count, 2);
        // Whoever asks on this host waits for no other.
        assert_eq!(turn.not_on_demand_before, ours.not_on_demand_before);
        assert_eq!(turn.failure, ours.failure);
        // Others that are cut off do not keep it waiting for ever.
        let long_after = failed_at(1000 + 3600, "there");
        let StoreNews::Refused(turn) = heard(Some(&ours), Some(long_after), 1000 + 3600) else {
            panic!("not heard")
        };
        assert!(turn.not_before <= ours.not_on_demand_before + LONGEST_TURN);
        // One that has reached it.
        assert_eq!(heard(Some(&turn), None, 1007), StoreNews::Over);
        // What an issuer has said is another matter: who knows that alone has not failed to reach it.
        let said = LastFailure { unanswered: false, ..ours.clone() };
        assert_eq!(heard(Some(&said), Some(failed_at(1004, "there")), 1006), StoreNews::None);
    }

    #[test]
    fn what_an_issuer_has_said_outlives_a_host_that_reaches_it_not() {
        let later = |unix| Now { unix, boot: Duration::from_secs(unix) };
        let failed = |outlook, pause, unix, boot_id| {
            let failure = Failure::unreachable("no");
            let failure = LastFailure::after(None, failure, outlook, pause, boot_id, later(unix));
            LastFailure { asked: Some(String::new()), ..failure }
        };
        let unanswered = |unix| LastFailure {
            unanswered: true,
            ..failed(RetryWhen::Passing, RetryPause::Doubling, unix, "here")
        };
        let stays =
            |stored: &LastFailure, failure: &LastFailure| stays(stored.clone(), failure, later(failure.at));
        // Another host's.
        let busy = failed(RetryWhen::Passing, RetryPause::Issuers(Duration::from_secs(600)), 1000, "there");
        assert!(stays(&busy, &unanswered(1000)) && stays(&busy, &unanswered(1059)));
        // By then all have heeded it, and take turns if nobody answers any more.
        assert!(!stays(&busy, &unanswered(1060)));
        // A host that comes before still waits for it.
        let store = if stays(&busy, &unanswered(1050)) { busy.clone() } else { unanswered(1050) };
        let StoreNews::Refused(heard) = news(None, Some(store), "", "new", later(1051)) else {
            panic!("not heard")
        };
        assert!(heard.holds(RequestedBy::Agent, Duration::from_secs(1110)));
        // A time that nobody's clock can have said holds nothing.
        assert!(!stays(&LastFailure { at: u64::MAX, ..busy.clone() }, &unanswered(1000)));
        // Nobody says the same of an issuer that answers now, or of one that has never answered.
        let answered = failed(RetryWhen::Passing, RetryPause::Doubling, 1100, "here");
        assert!(!stays(&busy, &answered) && !stays(&unanswered(1000), &unanswered(1001)));
        let dead = failed(RetryWhen::Lasting, RetryPause::Doubling, 1000, "there");
        for failure in [unanswered(9000), answered] {
            assert!(stays(&dead, &failure));
        }
        assert!(!stays(&dead, &failed(RetryWhen::Lasting, RetryPause::Doubling, 9000, "here")));
    }

    #[test]
    fn all_others_come_before_the_host_that_asked_and_either_waits_at_random() {
        let unanswered = LastFailure { unanswered: true, ..refusal("a for ''", "here", NOW.unix) };
        let here = |spread| super::here(unanswered.clone(), true, spread).not_before;
        let elsewhere = |spread| elsewhere(unanswered.clone(), spread).not_before;
        assert!(elsewhere(0) < elsewhere(255) && elsewhere(255) < here(255) && here(255) < here(0));
        assert!(here(0) < unanswered.not_before + (unanswered.not_before - NOW.boot) / 4);
    }

    #[test]
    fn ours_is_over_with_that_of_the_store_and_with_the_policy_it_was_of() {
        assert_eq!(heard(Some(&refusal("a for ''", "here", NOW.unix)), None), StoreNews::Over);
        let unwritten = LastFailure { in_store: false, ..refusal("a for ''", "here", NOW.unix) };
        assert_eq!(heard(Some(&unwritten), None), StoreNews::None);
        let former = LastFailure { asked: Some("b for ''".into()), ..unwritten };
        assert_eq!(heard(Some(&former), None), StoreNews::Over);
        // However long the former one would hold.
        let lasting = LastFailure { outlook: RetryWhen::Lasting, ..former };
        let stored = refusal("a for ''", "there", NOW.unix - 10);
        assert!(matches!(heard(Some(&lasting), Some(stored)), StoreNews::Refused(_)));
    }
}
