//! Waits for the two locks of a mint: this host's, and the store's among hosts that share it. Touches those locks, and
//! watches directories.

use std::cell::OnceCell;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::Mint;
use crate::clock;
use crate::directory::DirectoryError;
use crate::protocol::Failure;
use crate::runtime::FileLock;
use crate::store::{Lock, Store, StoreError};

/// Longer than the helper's deadline: whoever holds a lock is done, or dead, before the wait ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries: its holder may have died, which nobody is told of.
const PAUSE: Duration = Duration::from_millis(250);

/// Tells that somebody has published a token or a failure. It is made when a job first has to wait, and closed when
/// that job has been answered: to close it takes the kernel some milliseconds.
pub(crate) type LockNews = Rc<OnceCell<Option<Inotify>>>;

/// One wait with its deadline.
pub(crate) struct Patience {
    deadline: Duration,
    /// Where the watched files are.
    directories: [PathBuf; 3],
    news: LockNews,
}

impl Patience {
    /// Waits a little; fails when the deadline has passed.
    pub(crate) fn pause(&self) -> Result<(), Failure> {
        if clock::boot_time() >= self.deadline {
            return Err(Failure::unreachable("another refresh of yours has been under way for a minute")
                .advise("try again later"));
        }
        if self.news.get().is_none() {
            // The caller looks once more: what was published before the watch was made, it does not tell.
            let _ = self.news.set(watch(&self.directories).ok());
            return Ok(());
        }
        match self.news.get() {
            Some(Some(news)) => wait_for(news),
            // Without it the tries alone are left.
            _ => thread::sleep(PAUSE),
        }
        Ok(())
    }
}

fn watch(directories: &[PathBuf]) -> nix::Result<Inotify> {
    let news = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    for directory in directories {
        // Not IN_CLOSE_WRITE: everybody who tries the lock closes its file.
        news.add_watch(directory, AddWatchFlags::IN_MOVED_TO)?;
    }
    Ok(news)
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
    pub(crate) fn patience(&self) -> Patience {
        let runtime = &self.runtime;
        let directories = [runtime.cache.directory(), &runtime.agents, runtime.host_directory()];
        Patience {
            deadline: clock::boot_time() + PATIENCE,
            directories: directories.map(|directory| directory.path().to_owned()),
            news: Rc::clone(&self.news),
        }
    }

    /// Waits for both locks.
    pub(crate) fn lock(&mut self, store: &Store, patience: &Patience) -> Result<MintLocks, Failure> {
        if let Some(kept) = self.unsaved.take_locks() {
            return Ok(kept);
        }
        let mint = loop {
            match self.try_lock_mint()? {
                Some(lock) => break lock,
                None => patience.pause()?,
            }
        };
        loop {
            match store.lock() {
                Ok(store) => return Ok(MintLocks { _mint: Some(mint), _store: Some(store) }),
                Err(StoreError::Busy { .. }) => patience.pause()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Refuses a store that could not be locked when something is to be kept.
    pub(crate) fn can_be_locked(&self, store: &Store) -> Result<(), StoreError> {
        // Closing this one would take away the lock that an unsaved record keeps.
        if !self.unsaved.is_empty() {
            return Ok(());
        }
        match store.lock() {
            Ok(_) | Err(StoreError::Busy { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Does something under both locks.
    pub(crate) fn under_locks<T>(
        &mut self,
        store: &Store,
        act: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let locks = self.lock(store, &self.patience())?;
        let done = act(self);
        self.release(locks);
        done
    }

    /// Both locks, if this host's is free; then the store's is waited for, where it can be had at all: in a home
    /// that is read-only or full a refresh token that does not rotate is still good, and no other host can write
    /// there either.
    pub(crate) fn try_lock(
        &mut self,
        store: &Store,
        account: &str,
        patience: &Patience,
    ) -> Result<Option<MintLocks>, Failure> {
        if let Some(kept) = self.unsaved.take_locks() {
            return Ok(Some(kept));
        }
        let Some(mint) = self.try_lock_mint()? else { return Ok(None) };
        loop {
            let store = match store.lock() {
                Ok(lock) => Some(lock),
                Err(StoreError::Busy { .. }) => {
                    patience.pause()?;
                    continue;
                }
                Err(error) if is_unwritable(&error) && !self.open(store, account)?.record.rotates => None,
                Err(error) => return Err(error.into()),
            };
            return Ok(Some(MintLocks { _mint: Some(mint), _store: store }));
        }
    }

    /// Both locks, if they are free. Where the runtime directory has gone with the last agent, nobody else mints on this
    /// host.
    pub(crate) fn lock_now(&mut self, store: &Store) -> Option<MintLocks> {
        if let Some(kept) = self.unsaved.take_locks() {
            return Some(kept);
        }
        let mint = match self.runtime.try_lock_mint() {
            Ok(None) => return None,
            Ok(lock) => lock,
            Err(_) => None,
        };
        Some(MintLocks { _mint: mint, _store: Some(store.lock().ok()?) })
    }

    pub(super) fn try_lock_mint(&self) -> Result<Option<FileLock>, Failure> {
        self.runtime
            .try_lock_mint()
            .map_err(|error| Failure::failed(error.to_string()).advise("log in again"))
    }
}

/// What a job holds while it works. The store's lock goes when any descriptor of its file is closed, so a mint never
/// has two.
#[derive(Debug)]
pub(crate) struct MintLocks {
    _mint: Option<FileLock>,
    _store: Option<Lock>,
}

fn is_unwritable(error: &StoreError) -> bool {
    let source = match error {
        StoreError::NoLocks { .. } => return true,
        StoreError::Directory(DirectoryError::Io { source, .. }) => source,
        _ => return false,
    };
    let errno = source.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EROFS | Errno::ENOSPC | Errno::EDQUOT | Errno::EACCES))
}
