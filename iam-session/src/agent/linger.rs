//! How long an agent stays after its login, and when it looks for what the login left running. Touches what
//! `left_running` does.

use std::ops::ControlFlow;
use std::time::Duration;

use super::left_running::{LeftRunning, Search};
use crate::config::{Linger, LingerFor};

/// The first look after the login's end, for the shell is still on its way out then; doubled up to the second.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(20));
/// When to look: soon at first, later rarely.
#[derive(Debug)]
pub(super) struct LookSchedule {
    next: Duration,
    pause: Duration,
}

impl LookSchedule {
    /// Counted from `now`.
    pub(super) fn from(now: Duration) -> Self {
        let (first, _) = LOOKS;
        Self { next: now + first, pause: first }
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Duration {
        self.next
    }

    /// The same, and once at `now`.
    fn at_once(now: Duration) -> Self {
        let (first, _) = LOOKS;
        Self { next: now, pause: first / 2 }
    }

    /// Whether a look is due; the next one is set.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        if now < self.next {
            return false;
        }
        let (_, longest) = LOOKS;
        self.pause = (self.pause * 2).min(longest);
        self.next = now + self.pause;
        true
    }
}

/// An agent that stays after its login.
#[derive(Debug)]
pub(super) struct Lingering {
    until: Duration,
    looks: LookSchedule,
    /// One at a time. While it has no answer, what the login left running is taken to run still.
    search: Option<Search>,
    answers: u32,
}

impl Lingering {
    /// Begins when the login has ended at `now`, if policy lets it.
    pub(super) fn begin(policy: Linger, now: Duration) -> Option<Self> {
        (policy.what == LingerFor::Processes).then(|| Self {
            until: now + policy.max,
            looks: LookSchedule::at_once(now),
            search: None,
            answers: 0,
        })
    }

    /// What to poll for.
    pub(super) fn search(&self) -> Option<&Search> {
        self.search.as_ref()
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Duration {
        self.looks.deadline().min(self.until)
    }

    /// Begins a look that is due, hears the one before, and breaks off where there is nothing left to stay for.
    pub(super) fn look(&mut self, session: &str, user: &str, now: Duration) -> ControlFlow<(), LingerState> {
        let answer = self.search.as_mut().and_then(Search::answer);
        if answer.is_some() {
            self.search = None;
        }
        if now >= self.until || answer == Some(LeftRunning::Nobody) {
            return ControlFlow::Break(());
        }
        if self.looks.is_due(now) && self.search.is_none() {
            // Where there is no room for another process, there are some.
            self.search = Search::start(session, user).ok();
        }
        self.answers += u32::from(answer.is_some());
        // By the second one the shell has had its time to end.
        let is_known = answer.is_some() && self.answers == 2;
        ControlFlow::Continue(if is_known { LingerState::JustKnown } else { LingerState::AsBefore })
    }
}

/// That the agent stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LingerState {
    /// Which is news.
    JustKnown,
    /// Which is none.
    AsBefore,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn looks_become_rare_but_are_never_a_minute_apart() {
        let mut looks = LookSchedule::at_once(seconds(100));
        let mut now = seconds(100);
        assert!(looks.is_due(now) && looks.deadline() == now + LOOKS.0);
        let mut count = 0;
        while now < seconds(700) {
            let next = looks.deadline();
            assert!(next - now <= seconds(20));
            now = next;
            assert!(looks.is_due(now) && !looks.is_due(now));
            count += 1;
        }
        assert!(count < 40, "{count}");
    }

    #[test]
    fn a_day_is_the_end() {
        let mut lingering = Lingering::begin(Linger::default(), seconds(0)).unwrap();
        // No look is begun here.
        lingering.looks = LookSchedule::from(seconds(86400));
        assert_eq!(lingering.look("", "", seconds(86399)), ControlFlow::Continue(LingerState::AsBefore));
        assert_eq!(lingering.look("", "", seconds(86400)), ControlFlow::Break(()));
    }

    #[test]
    fn a_policy_of_no_is_no() {
        let no = Linger { what: LingerFor::No, ..Linger::default() };
        assert!(Lingering::begin(no, seconds(0)).is_none());
    }
}
