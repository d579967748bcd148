//! The last failure of a record, and when its issuer may be asked again. Touches the directory that it is told to.
//!
//! It is shared, so all agents of the user back off together: a failing issuer sees one request a back-off, not one an
//! agent. What an issuer refused lies in the store as well (mint/refusals.rs).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cache::END_OF_TIME;
use crate::clock::Now;
use crate::directory::{Directory, DirectoryError, Durability};
use crate::protocol::{Failure, LastError};
use crate::text::duration;

/// Two lists of scopes, as long as a site or an issuer likes, and two texts.
const MAX_FILE: usize = 256 * 1024;
/// What an issuer says may be as long as it likes; one that could not be read back would be none.
const MAX_TEXT: usize = 1000;
/// After the first failure; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// When an issuer keeps failing it is asked once in this time, or in what it asks for itself.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// So much the clocks of hosts that share a store may differ. What is noted for later was noted by a clock that was wrong.
const SKEW: u64 = 60;

/// Whether trying again without the user can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetryWhen {
    /// The issuer may answer better later.
    Passing,
    /// Somebody has to do something first: the enrolment has ended, or is suspended.
    Lasting,
}

/// What a failure stands against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureScope {
    /// Every token of the record.
    Record,
    /// Its session token alone: what was wrong is its scope, or its file.
    Session,
}

/// How long the issuer is spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryPause {
    /// The longer, the more often it has failed.
    Doubling,
    /// As long as it asked for itself, and not less than that.
    Issuers(Duration),
    /// So long, where nothing but somebody's doing will help. A user who has seen to it need not wait so long.
    Ours(Duration),
    /// The longer, the more often, for the agents alone: nobody was asked, so a user who has seen to it need not wait.
    OfAgents,
}

/// The last failure since the last success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastFailure {
    pub(crate) failure: Failure,
    pub(crate) outlook: RetryWhen,
    /// What the issuer was to be asked for a session token: once the site's configuration has changed that, the failure
    /// says nothing any more. `None`: it has nothing to do with that.
    #[serde(default)]
    pub(crate) asked: Option<String>,
    /// Whether the store has it, too. Then it ends when the store has it no more.
    #[serde(default)]
    pub(crate) in_store: bool,
    /// No issuer has answered: it may be that the host which noted this is cut off, and no other.
    #[serde(default)]
    pub(crate) unanswered: bool,
    /// How many in a row.
    pub(crate) count: u32,
    /// Seconds since the epoch.
    pub(crate) at: u64,
    pub(crate) boot_id: String,
    /// On CLOCK_BOOTTIME.
    #[serde(default)]
    pub(crate) noted: Duration,
    /// On CLOCK_BOOTTIME: the issuer is not asked before, by an agent of its own accord.
    pub(crate) not_before: Duration,
    /// On CLOCK_BOOTTIME: nor before this when a user asks.
    pub(crate) not_on_demand_before: Duration,
}

/// Who would have the issuer asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestedBy {
    Agent,
    User,
}

impl LastFailure {
    /// The next failure after `previous`.
    pub(crate) fn after(
        previous: Option<&Self>,
        failure: Failure,
        outlook: RetryWhen,
        pause: RetryPause,
        boot_id: &str,
        now: Now,
    ) -> Self {
        let count = previous.map_or(1, |previous| previous.count.saturating_add(1));
        let doubled = FIRST_PAUSE.saturating_mul(1 << (count - 1).min(8)).min(LONGEST_PAUSE);
        let pause_of = |asker| match (pause, asker) {
            (RetryPause::Doubling, _)
            | (RetryPause::Ours(_), RequestedBy::User)
            | (RetryPause::OfAgents, RequestedBy::Agent) => doubled,
            (RetryPause::OfAgents, RequestedBy::User) => Duration::ZERO,
            (RetryPause::Issuers(wish), _) => doubled.max(wish),
            (RetryPause::Ours(wish), RequestedBy::Agent) => doubled.max(wish),
        };
        let until = |asker| now.boot + pause_of(asker);
        Self {
            failure: shortened(failure),
            outlook,
            asked: None,
            in_store: false,
            unanswered: false,
            count,
            at: now.unix,
            boot_id: boot_id.to_owned(),
            noted: now.boot,
            not_before: until(RequestedBy::Agent),
            not_on_demand_before: until(RequestedBy::User),
        }
    }

    /// The same, with agents kept away for up to a quarter longer: `spread` (0 to 255) is the jitter.
    pub(crate) fn jittered(self, spread: u8) -> Self {
        let pause = self.not_before.saturating_sub(self.noted);
        Self { not_before: self.not_before + pause / (4 * 256) * u32::from(spread), ..self }
    }

    /// What another host or boot has noted, by the clock of this one. `None`: one of the clocks was wrong.
    pub(crate) fn rebased(mut self, boot_id: &str, now: Now) -> Option<Self> {
        if self.boot_id == boot_id {
            return Some(self);
        }
        // A dead refresh token is dead on every host. Others may be asked less often than we.
        let longest = match self.outlook {
            RetryWhen::Lasting => Duration::MAX,
            RetryWhen::Passing => LONGEST_PAUSE,
        };
        let age = Duration::from_secs((now.unix + SKEW).checked_sub(self.at)?.saturating_sub(SKEW));
        let moved =
            |then: Duration| now.boot + then.saturating_sub(self.noted).saturating_sub(age).min(longest);
        (self.not_before, self.not_on_demand_before) =
            (moved(self.not_before), moved(self.not_on_demand_before));
        self.noted = now.boot;
        self.boot_id = boot_id.to_owned();
        Some(self)
    }

    /// Whether it says something to who would ask the issuer for `asked`, for a session token.
    pub(crate) fn concerns(&self, asked: &str) -> bool {
        self.asked.as_deref().is_none_or(|then| then == asked)
    }

    /// The greater one keeps an agent away for longer.
    pub(crate) fn rank(&self) -> (RetryWhen, Duration) {
        (self.outlook, self.not_before)
    }

    /// Whether the issuer has given a token since, at `issued`.
    pub(crate) fn is_over_by(&self, issued: u64) -> bool {
        self.at < issued
    }

    /// Whether the issuer must not be asked yet.
    pub(crate) fn holds(&self, asker: RequestedBy, now: Duration) -> bool {
        now < match asker {
            RequestedBy::Agent => self.not_before,
            RequestedBy::User => self.not_on_demand_before,
        }
    }

    /// For who asks meanwhile: when it is worth asking again.
    pub(crate) fn failure_at(&self, now: Duration) -> Failure {
        let mut failure = self.failure.clone();
        if self.outlook == RetryWhen::Passing {
            let left = self.not_on_demand_before.saturating_sub(now).as_secs() + 1;
            failure.error = format!(
                "{} (the issuer is asked again in {} at the earliest)",
                failure.error,
                duration(left)
            );
        }
        failure
    }

    /// For `status`.
    pub(crate) fn to_last_error(&self, now: Now) -> LastError {
        let next = now.unix + self.not_before.saturating_sub(now.boot).as_secs();
        LastError {
            failure: self.failure.clone(),
            at: self.at,
            next_attempt_at: (self.outlook == RetryWhen::Passing).then_some(next),
        }
    }
}

fn shortened(failure: Failure) -> Failure {
    let cut = |text: String| text.chars().take(MAX_TEXT).collect();
    Failure { error: cut(failure.error), info: failure.info.map(cut), ..failure }
}

/// The last failures of one record, in one directory.
#[derive(Clone, Copy)]
pub(crate) struct LastFailures<'a> {
    pub(crate) directory: &'a Directory,
    /// Where one is noted for which `directory` has no room: users share that of the host directory.
    pub(crate) otherwise: Option<&'a Directory>,
    pub(crate) record_id: &'a str,
    pub(crate) boot_id: &'a str,
}

impl LastFailures<'_> {
    /// The one that stands there, if one does. Best effort: what cannot be read is not there.
    pub(crate) fn find(&self, against: FailureScope) -> Option<LastFailure> {
        self.find_of_any_boot(against).filter(|last_failure| last_failure.boot_id == self.boot_id)
    }

    /// The same, by whichever host and boot it was noted.
    pub(crate) fn find_of_any_boot(&self, against: FailureScope) -> Option<LastFailure> {
        let name = self.file_name(against);
        let of = |directory: &Directory| -> Option<LastFailure> {
            let bytes = directory.read(&name, MAX_FILE).ok()??;
            let last_failure: LastFailure = serde_json::from_slice(&bytes).ok()?;
            let LastFailure { noted, not_before, not_on_demand_before, .. } = &last_failure;
            let latest = *noted.max(not_before).max(not_on_demand_before);
            (latest < END_OF_TIME).then_some(last_failure)
        };
        self.directories().filter_map(of).max_by_key(|last_failure| last_failure.at)
    }

    /// The one that keeps a session token away for longest.
    pub(crate) fn of_session(&self) -> Option<LastFailure> {
        self.of_any_session().max_by_key(LastFailure::rank)
    }

    /// The same of those that concern who would ask the issuer for `asked`.
    pub(crate) fn of_session_request(&self, asked: &str) -> Option<LastFailure> {
        self.of_any_session().filter(|failure| failure.concerns(asked)).max_by_key(LastFailure::rank)
    }

    fn of_any_session(&self) -> impl Iterator<Item = LastFailure> {
        [FailureScope::Record, FailureScope::Session].into_iter().filter_map(|against| self.find(against))
    }

    pub(crate) fn note(
        &self,
        against: FailureScope,
        last_failure: &LastFailure,
    ) -> Result<(), DirectoryError> {
        let bytes = serde_json::to_vec(last_failure).unwrap_or_default();
        let name = self.file_name(against);
        let note = |directory: &Directory| directory.replace(&name, &bytes, Durability::Volatile);
        match (note(self.directory), self.otherwise) {
            (Err(_), Some(otherwise)) => note(otherwise),
            // What was noted there is older.
            (Ok(()), Some(otherwise)) => otherwise.remove(&name),
            (noted, None) => noted,
        }
    }

    /// All is well again.
    pub(crate) fn clear(&self, against: FailureScope) -> Result<(), DirectoryError> {
        let name = self.file_name(against);
        let mut cleared = Ok(());
        for directory in self.directories() {
            cleared = cleared.and(directory.remove(&name));
        }
        cleared
    }

    fn directories(&self) -> impl Iterator<Item = &Directory> {
        std::iter::once(self.directory).chain(self.otherwise)
    }

    fn file_name(&self, against: FailureScope) -> String {
        match against {
            FailureScope::Record => format!("{}{SUFFIX}", self.record_id),
            FailureScope::Session => format!("{}.session{SUFFIX}", self.record_id),
        }
    }
}

const SUFFIX: &str = ".failure";

/// Whether a file of the agents' directory is a last failure that still spares the issuer: it outlives the last login, or
/// one login after the other would ask a failing issuer each.
pub(crate) fn still_holds(directory: &Directory, name: &str, boot_id: &str, now: Duration) -> bool {
    let read = || -> Option<LastFailure> {
        name.strip_suffix(SUFFIX)?;
        serde_json::from_slice(&directory.read(name, MAX_FILE).ok()??).ok()
    };
    read().is_some_and(|last_failure| {
        let holds = last_failure.outlook == RetryWhen::Lasting || last_failure.holds(RequestedBy::Agent, now);
        last_failure.boot_id == boot_id && holds
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    const NOW: Now = Now { unix: 1_000, boot: Duration::from_secs(100) };

    fn last_failure(previous: Option<&LastFailure>, pause: RetryPause) -> LastFailure {
        let failure = Failure::unreachable("busy");
        LastFailure::after(previous, failure, RetryWhen::Passing, pause, "boot", NOW)
    }

    fn pause(last_failure: &LastFailure) -> u64 {
        (last_failure.not_before - NOW.boot).as_secs()
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut last = last_failure(None, RetryPause::Doubling);
        let mut pauses = vec![pause(&last)];
        for _ in 0..12 {
            last = last_failure(Some(&last), RetryPause::Doubling);
            pauses.push(pause(&last));
        }
        assert_eq!(pauses[..6], [5, 10, 20, 40, 60, 60]);
        assert_eq!(pauses.last(), Some(&60));
    }

    #[test]
    fn jitter_only_lengthens_and_by_a_quarter_at_most() {
        let paused = |spread| {
            let last_failure = last_failure(None, RetryPause::Doubling).jittered(spread);
            (last_failure.not_before - NOW.boot).as_millis()
        };
        assert!(paused(0) == 5_000 && (6_200..6_250).contains(&paused(255)));
    }

    #[test]
    fn the_issuers_own_wish_is_honoured_when_it_is_longer() {
        let wish = |seconds| RetryPause::Issuers(Duration::from_secs(seconds));
        assert_eq!(pause(&last_failure(None, wish(300))), 300);
        assert_eq!(pause(&last_failure(None, wish(1))), 5);
        assert!(last_failure(None, wish(300)).holds(RequestedBy::User, Duration::from_secs(399)));
    }

    #[test]
    fn a_user_who_has_seen_to_it_need_not_wait_as_long_as_an_agent_does() {
        let refused = last_failure(None, RetryPause::Ours(Duration::from_secs(900)));
        let later = Duration::from_secs(106);
        assert!(refused.holds(RequestedBy::Agent, later) && !refused.holds(RequestedBy::User, later));
    }

    #[test]
    fn who_asks_where_nobody_was_asked_is_not_kept_waiting() {
        let first = last_failure(None, RetryPause::OfAgents);
        let second = last_failure(Some(&first), RetryPause::OfAgents);
        assert!(!second.holds(RequestedBy::User, NOW.boot));
        assert!(second.holds(RequestedBy::Agent, NOW.boot + FIRST_PAUSE) && pause(&second) > pause(&first));
    }

    #[test]
    fn what_another_host_noted_holds_as_long_here() {
        let there = LastFailure { noted: NOW.boot, ..last_failure(None, RetryPause::Doubling) };
        let now = |unix| Now { unix, boot: Duration::from_secs(7_000) };
        let left = |unix| {
            let here = there.clone().rebased("other", now(unix))?;
            Some(here.not_before - now(unix).boot)
        };
        assert_eq!(left(NOW.unix), Some(FIRST_PAUSE));
        assert_eq!(left(NOW.unix + 2), Some(FIRST_PAUSE - Duration::from_secs(2)));
        assert_eq!(left(NOW.unix + 9_000), Some(Duration::ZERO));
        // Its clock may be a little ahead, and never makes a pause longer.
        assert_eq!((left(NOW.unix - SKEW), left(NOW.unix - SKEW - 1)), (Some(FIRST_PAUSE), None));
        assert_eq!(there.clone().rebased("boot", now(0)), Some(there));
        // An issuer may have had enough of one host's address alone.
        let hour = RetryPause::Issuers(Duration::from_secs(3600));
        let there = LastFailure { noted: NOW.boot, ..last_failure(None, hour) };
        let here = there.rebased("other", now(NOW.unix)).unwrap();
        assert_eq!(here.not_before - now(0).boot, LONGEST_PAUSE);
    }

    #[test]
    fn a_long_text_is_cut_so_that_it_can_be_read_back() {
        let scratch = Scratch::new();
        let directory = Directory::open(&scratch, nix::unistd::geteuid().as_raw()).unwrap().unwrap();
        let last_failures =
            LastFailures { directory: &directory, otherwise: None, record_id: "01", boot_id: "boot" };
        let failure = Failure::failed("x".repeat(100_000));
        let long = LastFailure::after(None, failure, RetryWhen::Passing, RetryPause::Doubling, "boot", NOW);
        last_failures.note(FailureScope::Session, &long).unwrap();
        assert_eq!(last_failures.of_session(), Some(long.clone()));
        assert_eq!(last_failures.find(FailureScope::Record), None);
        let asked = Some((0..500).map(|n| format!("storage.read:/{n} ")).collect());
        let listing = LastFailure { asked, ..long };
        last_failures.note(FailureScope::Session, &listing).unwrap();
        assert_eq!(last_failures.of_session(), Some(listing.clone()));
        // No agent can add to it.
        let endless = LastFailure { noted: Duration::MAX, ..listing.clone() };
        last_failures.note(FailureScope::Session, &endless).unwrap();
        assert_eq!(last_failures.of_session(), None);
        last_failures.note(FailureScope::Session, &listing).unwrap();
        assert!(still_holds(&directory, "01.session.failure", "boot", NOW.boot));
        assert!(!still_holds(&directory, "01.session.failure", "boot", NOW.boot + FIRST_PAUSE * 2));
    }

    #[test]
    fn where_there_is_no_room_it_is_noted_elsewhere() {
        let scratch = Scratch::new();
        let uid = nix::unistd::geteuid().as_raw();
        let [host, agents] =
            ["host", "agents"].map(|name| Directory::create(&scratch.join(name), uid).unwrap());
        let otherwise = Some(&agents);
        let here = LastFailures { directory: &host, otherwise, record_id: "01", boot_id: "boot" };
        let first = last_failure(None, RetryPause::Doubling);
        here.note(FailureScope::Record, &first).unwrap();
        assert_eq!(agents.names().unwrap(), [""; 0]);
        // Nothing can be made in it, as in one that is full.
        std::fs::remove_dir_all(host.path()).unwrap();
        let later = LastFailure { at: first.at + 1, ..first };
        here.note(FailureScope::Record, &later).unwrap();
        assert_eq!(here.find(FailureScope::Record), Some(later));
        here.clear(FailureScope::Record).unwrap();
        assert_eq!(here.find(FailureScope::Record), None);
    }

    #[test]
    fn a_failure_of_another_request_holds_nobody_up() {
        let scratch = Scratch::new();
        let directory = Directory::open(&scratch, nix::unistd::geteuid().as_raw()).unwrap().unwrap();
        let last_failures =
            LastFailures { directory: &directory, otherwise: None, record_id: "01", boot_id: "boot" };
        let of_then = LastFailure { asked: Some("then".into()), ..last_failure(None, RetryPause::Doubling) };
        last_failures.note(FailureScope::Session, &of_then).unwrap();
        assert_eq!(last_failures.of_session_request("then"), Some(of_then));
        assert_eq!(last_failures.of_session_request("now"), None);
        // What stands against the whole record has nothing to do with policy.
        let of_record = last_failure(None, RetryPause::Doubling);
        last_failures.note(FailureScope::Record, &of_record).unwrap();
        assert_eq!(last_failures.of_session_request("now"), Some(of_record));
    }

    #[test]
    fn a_file_of_an_earlier_version_is_read() {
        let scratch = Scratch::new();
        let directory = Directory::open(&scratch, nix::unistd::geteuid().as_raw()).unwrap().unwrap();
        let last_failures =
            LastFailures { directory: &directory, otherwise: None, record_id: "01", boot_id: "boot" };
        let earlier = br#"{"failure":{"kind":"unreachable","error":"busy"},"outlook":"passing",
            "session_scope":"openid storage.read:/","count":1,"at":1000,"boot_id":"boot",
            "not_before":{"secs":105,"nanos":0},"not_on_demand_before":{"secs":105,"nanos":0}}"#;
        directory.replace("01.session.failure", earlier, Durability::Volatile).unwrap();
        let read = last_failures.of_session_request("openid for ''").unwrap();
        assert_eq!(LastFailure { noted: NOW.boot, ..read }, last_failure(None, RetryPause::Doubling));
    }

    #[test]
    fn a_lasting_last_failure_announces_no_attempt() {
        let lasting = LastFailure { outlook: RetryWhen::Lasting, ..last_failure(None, RetryPause::Doubling) };
        assert_eq!(lasting.to_last_error(NOW).next_attempt_at, None);
        assert_eq!(last_failure(None, RetryPause::Doubling).to_last_error(NOW).next_attempt_at, Some(1_005));
    }
}
