//! Waiting for the two locks of a mint: this host's and, among hosts that share the store, the store's.

use std::thread;
use std::time::Duration;

use super::Mint;
use crate::agent::runtime::FileLock;
use crate::clock;
use crate::protocol::{Failure, FailureKind};
use crate::store::{Lock, Store, StoreError};

/// Longer than the helper's deadline: whoever holds a lock is done, or dead, before the wait ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries: its holder may have died, which nobody is told of.
const PAUSE: Duration = Duration::from_millis(250);

/// One wait with its deadline.
pub(super) struct Patience(Duration);

impl Patience {
    pub(super) fn begin() -> Self {
        Self(clock::boot_time() + PATIENCE)
    }

    /// Sleeps a little; fails when the deadline has passed.
    pub(super) fn pause(&self) -> Result<(), Failure> {
        if clock::boot_time() >= self.0 {
            return Err(Failure {
                error: "another refresh of yours has been under way for a minute".into(),
                info: Some("try again later".into()),
                kind: FailureKind::Unreachable,
            });
        }
        thread::sleep(PAUSE);
        Ok(())
    }
}

impl Mint {
    /// Waits for this host's lock.
    pub(super) fn lock_mint(&self, patience: &Patience) -> Result<FileLock, Failure> {
        loop {
            if let Some(lock) = self.try_lock_mint()? {
                return Ok(lock);
            }
            patience.pause()?;
        }
    }

    /// This host's lock, if it is free.
    pub(super) fn try_lock_mint(&self) -> Result<Option<FileLock>, Failure> {
        self.runtime.try_lock_mint().map_err(|error| Failure {
            error: error.to_string(),
            info: Some("log in again".into()),
            kind: FailureKind::Failed,
        })
    }

    /// Waits for the store's lock.
    pub(super) fn lock_store(&self, store: &Store, patience: &Patience) -> Result<Lock, Failure> {
        loop {
            match store.lock() {
                Ok(lock) => return Ok(lock),
                Err(StoreError::Busy { .. }) => patience.pause()?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
