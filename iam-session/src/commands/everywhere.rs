//! `lock` and `unlock` for all of the user's agents on this host: each has keys of its own, so each is told. Touches
//! their sockets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::warn;
use crate::client::{Agent, ClientError, Places};
use crate::clock::boot_time;
use crate::protocol::{Failure, Heeded, Request, Status, Unlocked};
use crate::secret::Secret;

/// The time that an unlock is for, counted from when it was asked for: the last agent is told later than the first, and
/// is to close no later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    until: Option<Duration>,
}

impl Span {
    /// From now on, for so many seconds; for good if absent.
    pub(crate) fn from_now(seconds: Option<u64>) -> Self {
        Self { until: seconds.map(|seconds| boot_time() + Duration::from_secs(seconds)) }
    }

    /// What is left of it, in whole seconds, and one at least.
    pub(crate) fn seconds(self) -> Option<u64> {
        let left = self.until.map(|until| until.saturating_sub(boot_time()).as_millis().div_ceil(1000));
        left.map(|left| u64::try_from(left).unwrap_or(u64::MAX).max(1))
    }
}

/// Gives the passphrase that `own` has taken to the other agents that wait for one, then has `own` lift the lock, unless
/// it is to be in force again later. Agents that start meanwhile find the lock, and are given it, too.
pub(crate) fn unlock_others(
    places: &Places,
    own: &mut Agent,
    unlocked: &Unlocked,
    passphrase: &Secret,
    span: Span,
) -> Result<(), Failure> {
    let mut told = vec![own.path().to_owned()];
    loop {
        let new = others(places, &told);
        if new.is_empty() {
            break;
        }
        for path in new {
            if let Err(error) = unlock_one(places, &path, passphrase, span) {
                missed(&path, error, "it stays locked");
            }
            told.push(path);
        }
    }
    match &unlocked.lock {
        Some(lock) if span.until.is_none() => {
            let lifted = own.ask::<Heeded>(&Request::Lift { lock: lock.clone() });
            lifted.map(|_| ()).map_err(|error| still_there(error.into()))?;
        }
        _ => {}
    }
    Ok(())
}

fn unlock_one(places: &Places, path: &Path, passphrase: &Secret, span: Span) -> Result<(), ClientError> {
    let mut agent = Agent::connect(path, places.uid())?;
    let status: Status = agent.ask(&Request::Status {})?;
    if status.locked.is_empty() && !status.lock.host_locked && status.lock.unlocked_until.is_none() {
        return Ok(());
    }
    let request = Request::Unlock { passphrase: passphrase.duplicate(), seconds: span.seconds() };
    agent.ask::<Unlocked>(&request).map(|_| ())
}

/// Tells the other agents of a lock that `own` has made.
pub(crate) fn lock_others(places: &Places, own: &Path, passphrase: Option<&Secret>) {
    for path in others(places, &[own.to_owned()]) {
        if let Err(error) = lock_one(places, &path, passphrase) {
            missed(&path, error, "it locks itself when it notices");
        }
    }
}

fn lock_one(places: &Places, path: &Path, passphrase: Option<&Secret>) -> Result<(), ClientError> {
    let mut agent = Agent::connect(path, places.uid())?;
    // One that hangs answers neither, and this is not waited for as long.
    let _: Status = agent.ask(&Request::Status {})?;
    let lock = Request::Lock { passphrase: passphrase.map(Secret::duplicate) };
    agent.ask::<Heeded>(&lock).map(|_| ())
}

fn others(places: &Places, told: &[PathBuf]) -> Vec<PathBuf> {
    places.all().into_iter().filter(|path| !told.contains(path)).collect()
}

fn still_there(failure: Failure) -> Failure {
    Failure {
        error: format!("unlocked, but the lock itself could not be removed: {failure}"),
        info: Some("new logins start locked until 'iam-session unlock' can remove it".into()),
        ..failure
    }
}

/// Of an agent that was killed only the socket is left.
fn missed(path: &Path, error: ClientError, consequence: &str) {
    if !matches!(error, ClientError::Dead { .. }) {
        warn(&format!("another of your agents, {}: {}; {consequence}", path.display(), Failure::from(error)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_time_is_never_nothing() {
        assert_eq!(Span::from_now(None).seconds(), None);
        assert!((3599..=3600).contains(&Span::from_now(Some(3600)).seconds().unwrap()));
        assert_eq!(Span::from_now(Some(0)).seconds(), Some(1));
    }
}
