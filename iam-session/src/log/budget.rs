//! Limits how many lines a process may write. Pure: the time is a parameter.

use std::time::Duration;

/// So many at once: an agent's start, many accounts, a burst of failures.
const BURST: u32 = 60;
/// And one more each time this has passed.
const PAUSE: Duration = Duration::from_secs(2);

/// Lines that may still be written, and those that were not.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    since: Duration,
    dropped: u64,
}

impl Budget {
    pub(super) fn new(now: Duration) -> Self {
        Self { left: BURST, since: now, dropped: 0 }
    }

    /// Whether a line may be written, and how many before it were not.
    pub(super) fn admit(&mut self, now: Duration) -> Option<u64> {
        let earned = now.saturating_sub(self.since).as_secs() / PAUSE.as_secs();
        if earned > 0 {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(BURST)).min(BURST);
            self.since = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(self.dropped)
            }
            None => {
                self.drop_one();
                None
            }
        }
    }

    /// One more was not written.
    pub(super) fn drop_one(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
    }

    /// So many have been told of.
    pub(super) fn told(&mut self, dropped: u64) {
        self.dropped = self.dropped.saturating_sub(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let start = Duration::from_secs(100);
        let mut budget = Budget::new(start);
        let written = (0..1000).filter(|_| budget.admit(start).is_some()).count();
        assert_eq!(written, BURST as usize);
        assert_eq!(budget.admit(start + PAUSE), Some(1000 - u64::from(BURST)));
        budget.told(1000 - u64::from(BURST));
        assert_eq!(budget.admit(start + 2 * PAUSE), Some(0));
    }

    #[test]
    fn a_quiet_time_earns_a_burst_and_no_more() {
        let mut budget = Budget::new(Duration::ZERO);
        while budget.admit(Duration::ZERO).is_some() {}
        let later = Duration::from_secs(86_400);
        assert_eq!((0..1000).filter(|_| budget.admit(later).is_some()).count(), BURST as usize);
    }

    #[test]
    fn what_the_daemon_did_not_take_is_counted() {
        let mut budget = Budget::new(Duration::ZERO);
        assert_eq!(budget.admit(Duration::ZERO), Some(0));
        budget.drop_one();
        assert_eq!(budget.admit(Duration::ZERO), Some(1));
    }
}
