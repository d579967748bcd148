//! The farm: users who log in to nodes, an issuer that is away for two hours, and the events of their days in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use iam_session::simulation::Fault;

use crate::home::{Home, News, Request};
use crate::random::Random;
use crate::record::Record;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
/// Of a token: an hour, and the second by which the mint takes it to end earlier.
pub(crate) const LIFE: Duration = Duration::from_secs(3599);
/// In the morning so many logins happen.
pub(crate) const STORM: Duration = Duration::from_secs(15 * 60);
pub(crate) const OUTAGE: Duration = Duration::from_secs(2 * 3600);
/// So long the issuer may take after its return to have served all.
pub(crate) const RECOVERY: Duration = Duration::from_secs(2 * 60);

/// Sessions end at any time, on average after this.
const SESSION: Duration = Duration::from_secs(2 * 3600);
/// A user who comes begins the usual number of sessions in this time.
const COMING: Duration = Duration::from_secs(10 * 60);
/// One user of so many is there before the storm.
const EARLY: usize = 5;
/// Each session reads the token file at any time, on average after this.
const READ: Duration = Duration::from_secs(30 * 60);
/// An answer takes the issuer this, and once more as long on average.
const LATENCY: Duration = Duration::from_millis(150);
/// How long a mint waits for a connection that does not come.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// What happens in the outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// The issuer gives no answer.
    Silent,
    /// It answers with status 503.
    Busy,
    /// One host of three has no network. All others reach the issuer.
    CutOff,
}

/// One host of so many.
const CUT_OFF: u16 = 3;

impl Outage {
    fn fault(self) -> Fault {
        match self {
            Self::Busy => Fault::Busy,
            Self::Silent | Self::CutOff => Fault::Silent,
        }
    }

    /// Whether it concerns this host.
    fn concerns(self, host: u16) -> bool {
        self != Self::CutOff || host.is_multiple_of(CUT_OFF)
    }
}

/// What is simulated.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) nodes: u16,
    /// At a time on each node, on average.
    pub(crate) sessions: u32,
    pub(crate) users: u32,
    pub(crate) hours: u32,
    /// Two hours of it.
    pub(crate) fault: Outage,
    /// Whether the hosts of a user share the store.
    pub(crate) sharing: Sharing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    On,
    Off,
}

impl Plan {
    pub(crate) fn end(&self) -> Duration {
        HOUR * self.hours
    }

    /// The users who were not there before come from then on.
    pub(crate) fn storm(&self) -> Duration {
        self.end() / 24
    }

    pub(crate) fn outage(&self) -> Duration {
        self.end() * 3 / 8
    }

    pub(crate) fn recovery(&self) -> Duration {
        self.outage() + OUTAGE
    }

    fn is_out(&self, request: Request) -> bool {
        self.fault.concerns(request.host) && (self.outage()..self.recovery()).contains(&request.asked)
    }

    /// The same for a host.
    pub(crate) fn is_host_excused(&self, host: u16, now: Duration) -> bool {
        self.fault.concerns(host) && self.is_excused(now)
    }

    /// The outage and what the issuer is given after it.
    pub(crate) fn is_excused(&self, now: Duration) -> bool {
        (self.outage()..self.recovery() + RECOVERY).contains(&now)
    }

    /// Sessions at a time of one user, on average.
    fn sessions_of_a_user(&self) -> f64 {
        f64::from(self.nodes) * f64::from(self.sessions) / f64::from(self.users)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    UserComes(u32),
    /// A session begins, and the user's next one is to be thought of.
    NextSession(u32),
    SessionBegins(u32),
    SessionEnds(u32),
    Wakes(HomeId, u16),
    GivesUp(HomeId, u16),
    Answer(HomeId),
}

/// A user's, or with sharing switched off that of a user on a host.
type HomeId = u32;

struct Session {
    user: u32,
    host: u16,
    spread: u8,
    /// Among those that live.
    place: usize,
}

struct Farm {
    plan: Plan,
    random: Random,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    homes: Vec<Home>,
    /// Of each user.
    session_counts: Vec<u32>,
    sessions: Vec<Session>,
    ended: Vec<u32>,
    living: Vec<u32>,
    record: Record,
}

/// Plays the plan. The same plan is the same in each run.
pub(crate) fn simulate(plan: Plan) -> Record {
    let mut farm = Farm::new(plan);
    farm.run();
    farm.record
}

impl Farm {
    fn new(plan: Plan) -> Self {
        let mut random = Random::new(1);
        let users = plan.users as usize;
        let shares: Vec<u8> = (0..users).map(|_| random.byte()).collect();
        let homes_of_a_user = if plan.sharing == Sharing::On { 1 } else { plan.nodes };
        let homes = shares.iter().flat_map(|share| (0..homes_of_a_user).map(|_| Home::new(*share)));
        let mut farm = Self {
            plan,
            random,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            homes: homes.collect(),
            session_counts: vec![0; users],
            sessions: Vec::new(),
            ended: Vec::new(),
            living: Vec::new(),
            record: Record::new(plan),
        };
        for user in 0..plan.users {
            let (from, span) = match farm.random.below(EARLY) {
                0 => (Duration::ZERO, plan.storm()),
                _ => (plan.storm(), STORM),
            };
            let at = from + farm.random.within(span);
            farm.at(at, Event::UserComes(user));
        }
        farm
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.events.push(Reverse((at, event)));
    }

    fn run(&mut self) {
        let mut next_read = Duration::ZERO;
        let mut is_checked = false;
        while let Some(Reverse((at, event))) =
            self.events.pop().filter(|Reverse((at, _))| *at < self.plan.end())
        {
            while next_read < at {
                self.read(next_read);
                let mean = READ / u32::try_from(self.living.len().max(1)).unwrap_or(u32::MAX);
                next_read += self.random.until_next(mean);
            }
            if !is_checked && at >= self.plan.recovery() + RECOVERY {
                is_checked = true;
                let now = self.plan.recovery() + RECOVERY;
                self.record.unserved =
                    self.homes.iter().map(|home| home.without_token(self.plan.recovery(), now)).sum();
            }
            self.now = at;
            self.happens(event);
        }
        self.record.end(self.session_counts.iter().filter(|count| **count > 0).count());
    }

    fn happens(&mut self, event: Event) {
        let now = self.now;
        let usual = self.plan.sessions_of_a_user();
        match event {
            Event::UserComes(user) => {
                for _ in 0..self.random.number(usual) {
                    let at = now + self.random.within(COMING);
                    self.at(at, Event::SessionBegins(user));
                }
                self.think_of_the_next(user);
            }
            Event::NextSession(user) => {
                self.begin_session(user);
                self.think_of_the_next(user);
            }
            Event::SessionBegins(user) => self.begin_session(user),
            Event::SessionEnds(id) => self.end_session(id),
            Event::Wakes(home, host) => {
                self.with_home(home, |home, random, news| home.wake(host, now, random, news));
            }
            Event::GivesUp(home, host) => {
                self.with_home(home, |home, random, news| home.give_up(host, now, random, news));
            }
            Event::Answer(home) => {
                let plan = self.plan;
                self.with_home(home, |home, random, news| {
                    let is_out = home.request().is_some_and(|request| plan.is_out(request));
                    let answer = if is_out { Err(plan.fault.fault()) } else { Ok(LIFE) };
                    home.answer(answer, now, random, news);
                });
            }
        }
    }

    fn think_of_the_next(&mut self, user: u32) {
        let at = self.now + self.random.until_next(SESSION.div_f64(self.plan.sessions_of_a_user()));
        self.at(at, Event::NextSession(user));
    }

    fn home_of(&self, user: u32, host: u16) -> HomeId {
        match self.plan.sharing {
            Sharing::On => user,
            Sharing::Off => user * u32::from(self.plan.nodes) + u32::from(host),
        }
    }

    /// Has something done in a home, and sees to what follows.
    fn with_home(&mut self, id: HomeId, act: impl FnOnce(&mut Home, &mut Random, &mut Vec<News>)) {
        let user = match self.plan.sharing {
            Sharing::On => id,
            Sharing::Off => id / u32::from(self.plan.nodes),
        };
        let mut news = Vec::new();
        act(&mut self.homes[id as usize], &mut self.random, &mut news);
        for one in news {
            match one {
                News::Wakes(host, at) => self.at(at, Event::Wakes(id, host)),
                News::GivesUp(host, at) => self.at(at, Event::GivesUp(id, host)),
                News::Served { host, since, lacked } => {
                    self.record.served(host, since, lacked, self.now);
                    self.record.lacked(host, lacked, self.now);
                }
                News::Asks(request) => self.ask(id, user, request),
            }
        }
    }

    fn ask(&mut self, home: HomeId, user: u32, request: Request) {
        let is_lost = self.plan.is_out(request) && self.plan.fault != Outage::Busy;
        // One that does not leave its host costs the issuer nothing.
        if !is_lost || self.plan.fault == Outage::Silent {
            self.record.request(user, request.asked);
        }
        let takes = if is_lost { CONNECT } else { LATENCY + self.random.until_next(LATENCY) };
        self.at(request.asked + takes, Event::Answer(home));
    }

    fn begin_session(&mut self, user: u32) {
        let now = self.now;
        let host = u16::try_from(self.random.below(self.plan.nodes.into())).unwrap_or_default();
        let session = Session { user, host, spread: self.random.byte(), place: self.living.len() };
        let spread = session.spread;
        let id = self.ended.pop().unwrap_or_else(|| u32::try_from(self.sessions.len()).unwrap_or_default());
        match self.sessions.get_mut(id as usize) {
            Some(place) => *place = session,
            None => self.sessions.push(session),
        }
        self.living.push(id);
        let ends = now + self.random.until_next(SESSION);
        self.at(ends, Event::SessionEnds(id));
        let count = &mut self.session_counts[user as usize];
        *count += 1;
        if *count == 1 {
            self.record.user_comes(now);
        }
        self.with_home(self.home_of(user, host), |home, random, news| {
            home.begin_session(host, spread, now, random, news);
        });
    }

    fn end_session(&mut self, id: u32) {
        let now = self.now;
        let Session { user, host, spread, place } = self.sessions[id as usize];
        self.ended.push(id);
        self.living.swap_remove(place);
        if let Some(moved) = self.living.get(place) {
            self.sessions[*moved as usize].place = place;
        }
        let count = &mut self.session_counts[user as usize];
        *count -= 1;
        if *count == 0 {
            self.record.user_goes(now);
        }
        self.with_home(self.home_of(user, host), |home, _, news| home.end_session(host, spread, now, news));
    }

    /// Any session reads the token file.
    fn read(&mut self, now: Duration) {
        if self.living.is_empty() {
            return;
        }
        let session = &self.sessions[self.living[self.random.below(self.living.len())] as usize];
        let home = &self.homes[self.home_of(session.user, session.host) as usize];
        self.record.read(session.host, home.reads(session.host, now), now);
        if home.reads(session.host, now) != Some(true) {
            self.record.lacked(session.host, home.lacks(session.host, now), now);
        }
    }
}
