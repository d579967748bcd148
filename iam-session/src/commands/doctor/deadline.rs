//! Checks that run at once, each until its deadline. Starts threads.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::finding::Finding;
use crate::clock;

/// One check before it runs.
pub(super) struct Check {
    name: &'static str,
    patience: Duration,
    run: Box<dyn FnOnce() -> Vec<Finding> + Send>,
}

impl Check {
    pub(super) fn new(
        name: &'static str,
        patience: Duration,
        run: impl FnOnce() -> Vec<Finding> + Send + 'static,
    ) -> Self {
        Self { name, patience, run: Box::new(run) }
    }
}

/// The result, if it comes in time. What comes later is not waited for: the thread ends with the process.
pub(super) fn first<T: Send + 'static>(
    patience: Duration,
    run: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    start(run)?.recv_timeout(patience).ok()
}

/// What all of them found, in their order.
pub(super) fn all(checks: Vec<Check>) -> Vec<Finding> {
    let began = clock::boot_time();
    let running: Vec<_> =
        checks.into_iter().map(|check| (check.name, began + check.patience, start(check.run))).collect();
    let found = running.into_iter().map(|(name, by, results)| {
        let left = by.saturating_sub(clock::boot_time());
        match results.map(|results| results.recv_timeout(left)) {
            Some(Ok(findings)) => findings,
            Some(Err(RecvTimeoutError::Timeout)) => {
                let what = "the look did not end in time: a file system, a device or a server hangs";
                vec![Finding::unknown(name, what)]
            }
            Some(Err(RecvTimeoutError::Disconnected)) | None => {
                vec![Finding::unknown(name, "the look itself failed: may you start more processes?")]
            }
        }
    });
    found.flatten().collect()
}

fn start<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Option<Receiver<T>> {
    let (results, receiver) = mpsc::channel();
    // Nobody may be listening any more.
    let run = move || drop(results.send(run()));
    thread::Builder::new().spawn(run).ok().map(|_| receiver)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_check_that_hangs_hangs_no_other() {
        let (never, hangs) = channel::<()>();
        let checks = vec![
            Check::new("hangs", Duration::from_millis(20), move || {
                let _ = hangs.recv();
                Vec::new()
            }),
            Check::new("ends", Duration::from_secs(60), || vec![Finding::ok("ends", "well")]),
        ];
        let found = all(checks);
        drop(never);
        assert_eq!(found[1], Finding::ok("ends", "well"));
        assert!(found[0].check == "hangs" && found[0].what.contains("did not end in time"), "{found:?}");
    }
}
