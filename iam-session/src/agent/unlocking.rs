//! Passphrases on their way to the mint: one at a time, and slower after each that was wrong. Touches nothing but
//! the mint's queue.

use std::collections::VecDeque;
use std::time::Duration;

use super::guesses::pause_after;
use super::job::{Done, Job};
use super::link::{Link, Outcome, Ticket};
use super::peer::PeerId;
use crate::protocol::{Failure, FailureKind, Unlocked};
use crate::secret::Secret;

/// Who types passphrases has one hand or two.
const MAX_WAITING: usize = 4;
/// The longest pause, and a mint behind it. The command line waits 5 s longer.
const PATIENCE: Duration = Duration::from_secs(70);

/// What the client is told.
pub(super) type Reply = Result<Unlocked, Failure>;

struct Try {
    peer: PeerId,
    deadline: Duration,
}

/// What was given.
pub(super) struct Given {
    pub(super) passphrase: Secret,
    /// How long it is to open what it opens; for good if absent.
    pub(super) span: Option<Duration>,
}

/// The passphrases that wait, and the one that is tried.
#[derive(Default)]
pub(super) struct Unlocking {
    waiting: VecDeque<(Try, Given)>,
    trying: Option<(Try, Ticket)>,
    wrong: u32,
    not_before: Duration,
}

impl Unlocking {
    /// Takes a passphrase; a reply now is a refusal.
    pub(super) fn receive(&mut self, peer: PeerId, given: Given, now: Duration) -> Option<Reply> {
        if self.waiting.len() >= MAX_WAITING {
            return Some(Err(failure("other passphrases are being tried")));
        }
        self.waiting.push_back((Try { peer, deadline: now + PATIENCE }, given));
        None
    }

    /// Whether there is one to be handed over.
    pub(super) fn is_waiting(&self) -> bool {
        self.trying.is_none() && !self.waiting.is_empty()
    }

    /// Hands the next one over, if it is time; `not_before` is what the user's other agents have met with.
    pub(super) fn advance(&mut self, link: &mut Link, not_before: Duration, now: Duration) {
        self.not_before = self.not_before.max(not_before);
        if self.trying.is_some() || now < self.not_before {
            return;
        }
        if let Some((attempt, Given { passphrase, span })) = self.waiting.pop_front() {
            let until = span.map(|span| now + span);
            self.trying = Some((attempt, link.submit(Job::Unlock { passphrase, until })));
        }
    }

    /// The reply that an outcome makes possible.
    pub(super) fn finished(
        &mut self,
        ticket: Ticket,
        outcome: &Outcome,
        now: Duration,
    ) -> Option<(PeerId, Reply)> {
        let (attempt, _) = self.trying.take_if(|(_, trying)| *trying == ticket)?;
        let reply = match outcome {
            Ok(Done::Unlocked(Ok(unlock))) => Ok(unlock.answer.clone()),
            Ok(Done::Unlocked(Err(failure))) | Err(failure) => Err(failure.clone()),
            Ok(_) => Err(failure("the agent's mint answered something else than was asked")),
        };
        match &reply {
            Ok(_) => self.wrong = 0,
            Err(failure) if failure.kind == FailureKind::Locked => {
                self.not_before = now + pause_after(self.wrong);
                self.wrong = self.wrong.saturating_add(1);
            }
            Err(_) => {}
        }
        Some((attempt.peer, reply))
    }

    /// Replies to those who have waited long enough; what is tried goes on.
    pub(super) fn overdue(&mut self, now: Duration) -> Vec<(PeerId, Reply)> {
        let mut late = Vec::new();
        self.waiting.retain(|(attempt, _)| {
            let is_late = attempt.deadline <= now;
            late.extend(is_late.then_some(attempt.peer));
            !is_late
        });
        if let Some((attempt, _)) = &mut self.trying
            && attempt.deadline <= now
        {
            late.push(attempt.peer);
            attempt.deadline = Duration::MAX;
        }
        late.into_iter()
            .map(|peer| (peer, Err(failure("the home directory has not answered in time"))))
            .collect()
    }

    /// When to come back at the latest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let next = (self.trying.is_none() && !self.waiting.is_empty()).then_some(self.not_before);
        let trying = self.trying.as_ref().map(|(attempt, _)| attempt.deadline);
        let waiting = self.waiting.iter().map(|(attempt, _)| attempt.deadline);
        waiting.chain(trying).chain(next).filter(|at| *at != Duration::MAX).min()
    }

    /// The client has gone: what it typed is not tried any more.
    pub(super) fn gone(&mut self, peer: PeerId) {
        self.waiting.retain(|(attempt, _)| attempt.peer != peer);
    }
}

fn failure(error: &str) -> Failure {
    Failure { error: error.to_owned(), info: Some("try again in a moment".into()), kind: FailureKind::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Keyring;

    const START: Duration = Duration::from_secs(100);

    fn seconds(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    fn given(passphrase: &str) -> Given {
        Given { passphrase: Secret::new(passphrase.into()), span: None }
    }

    fn link() -> Link {
        Link::new(Vec::new(), Keyring::default())
    }

    fn wrong() -> Outcome {
        let failure = Failure { error: "wrong".into(), info: None, kind: FailureKind::Locked };
        Ok(Done::Unlocked(Err(failure)))
    }

    fn ticket(unlocking: &Unlocking) -> Option<Ticket> {
        unlocking.trying.as_ref().map(|(_, ticket)| *ticket)
    }

    #[test]
    fn each_wrong_one_makes_the_next_one_wait_longer() {
        let (mut unlocking, mut link, mut now) = (Unlocking::default(), link(), START);
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            assert!(unlocking.receive(1, given("x"), now).is_none());
            unlocking.advance(&mut link, Duration::ZERO, now);
            let tried = ticket(&unlocking).unwrap();
            let (peer, reply) = unlocking.finished(tried, &wrong(), now).unwrap();
            assert_eq!((peer, reply.unwrap_err().kind), (1, FailureKind::Locked));
            unlocking.receive(2, given("y"), now);
            assert_eq!(unlocking.deadline(), Some(now + Duration::from_secs(pause)));
            unlocking.advance(
                &mut link,
                Duration::ZERO,
                now + Duration::from_secs(pause) - Duration::from_millis(1),
            );
            assert!(ticket(&unlocking).is_none());
            unlocking.gone(2);
            now += Duration::from_secs(pause);
        }
    }

    #[test]
    fn what_was_wrong_at_another_agent_makes_this_one_wait() {
        let (mut unlocking, mut link) = (Unlocking::default(), link());
        unlocking.receive(1, given("x"), START);
        unlocking.advance(&mut link, seconds(4), START);
        assert!(ticket(&unlocking).is_none() && unlocking.is_waiting());
        assert_eq!(unlocking.deadline(), Some(seconds(4)));
        unlocking.advance(&mut link, seconds(4), seconds(4));
        assert!(ticket(&unlocking).is_some() && !unlocking.is_waiting());
    }

    #[test]
    fn guesses_at_once_are_tried_one_after_the_other_and_not_many() {
        let (mut unlocking, mut link) = (Unlocking::default(), link());
        let refused = |unlocking: &mut Unlocking, peer| unlocking.receive(peer, given("x"), START).is_some();
        assert!(!refused(&mut unlocking, 0));
        unlocking.advance(&mut link, Duration::ZERO, START);
        let first = ticket(&unlocking);
        assert!((1..=4).all(|peer| !refused(&mut unlocking, peer)) && refused(&mut unlocking, 5));
        unlocking.advance(&mut link, Duration::ZERO, START);
        assert_eq!(ticket(&unlocking), first);
    }

    #[test]
    fn whoever_has_waited_long_enough_is_told() {
        let (mut unlocking, mut link) = (Unlocking::default(), link());
        unlocking.receive(1, given("x"), START);
        unlocking.advance(&mut link, Duration::ZERO, START);
        unlocking.receive(2, given("x"), seconds(1));
        assert_eq!(unlocking.deadline(), Some(seconds(70)));
        let late: Vec<PeerId> = unlocking.overdue(seconds(70)).into_iter().map(|(peer, _)| peer).collect();
        assert_eq!((late, unlocking.deadline()), (vec![1], Some(seconds(71))));
    }
}
