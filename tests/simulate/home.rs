//! One user's store, and the hosts of that user: who holds the store's lock, and which agents wake when.

use std::collections::VecDeque;
use std::time::Duration;

use iam_session::simulation::{Agent, Fault, LOCK_PATIENCE, Step, Store, Wake};

use crate::random::Random;

/// One host of the user.
struct Seat {
    host: u16,
    agent: Agent,
    /// The spread of each session's agent there. The one with the least of it wakes first.
    spreads: Vec<u8>,
    /// The first login.
    since: Duration,
    /// Its mint has a job that is not done.
    is_busy: bool,
    wakes_at: Option<Duration>,
}

impl Seat {
    fn is_due(&self, at: Duration) -> bool {
        !self.is_busy && self.wakes_at == Some(at)
    }

    /// For how long it has been without a token.
    fn lacks(&self, now: Duration) -> Duration {
        now.saturating_sub(self.agent.token_ends().unwrap_or_default().max(self.since))
    }
}

/// A request to the issuer.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) host: u16,
    pub(crate) asked: Duration,
}

#[derive(Default)]
pub(crate) struct Home {
    store: Store,
    /// The same for all tokens of a record.
    share: u8,
    seats: Vec<Seat>,
    /// The store's lock is held for it.
    request: Option<Request>,
    /// Hosts whose mints wait for it, and until when.
    waiting: VecDeque<(u16, Duration)>,
}

/// What the world has to see to.
pub(crate) enum News {
    /// This host's agents wake then.
    Wakes(u16, Duration),
    /// A mint asks the issuer.
    Asks(Request),
    /// This host's mint gives up then, if it still waits for the lock.
    GivesUp(u16, Duration),
    /// A host has a token, to which the first session now there has logged in then. It had none for so long.
    Served { host: u16, since: Duration, lacked: Duration },
}

impl Home {
    pub(crate) fn new(share: u8) -> Self {
        Self { share, ..Self::default() }
    }

    /// The one that is under way.
    pub(crate) fn request(&self) -> Option<Request> {
        self.request
    }

    fn seat(&mut self, host: u16) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.host == host)
    }

    /// How many hosts where the user has been since before `since` have no token that lives.
    pub(crate) fn without_token(&self, since: Duration, now: Duration) -> usize {
        let lacks = |seat: &&Seat| {
            !seat.spreads.is_empty() && seat.since < since && seat.agent.has_token(now) != Some(true)
        };
        self.seats.iter().filter(lacks).count()
    }

    /// What a session on this host reads in the token file.
    pub(crate) fn reads(&self, host: u16, now: Duration) -> Option<bool> {
        self.seats.iter().find(|seat| seat.host == host).and_then(|seat| seat.agent.has_token(now))
    }

    /// For how long a session on this host has been without a token.
    pub(crate) fn lacks(&self, host: u16, now: Duration) -> Duration {
        self.seats.iter().find(|seat| seat.host == host).map(|seat| seat.lacks(now)).unwrap_or_default()
    }

    pub(crate) fn begin_session(
        &mut self,
        host: u16,
        spread: u8,
        now: Duration,
        random: &mut Random,
        news: &mut Vec<News>,
    ) {
        if self.seat(host).is_none() {
            let (agent, spreads) = (Agent::new(host), Vec::new());
            self.seats.push(Seat { host, agent, spreads, since: now, is_busy: false, wakes_at: None });
        }
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.host == host) else { return };
        if seat.spreads.is_empty() {
            seat.since = now;
            seat.agent.log_in(&self.store, now, random.byte());
        }
        seat.spreads.push(spread);
        self.reschedule(host, now, news);
    }

    pub(crate) fn end_session(&mut self, host: u16, spread: u8, now: Duration, news: &mut Vec<News>) {
        if let Some(seat) = self.seat(host)
            && let Some(at) = seat.spreads.iter().position(|one| *one == spread)
        {
            seat.spreads.swap_remove(at);
        }
        self.seats.retain(|seat| !seat.spreads.is_empty() || seat.is_busy || seat.agent.is_held(now));
        self.reschedule(host, now, news);
    }

    /// The agents of a host may wake: not if they were rescheduled since.
    pub(crate) fn wake(&mut self, host: u16, at: Duration, random: &mut Random, news: &mut Vec<News>) {
        let seats = &mut self.seats;
        let Some(seat) = seats.iter_mut().find(|seat| seat.host == host && seat.is_due(at)) else { return };
        seat.wakes_at = None;
        let Some(first) = seat.spreads.iter().min() else { return };
        match seat.agent.wake(*first, &self.store, at, random.byte()) {
            Wake::Looks => self.reschedule(host, at, news),
            Wake::Renews => {
                seat.is_busy = true;
                let until = at + LOCK_PATIENCE;
                self.waiting.push_back((host, until));
                self.lock(at, random, news);
                if self.waiting.contains(&(host, until)) {
                    news.push(News::GivesUp(host, until));
                }
            }
        }
    }

    /// A mint may have waited for the lock for as long as it does.
    pub(crate) fn give_up(&mut self, host: u16, at: Duration, random: &mut Random, news: &mut Vec<News>) {
        let Some(place) = self.waiting.iter().position(|waiting| *waiting == (host, at)) else { return };
        self.waiting.remove(place);
        let Some(seat) = self.seat(host) else { return };
        seat.is_busy = false;
        seat.agent.gives_up(at, random.byte());
        self.reschedule(host, at, news);
    }

    /// Gives the store's lock to who waits for it.
    fn lock(&mut self, now: Duration, random: &mut Random, news: &mut Vec<News>) {
        while self.request.is_none()
            && let Some((host, _)) = self.waiting.pop_front()
        {
            let Some(seat) = self.seats.iter_mut().find(|seat| seat.host == host) else { continue };
            let (is_without, lacked) = (seat.agent.has_token(now) != Some(true), seat.lacks(now));
            match seat.agent.look(&self.store, now, random.byte()) {
                Step::Ask => {
                    let request = Request { host, asked: now };
                    self.request = Some(request);
                    news.push(News::Asks(request));
                }
                Step::Done => {
                    seat.is_busy = false;
                    if is_without && seat.agent.has_token(now) == Some(true) {
                        news.push(News::Served { host, since: seat.since, lacked });
                    }
                    self.reschedule(host, now, news);
                }
            }
        }
    }

    /// The issuer's answer: the life of a token, or what is wrong.
    pub(crate) fn answer(
        &mut self,
        answer: Result<Duration, Fault>,
        now: Duration,
        random: &mut Random,
        news: &mut Vec<News>,
    ) {
        let Some(request) = self.request.take() else { return };
        let share = self.share;
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.host == request.host) {
            seat.is_busy = false;
            let lacked = seat.lacks(now);
            match answer {
                Ok(life) => {
                    seat.agent.answered(&mut self.store, request.asked, life, share, now);
                    news.push(News::Served { host: seat.host, since: seat.since, lacked });
                }
                Err(fault) => seat.agent.failed(&mut self.store, fault, now, random.byte()),
            }
            self.reschedule(request.host, now, news);
        }
        self.lock(now, random, news);
    }

    fn reschedule(&mut self, host: u16, now: Duration, news: &mut Vec<News>) {
        let Some(seat) = self.seat(host).filter(|seat| !seat.is_busy) else { return };
        let first = seat.spreads.iter().min();
        let wakes_at = first.and_then(|first| seat.agent.wakes_at(*first, now)).map(|at| at.max(now));
        if wakes_at != seat.wakes_at {
            seat.wakes_at = wakes_at;
            news.extend(wakes_at.map(|at| News::Wakes(host, at)));
        }
    }
}
