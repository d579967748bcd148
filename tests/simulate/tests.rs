//! Farms that are small enough for every run of the tests.

use std::ops::Range;
use std::time::Duration;

use iam_session::simulation::Fault;

use crate::farm::{CONNECT, LIFE, Outage, Plan, Sharing, simulate};
use crate::home::{Home, News, Request};
use crate::random::Random;
use crate::record::{Reach, Record};

const SMALL: Plan =
    Plan { nodes: 10, sessions: 200, users: 1000, hours: 6, fault: Outage::Silent, sharing: Sharing::On };

fn missed(record: &Record) -> Vec<String> {
    let missed = record.reaches().into_iter().filter(|reach| !reach.is_met);
    missed.map(|Reach { name, found, .. }| format!("{name}: {found}")).collect()
}

#[test]
fn a_farm_reaches_what_is_promised_to_its_issuer_however_that_fails() {
    for fault in [Outage::Silent, Outage::Busy] {
        let record = simulate(Plan { fault, ..SMALL });
        assert_eq!(missed(&record), [""; 0], "{fault:?}");
        assert!(record.users_at_end > 500 && record.expired_in_outage > 0);
        // One request a user and minute, and one of each host of a user when it first fails.
        let (mean, _) = record.outage_rate();
        assert!(mean > 1.0 && mean < f64::from(SMALL.users) / 55.0, "{mean} a second");
    }
}

#[test]
fn hosts_without_a_network_keep_no_other_waiting() {
    let plan = Plan { nodes: 30, fault: Outage::CutOff, ..SMALL };
    let record = simulate(plan);
    assert_eq!(missed(&record), [""; 0]);
    assert!(record.expired_in_outage > 0);
    // The issuer is asked no more than ever.
    let (mean, _) = record.outage_rate();
    assert!(mean < 2.0 * record.rate() * f64::from(plan.users) / 3600.0, "{mean} a second");
}

#[test]
fn a_mint_waits_for_the_lock_no_longer_than_a_real_one() {
    let (mut home, mut random, mut news) = (Home::new(0), Random::new(1), Vec::new());
    for host in [1, 2] {
        home.begin_session(host, 0, Duration::ZERO, &mut random, &mut news);
    }
    for host in [1, 2] {
        home.wake(host, Duration::ZERO, &mut random, &mut news);
    }
    let until = news.iter().find_map(|news| match news {
        News::GivesUp(2, at) => Some(*at),
        _ => None,
    });
    assert_eq!(until, Some(Duration::from_secs(60)));
    news.clear();
    home.give_up(2, until.unwrap(), &mut random, &mut news);
    // It tries again, and has no part in the answer.
    assert!(matches!(news[..], [News::Wakes(2, at)] if at >= Duration::from_secs(65)));
    home.answer(Err(Fault::Silent), Duration::from_secs(70), &mut random, &mut news);
    assert!(home.request().is_none());
}

#[test]
fn hosts_that_do_not_share_a_store_cost_the_issuer_more() {
    let missed = missed(&simulate(Plan { sharing: Sharing::Off, ..SMALL }));
    for name in ["requests over 1.5 an hour and user", "requests of one user after the outage"] {
        assert!(missed.iter().any(|missed| missed.starts_with(name)), "{missed:?}");
    }
}

/// One user, whose share of the spread is the latest, with one session on each host.
struct LateUser {
    home: Home,
    random: Random,
    hosts: Range<u16>,
    news: Vec<News>,
    /// When the issuer was asked.
    asked: Vec<Duration>,
    /// How often a host had no token after the first one.
    lacked: usize,
}

impl LateUser {
    fn new(hosts: u16, seed: u64) -> Self {
        let (home, random, news) = (Home::new(u8::MAX), Random::new(seed), Vec::new());
        Self { home, random, hosts: 0..hosts, news, asked: Vec::new(), lacked: 0 }
    }

    /// Plays four hours, in which the issuer fails so for that time.
    fn play(mut self, fault: Fault, outage: &Range<Duration>) -> Self {
        for host in self.hosts.clone() {
            self.home.begin_session(host, u8::MAX, Duration::ZERO, &mut self.random, &mut self.news);
        }
        let answered = |request: &Request| match fault {
            Fault::Silent if outage.contains(&request.asked) => request.asked + CONNECT,
            _ => request.asked + Duration::from_millis(300),
        };
        let time = |news: &News| match news {
            News::Wakes(_, at) | News::GivesUp(_, at) => *at,
            News::Asks(request) => answered(request),
            News::Served { .. } => Duration::ZERO,
        };
        while let Some(first) = (0..self.news.len()).min_by_key(|at| time(&self.news[*at])) {
            let next = self.news.remove(first);
            let now = time(&next);
            if now > LIFE * 4 {
                break;
            }
            let before = now.saturating_sub(Duration::from_nanos(1));
            let lacks = |host: &u16| self.home.reads(*host, before) == Some(false);
            self.lacked += self.hosts.clone().filter(lacks).count();
            match next {
                News::Wakes(host, at) => self.home.wake(host, at, &mut self.random, &mut self.news),
                News::Asks(request) => {
                    self.asked.push(request.asked);
                    let answer = if outage.contains(&request.asked) { Err(fault) } else { Ok(LIFE) };
                    self.home.answer(answer, now, &mut self.random, &mut self.news);
                }
                News::GivesUp(host, at) => {
                    self.home.give_up(host, at, &mut self.random, &mut self.news);
                }
                News::Served { .. } => {}
            }
        }
        self
    }
}

#[test]
fn an_outage_of_eight_minutes_leaves_nobody_without_a_token() {
    let minutes = Duration::from_secs(60);
    for (fault, hosts, seed) in
        [Fault::Silent, Fault::Busy].into_iter().flat_map(|fault| (0..60).map(move |n| (fault, 1 + n % 3, n)))
    {
        let user = |outage| LateUser::new(hosts, u64::from(seed)).play(fault, &outage);
        let well = user(Duration::ZERO..Duration::ZERO);
        assert!(well.lacked == 0 && well.asked.len() == 5, "{:?}", well.asked);
        // It begins when the first renewal would have come.
        let renewal = well.asked[1];
        let poor = user(renewal..renewal + 8 * minutes);
        assert!(poor.asked.len() > 7, "{:?}", poor.asked);
        assert_eq!(poor.lacked, 0, "{fault:?} on {hosts} hosts: {:?}", poor.asked);
        assert!(user(renewal..renewal + 12 * minutes).lacked > 0);
    }
}
