//! The store's files: which there are, and the lock. Touches the store's directory and nothing above it.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::error::StoreError;
use super::file_names::{RECORD, record_name};
use super::format::MAX_FILE;
use super::marker::{Marker, this_host};
use crate::account;
use crate::config::StoreLocks;
use crate::directory::{Directory, Draft, Durability, failed};

const TOKEN: &str = ".token";
/// The user's lock of one host.
const LOCKED: &str = ".locked";
/// Never removed: a lock that can be unlinked protects nothing.
const LOCK: &str = ".lock";
/// The name of the account that the user chose for the session's token file. No account's file: those have an ending.
const DEFAULT: &str = "default";
/// A name and a newline.
const MAX_DEFAULT: usize = 128;

/// An open store, and whose lock it needs.
#[derive(Debug)]
pub(crate) struct Store(Directory, StoreLocks);

/// The store's lock across hosts; gone when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _closing_unlocks: Option<File>,
}

impl Store {
    /// Opens the store at `path`; `None` where there is none.
    pub(crate) fn open(path: &Path, uid: u32) -> Result<Option<Self>, StoreError> {
        Ok(Directory::open(path, uid)?.map(|directory| Self(directory, StoreLocks::Shared)))
    }

    /// Opens the store at `path`, made first where there is none: it and what is missing above it get mode 0700.
    pub(crate) fn create(path: &Path, uid: u32) -> Result<Self, StoreError> {
        Ok(Self(Directory::create(path, uid)?, StoreLocks::Shared))
    }

    /// The same store, with the lock that the site says it needs.
    pub(crate) fn with_locks(self, locks: StoreLocks) -> Self {
        Self(self.0, locks)
    }

    /// For what has files of its own beside the records.
    pub(crate) fn directory(&self) -> &Directory {
        &self.0
    }

    /// Names of all accounts, sorted.
    pub(crate) fn accounts(&self) -> Result<Vec<String>, StoreError> {
        let names = self.0.names()?;
        let records = names.iter().filter_map(|name| name.strip_suffix(RECORD));
        Ok(records.filter(|name| account::validate(name).is_ok()).map(str::to_owned).collect())
    }

    /// The path of an account's record, for messages.
    pub(crate) fn record_path(&self, account: &str) -> PathBuf {
        self.path_of(&record_name(account))
    }

    /// The path of one of its files, for messages.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The bytes of an account's record.
    pub(crate) fn read_record(&self, account: &str) -> Result<Vec<u8>, StoreError> {
        self.0
            .read(&record_name(account), MAX_FILE)?
            .ok_or_else(|| StoreError::NoAccount { account: account.to_owned() })
    }

    /// The bytes of the session token beside it, if there are any to be had.
    pub(crate) fn read_token(&self, account: &str) -> Option<Vec<u8>> {
        self.0.read(&format!("{account}{TOKEN}"), MAX_FILE).ok().flatten()
    }

    /// Replaces an account's record; the old one stays whole if anything fails.
    pub(crate) fn write_record(&self, account: &str, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.0.replace(&record_name(account), bytes, Durability::Synced)?)
    }

    /// What a mint had begun to write as an account's next record, or made room for, and did not finish: by name, and
    /// its bytes. The caller holds the lock.
    pub(crate) fn unfinished(&self, account: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut found = Vec::new();
        for name in self.drafts(account)? {
            if let Some(bytes) = self.0.read(&name, MAX_FILE)? {
                found.push((name, bytes));
            }
        }
        Ok(found)
    }

    /// Removes one of what [`unfinished`](Self::unfinished) found.
    pub(crate) fn remove_named(&self, name: &str) -> Result<(), StoreError> {
        Ok(self.0.remove(name)?)
    }

    /// Removes what [`unfinished`](Self::unfinished) found: all of it, as a new record has taken its place.
    pub(crate) fn remove_unfinished(&self, account: &str) -> Result<(), StoreError> {
        self.drafts(account)?.iter().try_for_each(|name| self.remove_named(name))
    }

    /// Not those of an account whose name begins with this one's record's: 'a.cred.b' is a name, too.
    fn drafts(&self, account: &str) -> Result<Vec<String>, StoreError> {
        let prefix = format!(".{}.", record_name(account));
        let mut names = self.0.drafts(&record_name(account))?;
        names.retain(|name| name.strip_prefix(&prefix).is_some_and(|random| !random.contains('.')));
        Ok(names)
    }

    /// Makes room for an account's next record before it is known: an issuer that rotates is not asked where its answer
    /// could not be kept. That it is there tells who comes later that the refresh token may have been used up. What
    /// was unfinished before is removed; the caller holds the lock.
    pub(crate) fn reserve_record(&self, account: &str, size: usize) -> Result<Draft<'_>, StoreError> {
        self.remove_unfinished(account)?;
        let mut draft = self.0.draft(&record_name(account), Durability::Synced)?;
        draft.reserve(size)?;
        Ok(draft)
    }

    /// Replaces the session token beside it, which nobody misses if it is lost.
    pub(crate) fn write_token(&self, account: &str, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.0.replace(&format!("{account}{TOKEN}"), bytes, Durability::Volatile)?)
    }

    /// Whether there is a record of this name, whatever is in it.
    ///
    /// # Errors
    /// [`StoreError::Directory`]: it cannot be said.
    pub(crate) fn has(&self, account: &str) -> Result<bool, StoreError> {
        Ok(self.0.names()?.contains(&record_name(account)))
    }

    /// Gives an account another name, which no account has. The caller holds the lock. The record goes first: a session
    /// token without one opens for nobody, and nobody misses it. What was to become a record goes along. Gives what of
    /// the rest could not be done.
    ///
    /// # Errors
    /// [`StoreError::Directory`]: it has its name still.
    pub(crate) fn rename(&self, account: &str, to: &str) -> Result<Option<StoreError>, StoreError> {
        self.0.remove(&format!("{to}{TOKEN}"))?;
        self.remove_unfinished(to)?;
        self.0.rename(&record_name(account), &record_name(to))?;
        Ok(self.rename_rest(account, to).err())
    }

    fn rename_rest(&self, account: &str, to: &str) -> Result<(), StoreError> {
        let (record, its) = (format!(".{account}{RECORD}"), format!(".{to}{RECORD}"));
        for draft in self.drafts(account)? {
            self.0.rename(&draft, &draft.replacen(&record, &its, 1))?;
        }
        match self.0.rename(&format!("{account}{TOKEN}"), &format!("{to}{TOKEN}")) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        Ok(self.0.sync()?)
    }

    /// The account that the user chose for the session's token file. Best effort: what cannot be read is no choice.
    pub(crate) fn default_account(&self) -> Option<String> {
        let text = String::from_utf8(self.0.read(DEFAULT, MAX_DEFAULT).ok()??).ok()?;
        let name = text.strip_suffix('\n').unwrap_or(&text);
        account::validate(name).is_ok().then(|| name.to_owned())
    }

    /// Keeps that choice.
    pub(crate) fn choose_default(&self, account: &str) -> Result<(), StoreError> {
        Ok(self.0.replace(DEFAULT, format!("{account}\n").as_bytes(), Durability::Synced)?)
    }

    pub(crate) fn forget_default(&self) -> Result<(), StoreError> {
        Ok(self.0.remove(DEFAULT)?)
    }

    /// Removes an account's files, the token first: without its record it opens for nobody. What was to become a
    /// record goes, too: it may hold a refresh token.
    pub(crate) fn remove(&self, account: &str) -> Result<(), StoreError> {
        self.0.remove(&format!("{account}{TOKEN}"))?;
        self.remove_unfinished(account)?;
        self.0.remove(&record_name(account))?;
        Ok(self.0.sync()?)
    }

    /// The user's lock of this host, if there is one.
    ///
    /// # Errors
    /// [`StoreError`]: whoever cannot read it must not take it for absent.
    pub(crate) fn read_marker(&self) -> Result<Option<Marker>, StoreError> {
        let file = self.0.read(&Self::marker_name(), MAX_FILE)?;
        file.map(|file| Marker::parse(&file, &self.marker_path(), self.0.uid())).transpose()
    }

    /// Locks this host; on the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::Directory`]; then it is locked as little, or as much, as before.
    pub(crate) fn write_marker(&self, marker: &Marker) -> Result<(), StoreError> {
        Ok(self.0.replace(&Self::marker_name(), &marker.to_bytes(), Durability::Synced)?)
    }

    /// Ends the lock of this host.
    pub(crate) fn remove_marker(&self) -> Result<(), StoreError> {
        self.0.remove(&Self::marker_name())?;
        Ok(self.0.sync()?)
    }

    /// Where it lies, for messages.
    pub(crate) fn marker_path(&self) -> PathBuf {
        self.0.path().join(Self::marker_name())
    }

    fn marker_name() -> String {
        this_host() + LOCKED
    }

    /// Takes the lock that hosts sharing this store respect, without waiting.
    ///
    /// A POSIX record lock: the kind that NFS carries between hosts, and OFD locks are younger than Linux 3.10.
    /// It goes when *any* descriptor of the file is closed by this process, so only this function opens it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process holds it; [`StoreError::NoLocks`] where there can be none.
    pub(crate) fn lock(&self) -> Result<Lock, StoreError> {
        let path = self.0.path().join(LOCK);
        let file = self.0.lock_file(LOCK)?;
        let whole = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        match fcntl(&file, FcntlArg::F_SETLK(&whole)) {
            Ok(_) => Ok(Lock { _closing_unlocks: Some(file) }),
            Err(Errno::EACCES | Errno::EAGAIN) => Err(StoreError::Busy { path }),
            // Lustre without flock, NFS without lockd, a FUSE file system without locks.
            Err(Errno::ENOSYS | Errno::ENOLCK | Errno::EOPNOTSUPP) if self.1 == StoreLocks::Host => {
                Ok(Lock { _closing_unlocks: None })
            }
            Err(errno @ (Errno::ENOSYS | Errno::ENOLCK | Errno::EOPNOTSUPP)) => {
                Err(StoreError::NoLocks { path: self.0.path().to_owned(), errno })
            }
            Err(errno) => Err(failed("lock", &path)(errno).into()),
        }
    }
}

#[cfg(test)]
mod tests;
