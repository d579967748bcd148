//! What is counted while a plan is played, and what follows from it.

use std::time::Duration;

use crate::farm::{HOUR, LIFE, MINUTE, Plan, RECOVERY, STORM};

/// A peak among fewer requests than these on average is one of chance.
const COUNTED: f64 = 100.0;
/// Another host may hold the lock for its request, and then one more.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Renewals an hour and user.
const AN_HOUR: f64 = 1.5;

pub(crate) struct Record {
    pub(crate) plan: Plan,
    /// In each second.
    seconds: Vec<u32>,
    /// Outside of the outage and what follows it at once.
    requests: u64,
    /// Users who had no session anywhere before.
    comings: u64,
    /// Users with a session, now and summed up to `counted_until`.
    active: u32,
    user_time: Duration,
    counted_until: Duration,
    /// Of each user, in the two minutes after the outage.
    after_outage: Vec<u16>,
    last_served: Duration,
    /// By a host that was to have a token.
    longest_wait: Duration,
    /// Hosts with a session and without a token two minutes after the outage.
    pub(crate) unserved: usize,
    pub(crate) reads: u64,
    pub(crate) expired: u64,
    pub(crate) expired_in_outage: u64,
    pub(crate) users_at_end: usize,
}

/// A reach, and whether it is met.
pub(crate) struct Reach {
    pub(crate) name: &'static str,
    pub(crate) wanted: &'static str,
    pub(crate) found: String,
    pub(crate) is_met: bool,
}

/// The busiest stretch of a time.
pub(crate) struct Peak {
    pub(crate) minutes: usize,
    pub(crate) over_mean: f64,
}

impl Record {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            seconds: vec![0; usize::try_from(plan.end().as_secs()).unwrap_or_default()],
            requests: 0,
            comings: 0,
            active: 0,
            user_time: Duration::ZERO,
            counted_until: Duration::ZERO,
            after_outage: vec![0; plan.users as usize],
            last_served: Duration::ZERO,
            longest_wait: Duration::ZERO,
            unserved: 0,
            reads: 0,
            expired: 0,
            expired_in_outage: 0,
            users_at_end: 0,
        }
    }

    pub(crate) fn request(&mut self, user: u32, at: Duration) {
        if let Some(second) = usize::try_from(at.as_secs()).ok().and_then(|at| self.seconds.get_mut(at)) {
            *second += 1;
        }
        if !self.plan.is_excused(at) {
            self.requests += 1;
        } else if at >= self.plan.recovery() {
            self.after_outage[user as usize] += 1;
        }
    }

    /// A host has a token, on which the user has been since `since`, and which has been without one for so long.
    pub(crate) fn served(&mut self, host: u16, since: Duration, lacked: Duration, now: Duration) {
        if since < self.plan.recovery() && !lacked.is_zero() && self.plan.is_host_excused(host, now) {
            self.last_served = now;
        }
    }

    /// A host has been without a token for so long.
    pub(crate) fn lacked(&mut self, host: u16, lacked: Duration, now: Duration) {
        if !self.plan.is_host_excused(host, now) {
            self.longest_wait = self.longest_wait.max(lacked);
        }
    }

    pub(crate) fn user_comes(&mut self, now: Duration) {
        self.count_time(now);
        self.active += 1;
        self.comings += u64::from(!self.plan.is_excused(now));
    }

    pub(crate) fn user_goes(&mut self, now: Duration) {
        self.count_time(now);
        self.active -= 1;
    }

    fn count_time(&mut self, now: Duration) {
        let (from, out) = (self.plan.outage(), self.plan.recovery() + RECOVERY);
        let excused = |at: Duration| at.clamp(from, out);
        let span = (now - self.counted_until) - (excused(now) - excused(self.counted_until));
        self.user_time += span * self.active;
        self.counted_until = now;
    }

    /// `holds`: whether the token there lives; none has ever been there before the issuer's first answer.
    pub(crate) fn read(&mut self, host: u16, holds: Option<bool>, now: Duration) {
        self.reads += 1;
        let expired = u64::from(holds == Some(false));
        if self.plan.is_host_excused(host, now) {
            self.expired_in_outage += expired;
        } else {
            self.expired += expired;
        }
    }

    pub(crate) fn end(&mut self, users: usize) {
        self.count_time(self.plan.end());
        self.users_at_end = users;
    }

    /// Requests in each minute.
    pub(crate) fn minutes(&self) -> Vec<u32> {
        self.seconds.chunks(60).map(|minute| minute.iter().sum()).collect()
    }

    /// An hour and user.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.user_hours()
    }

    fn user_hours(&self) -> f64 {
        self.user_time.as_secs_f64() / HOUR.as_secs_f64()
    }

    /// Requests over what they may be: 1.5 an hour of a user with a session anywhere, and one when that user comes.
    fn share_of_allowed(&self) -> f64 {
        self.requests as f64 / (AN_HOUR * self.user_hours() + self.comings as f64)
    }

    fn of(&self, from: Duration, to: Duration) -> &[u32] {
        let at = |time: Duration| usize::try_from(time.as_secs()).unwrap_or_default().min(self.seconds.len());
        self.seconds.get(at(from)..at(to)).unwrap_or_default()
    }

    /// Requests a second in the outage: on average, and in its busiest second.
    pub(crate) fn outage_rate(&self) -> (f64, u32) {
        let seconds = self.of(self.plan.outage(), self.plan.recovery());
        let sum: u32 = seconds.iter().sum();
        (f64::from(sum) / seconds.len() as f64, seconds.iter().max().copied().unwrap_or_default())
    }

    /// The busiest second of the two minutes after the outage.
    pub(crate) fn recovery_peak(&self) -> u32 {
        let seconds = self.of(self.plan.recovery(), self.plan.recovery() + RECOVERY);
        seconds.iter().max().copied().unwrap_or_default()
    }

    /// The busiest stretch between `from` and `to`, in which as many minutes are one as have 100 requests on average.
    fn peak(&self, from: Duration, to: Duration) -> Peak {
        let seconds = self.of(from, to);
        let mean = f64::from(seconds.iter().sum::<u32>()) / seconds.len() as f64;
        let minutes = (COUNTED / (mean * MINUTE.as_secs_f64())).ceil().max(1.0) as usize;
        let stretch = (minutes * 60).min(seconds.len());
        let most = seconds.windows(stretch).step_by(60).map(|part| part.iter().sum::<u32>()).max();
        Peak { minutes, over_mean: f64::from(most.unwrap_or_default()) / (mean * stretch as f64) }
    }

    /// From the end of the first token's life on.
    pub(crate) fn peak_after_storm(&self) -> Peak {
        self.peak(self.plan.storm() + STORM + LIFE, self.plan.outage())
    }

    /// From the end of the first token's life on.
    pub(crate) fn peak_after_outage(&self) -> Peak {
        self.peak(self.plan.recovery() + RECOVERY + LIFE, self.plan.end())
    }

    /// From the moment on that all are served: while the first tokens live, too.
    pub(crate) fn peak_of_first_life(&self) -> Peak {
        self.peak(self.plan.recovery() + RECOVERY, self.plan.end())
    }

    /// How long after its return the issuer has given the last host its token.
    pub(crate) fn served_within(&self) -> Duration {
        self.last_served.saturating_sub(self.plan.recovery())
    }

    pub(crate) fn reaches(&self) -> Vec<Reach> {
        let reach = |name, wanted, found, is_met| Reach { name, wanted, found, is_met };
        let share = self.share_of_allowed();
        let most = self.after_outage.iter().max().copied().unwrap_or_default();
        let (storm, outage) = (self.peak_after_storm(), self.peak_after_outage());
        vec![
            reach(
                "requests over 1.5 an hour and user and one when a user comes",
                "≤ 1.05",
                format!("{share:.2}"),
                share <= 1.05,
            ),
            reach("requests of one user after the outage", "≤ 1", most.to_string(), most <= 1),
            reach(
                "hosts without a token two minutes after it",
                "0",
                self.unserved.to_string(),
                self.unserved == 0,
            ),
            reach(
                "peak over mean, second token life after the storm",
                "≤ 2",
                format!("{:.2}", storm.over_mean),
                storm.over_mean <= 2.0,
            ),
            reach(
                "peak over mean, second token life after the outage",
                "≤ 2",
                format!("{:.2}", outage.over_mean),
                outage.over_mean <= 2.0,
            ),
            reach(
                "expired tokens read by those whom the outage does not concern",
                "0",
                self.expired.to_string(),
                self.expired == 0 && self.reads > 0,
            ),
            reach(
                "longest wait of theirs for a token, in seconds",
                "≤ 20",
                format!("{:.0}", self.longest_wait.as_secs_f64()),
                self.longest_wait <= LONGEST_WAIT,
            ),
        ]
    }
}
