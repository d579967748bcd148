//! The only place that reads a clock; everything else takes the time as a parameter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// One reading of the two clocks that tokens live by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// CLOCK_REALTIME as seconds since the epoch: for `expires_at` and for people.
    pub(crate) unix: u64,
    /// CLOCK_BOOTTIME: does not jump when the wall clock is set, and goes on through a suspend.
    pub(crate) boot: Duration,
}

impl Now {
    /// Reads both clocks.
    pub(crate) fn read() -> Self {
        Self { unix: unix_time(), boot: boot_time() }
    }
}

/// Seconds since the epoch; 0 if the clock stands before it.
#[allow(clippy::disallowed_methods)]
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Time since boot, suspends included (clock_gettime(2), CLOCK_BOOTTIME, Linux 2.6.39).
pub(crate) fn boot_time() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// Names this boot: times on CLOCK_BOOTTIME that were written in another one mean nothing (random(4)).
///
/// # Errors
/// When /proc is not there.
pub(crate) fn boot_id() -> std::io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim_end().to_owned())
}
