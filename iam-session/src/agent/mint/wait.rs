//! Waiting for the two locks of a mint: this host's and, among hosts that share the store, the store's.

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::Mint;
use crate::agent::runtime::FileLock;
use crate::clock;
use crate::directory::DirectoryError;
use crate::protocol::{Failure, FailureKind};
use crate::store::{Lock, Store, StoreError};

/// Longer than the helper's deadline: whoever holds a lock is done, or dead, before the wait ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries: its holder may have died, which nobody is told of.
const PAUSE: Duration = Duration::from_millis(250);

/// One wait with its deadline.
pub(super) struct Patience {
    deadline: Duration,
    /// Tells that somebody has published a token or a failure. Without it the tries alone are left.
    news: Option<Inotify>,
}

impl Patience {
    /// Waits a little; fails when the deadline has passed.
    pub(super) fn pause(&self) -> Result<(), Failure> {
        if clock::boot_time() >= self.deadline {
            return Err(Failure {
                error: "another refresh of yours has been under way for a minute".into(),
                info: Some("try again later".into()),
                kind: FailureKind::Unreachable,
            });
        }
        match &self.news {
            Some(news) => wait_for(news),
            None => thread::sleep(PAUSE),
        }
        Ok(())
    }
}

fn wait_for(news: &Inotify) {
    let millis = u16::try_from(PAUSE.as_millis()).unwrap_or(u16::MAX);
    let mut descriptors = [PollFd::new(news.as_fd(), PollFlags::POLLIN)];
    if poll(&mut descriptors, PollTimeout::from(millis)).is_ok_and(|ready| ready > 0) {
        let _ = news.read_events();
    }
}

impl Mint {
    /// Begins a wait.
    pub(super) fn patience(&self) -> Patience {
        let watch = || -> nix::Result<Inotify> {
            let news = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
            // Not IN_CLOSE_WRITE: everybody who tries the lock closes its file.
            news.add_watch(self.runtime.cache.directory().path(), AddWatchFlags::IN_MOVED_TO)?;
            news.add_watch(self.runtime.agents.path(), AddWatchFlags::IN_MOVED_TO)?;
            Ok(news)
        };
        Patience { deadline: clock::boot_time() + PATIENCE, news: watch().ok() }
    }

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

    /// Waits for the store's lock, where it can be had at all: in a home that is read-only or full a refresh
    /// token that does not rotate is still good, and no other host can write there either.
    pub(super) fn lock_store_to_mint(
        &self,
        store: &Store,
        account: &str,
        patience: &Patience,
    ) -> Result<Option<Lock>, Failure> {
        loop {
            match store.lock() {
                Ok(lock) => return Ok(Some(lock)),
                Err(StoreError::Busy { .. }) => patience.pause()?,
                Err(error) if is_unwritable(&error) && !self.open(store, account)?.record.rotates => {
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_unwritable(error: &StoreError) -> bool {
    let StoreError::Directory(DirectoryError::Io { source, .. }) = error else { return false };
    let errno = source.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EROFS | Errno::ENOSPC | Errno::EDQUOT | Errno::EACCES | Errno::ENOLCK))
}
