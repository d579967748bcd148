//! Waiting, always to a deadline. The only place that sleeps and reads a clock.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// Ample on a loaded machine, and longer than the 45 s in which the helper gives up: to reach it is a failure.
pub const DEADLINE: Duration = Duration::from_secs(60);

static PATIENCE: OnceLock<Duration> = OnceLock::new();

/// From now on, in this process, something else than [`DEADLINE`]: where the machine is an emulated one.
pub fn be_patient(deadline: Duration) {
    PATIENCE.set(deadline).unwrap_or_default();
}

/// [`DEADLINE`], or what [`be_patient`] was told.
pub fn deadline() -> Duration {
    *PATIENCE.get().unwrap_or(&DEADLINE)
}

/// A file or a process is looked for this often: far below what a test asserts about time.
const PERIOD: Duration = Duration::from_millis(5);

/// Now, on the monotonic clock.
#[allow(clippy::disallowed_methods, reason = "the clock of the tests")]
pub fn now() -> Instant {
    Instant::now()
}

/// Lets time pass between two measures, or in one that is over a period. Nothing waits for something by it.
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Polls until `condition` holds.
///
/// # Panics
/// It does not within [`DEADLINE`]; the message says what was waited for.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    within(deadline(), what, condition);
}

/// Polls until `condition` holds; `false` if it does not within [`DEADLINE`], for who has more to say about that.
pub fn succeeds(mut condition: impl FnMut() -> bool) -> bool {
    let start = now();
    while !condition() {
        if start.elapsed() > deadline() {
            return false;
        }
        thread::sleep(PERIOD);
    }
    true
}

/// Polls until `condition` holds, and says how long that took.
///
/// # Panics
/// It does not within `limit`; the message says what was waited for.
pub fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = now();
    while !condition() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for: {what}");
        thread::sleep(PERIOD);
    }
    start.elapsed()
}
