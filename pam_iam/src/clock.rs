//! The only place that reads a clock; everything else takes the time as a parameter or as a deadline.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment on CLOCK_MONOTONIC: setting the wall clock neither lengthens nor cuts short a login.
#[allow(clippy::disallowed_methods)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How long it is until `deadline`; nothing once it has passed.
pub(crate) fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(now())
}

/// Seconds since the epoch, for the log alone; 0 if the clock stands before it.
#[allow(clippy::disallowed_methods)]
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
