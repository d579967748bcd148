//! When the agent wakes by itself, and for what. Pure; touches nothing.

use std::time::Duration;

use crate::runtime::freshness::{Freshness, TokenLife};
use crate::runtime::last_failure::{LastFailure, RequestedBy, RetryWhen};

/// Whatever goes wrong, nothing is attempted by itself more often; doubled, up to the second, after each attempt that
/// came to nothing and left no last failure to say why: where the runtime directory is full, nothing can be noted.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// The agents of one user spread over this time, too, when they see a file that is to be mended: one look mends it for
/// all.
const MEND_WITHIN: Duration = Duration::from_millis(500);
/// A store that cannot be read, a home that comes with a ticket, say, is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// What an issuer refused may be over, for somebody has seen to it on another host: the store says so, and the issuer is
/// not asked for that.
const LOOK_WHETHER_OVER: Duration = Duration::from_secs(5 * 60);

/// What the agent does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentTask {
    /// Have the session token renewed.
    Renew,
    /// See whether the store can be read again.
    Look,
}

/// What is known of the default account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AccountState<'a> {
    /// There is none, or nobody but the user can do anything about it.
    Nothing,
    /// The store or its record cannot be read.
    Troubled,
    /// Enrolled, perhaps with a token, perhaps after a failure; `damaged`: since when the file is not as it should be.
    Enrolled { token: Option<TokenLife>, damaged: Option<Duration>, last_failure: Option<&'a LastFailure> },
}

/// The last attempt of this agent, and how long it waits before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempts {
    last: Option<Duration>,
    pause: Duration,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { last: None, pause: PAUSE.0 }
    }
}

impl Attempts {
    pub(crate) fn begin(&mut self, now: Duration) {
        self.last = Some(now);
    }

    /// The file is as it should be, also after an attempt that was to mend it.
    pub(super) fn mended(&mut self) {
        self.pause = PAUSE.0;
    }

    /// A renewal is back, and this is what is there now. Without a token that is fresh, and without a last failure that
    /// holds, it came to nothing.
    pub(crate) fn end(
        &mut self,
        token: Option<TokenLife>,
        last_failure: Option<&LastFailure>,
        now: Duration,
    ) {
        if token.is_some_and(|life| life.is_enough(Freshness::Renewed, now)) {
            // Nothing to recover from: a token that lives for seconds is renewed within seconds.
            *self = Self::default();
        } else if !last_failure.is_some_and(|failure| failure.holds(RequestedBy::Agent, now)) {
            self.came_to_nothing();
        }
    }

    /// Begins one that counts as failed until its end is seen.
    pub(super) fn begin_doubtful(&mut self, now: Duration) {
        self.begin(now);
        self.came_to_nothing();
    }

    pub(super) fn came_to_nothing(&mut self) {
        self.pause = (self.pause * 2).min(PAUSE.1);
    }
}

/// The next task and its time on CLOCK_BOOTTIME. `spread` (0 to 255) is this agent's own.
pub(crate) fn next(
    standing: AccountState<'_>,
    attempts: Attempts,
    spread: u8,
    now: Duration,
) -> Option<(Duration, AgentTask)> {
    // At once the first time: a moment that moves with `now` would never come.
    let after = |pause| attempts.last.map_or(now, |last| last + pause);
    match standing {
        AccountState::Nothing => None,
        AccountState::Troubled => Some((after(LOOK_AGAIN), AgentTask::Look)),
        // Whatever else is wrong: what is there now misleads those who read it.
        AccountState::Enrolled { damaged: Some(since), .. } => {
            let own_moment = since + MEND_WITHIN * u32::from(spread) / 256;
            Some((own_moment.max(after(attempts.pause)), AgentTask::Look))
        }
        AccountState::Enrolled { token, last_failure, .. } => {
            let due = token.map_or(now, |life| life.renewal_by(spread));
            let spared = last_failure.map_or(now, |last_failure| last_failure.not_before);
            let is_lasting = last_failure.is_some_and(|failure| failure.outlook == RetryWhen::Lasting);
            let renewal = (due.max(spared).max(after(attempts.pause)), AgentTask::Renew);
            let stored = last_failure.filter(|last_failure| last_failure.in_store);
            let look = stored.map(|stored| attempts.last.unwrap_or(stored.noted) + LOOK_WHETHER_OVER);
            let look = look.map(|at| (at, AgentTask::Look));
            look.into_iter().chain((!is_lasting).then_some(renewal)).min_by_key(|(at, _)| *at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::protocol::Failure;
    use crate::runtime::last_failure::RetryPause;

    const NOW: Duration = Duration::from_secs(1000);

    fn at(standing: AccountState<'_>, last_attempt: Option<u64>, spread: u8) -> Option<(u64, AgentTask)> {
        let attempts = Attempts { last: last_attempt.map(Duration::from_secs), ..Attempts::default() };
        next(standing, attempts, spread, NOW).map(|(at, task)| (at.as_secs(), task))
    }

    fn enrolled(token: Option<TokenLife>, last_failure: Option<&LastFailure>) -> AccountState<'_> {
        AccountState::Enrolled { token, damaged: None, last_failure }
    }

    fn life(issued: u64, ends: u64) -> Option<TokenLife> {
        Some(TokenLife { issued: Duration::from_secs(issued), ends: Duration::from_secs(ends), share: 0 })
    }

    fn last_failure(outlook: RetryWhen) -> LastFailure {
        let failure = Failure::unreachable("e");
        let wish = RetryPause::Issuers(Duration::from_secs(30));
        LastFailure::after(None, failure, outlook, wish, "boot", Now { unix: 0, boot: NOW })
    }

    #[test]
    fn a_token_is_renewed_by_each_agent_at_its_own_moment() {
        let standing = enrolled(life(1000, 4600), None);
        assert_eq!(at(standing, None, 0), Some((2800, AgentTask::Renew)));
        assert_eq!(at(standing, None, 128), Some((2815, AgentTask::Renew)));
    }

    #[test]
    fn a_short_life_is_renewed_once_and_before_its_end() {
        for whole in [60, 300, 1200].map(Duration::from_secs) {
            for (share, spread) in [(0, 0), (255, 255)] {
                let (mut now, mut token, mut attempts) = (NOW, None, Attempts::default());
                let mut wakes = 0;
                while now < NOW + whole * 10 {
                    attempts.begin(now);
                    // A slow issuer.
                    let ends = now + whole;
                    now += whole / 30;
                    assert!(token.is_none_or(|life: TokenLife| {
                        life.is_enough(Freshness::Valid((whole / 5).as_secs()), now)
                    }));
                    token = Some(TokenLife { issued: ends - whole, ends, share });
                    attempts.end(token, None, now);
                    let task;
                    (now, task) = next(enrolled(token, None), attempts, spread, now).unwrap();
                    assert_eq!(task, AgentTask::Renew);
                    wakes += 1;
                }
                assert!((10..=20).contains(&wakes), "{wakes} renewals in ten lives of {whole:?}");
            }
        }
    }

    #[test]
    fn a_missing_token_is_due_at_once_and_never_again_within_seconds() {
        let standing = enrolled(None, None);
        assert_eq!(at(standing, None, 0), Some((1000, AgentTask::Renew)));
        assert_eq!(at(standing, Some(999), 0), Some((1004, AgentTask::Renew)));
    }

    #[test]
    fn a_failing_issuer_is_spared() {
        let passing = last_failure(RetryWhen::Passing);
        let standing = enrolled(life(0, 1200), Some(&passing));
        assert_eq!(at(standing, None, 0), Some((1030, AgentTask::Renew)));
    }

    #[test]
    fn what_only_the_user_can_mend_wakes_nobody() {
        let lasting = last_failure(RetryWhen::Lasting);
        assert_eq!(at(enrolled(None, Some(&lasting)), None, 0), None);
        assert_eq!(at(AccountState::Nothing, None, 0), None);
    }

    #[test]
    fn what_the_store_says_is_looked_at_again_for_another_host_may_have_mended_it() {
        let of = |outlook, wish| {
            let wish = RetryPause::Issuers(Duration::from_secs(wish));
            let now = Now { unix: 0, boot: NOW };
            let failure = Failure::unreachable("e");
            LastFailure { in_store: true, ..LastFailure::after(None, failure, outlook, wish, "boot", now) }
        };
        let lasting = of(RetryWhen::Lasting, 30);
        assert_eq!(at(enrolled(None, Some(&lasting)), None, 0), Some((1300, AgentTask::Look)));
        assert_eq!(at(enrolled(None, Some(&lasting)), Some(1400), 0), Some((1700, AgentTask::Look)));
        let long = of(RetryWhen::Passing, 7200);
        assert_eq!(at(enrolled(None, Some(&long)), Some(1000), 0), Some((1300, AgentTask::Look)));
        let short = of(RetryWhen::Passing, 30);
        assert_eq!(at(enrolled(None, Some(&short)), Some(1000), 0), Some((1030, AgentTask::Renew)));
    }

    #[test]
    fn an_unreadable_store_is_looked_at_at_once_and_then_once_a_minute() {
        assert_eq!(at(AccountState::Troubled, None, 0), Some((1000, AgentTask::Look)));
        assert_eq!(at(AccountState::Troubled, Some(990), 0), Some((1050, AgentTask::Look)));
    }

    #[test]
    fn a_file_that_is_damaged_is_mended_by_each_agent_at_its_own_moment_and_not_without_end() {
        let lasting = last_failure(RetryWhen::Lasting);
        let since = Some(Duration::from_secs(1000));
        for (token, last_failure) in [(life(1000, 4600), None), (None, Some(&lasting))] {
            let damaged = AccountState::Enrolled { token, damaged: since, last_failure };
            let task = |attempts, spread| next(damaged, attempts, spread, NOW);
            let at = |milliseconds| Some((Duration::from_millis(milliseconds), AgentTask::Look));
            let mut attempts = Attempts::default();
            assert_eq!(task(attempts, 0), at(1_000_000));
            assert_eq!(task(attempts, 128), at(1_000_250));
            attempts.begin(NOW);
            assert_eq!(task(attempts, 128), at(1_005_000));
            attempts.came_to_nothing();
            assert_eq!(task(attempts, 128), at(1_010_000));
            // Two programs that write at each other do so once in so many seconds.
            attempts.mended();
            assert_eq!(task(attempts, 128), at(1_005_000));
        }
    }

    #[test]
    fn attempts_that_come_to_nothing_become_rare() {
        let mut attempts = Attempts::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            attempts.begin(NOW);
            pauses.push(next(enrolled(None, None), attempts, 0, NOW).unwrap().0.as_secs() - 1000);
            attempts.came_to_nothing();
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        // A last failure says for how long already.
        let before = attempts;
        attempts.end(life(0, 1500), Some(&last_failure(RetryWhen::Passing)), NOW);
        assert_eq!(attempts, before);
        attempts.end(life(600, 4200), None, NOW);
        assert_eq!(attempts, Attempts::default());
    }
}
