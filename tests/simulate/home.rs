//! One user's store, and the hosts of that user: who holds the store's lock, and which agents wake when.

use std::collections::VecDeque;
use std::time::Duration;

use iam_session::simulation::{Agent, Fault, Step, Store, Wake};

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
}

/// A request to the issuer.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    host: u16,
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
    waiting: VecDeque<u16>,
}

/// What the world has to see to.
pub(crate) enum News {
    /// This host's agents wake then.
    Wakes(u16, Duration),
    /// A mint asks the issuer.
    Asks(Request),
    /// A host has a token, to which the first session now there has logged in then.
    Served(Duration),
}

impl Home {
    pub(crate) fn new(share: u8) -> Self {
        Self { share, ..Self::default() }
    }

    /// When the request was sent that is under way.
    pub(crate) fn asked(&self) -> Option<Duration> {
        self.request.map(|request| request.asked)
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
                self.waiting.push_back(host);
                self.lock(at, random, news);
            }
        }
    }

    /// Gives the store's lock to who waits for it.
    fn lock(&mut self, now: Duration, random: &mut Random, news: &mut Vec<News>) {
        while self.request.is_none()
            && let Some(host) = self.waiting.pop_front()
        {
            let Some(seat) = self.seats.iter_mut().find(|seat| seat.host == host) else { continue };
            let lacked = seat.agent.has_token(now) != Some(true);
            match seat.agent.look(&self.store, now, random.byte()) {
                Step::Ask => {
                    let request = Request { host, asked: now };
                    self.request = Some(request);
                    news.push(News::Asks(request));
                }
                Step::Done => {
                    seat.is_busy = false;
                    if lacked && seat.agent.has_token(now) == Some(true) {
                        news.push(News::Served(seat.since));
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
            match answer {
                Ok(life) => {
                    seat.agent.answered(&mut self.store, request.asked, life, share, now);
                    news.push(News::Served(seat.since));
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
