//! The store's files: found, read, replaced, removed. Touches the store's directory and nothing above it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl, open, openat, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::crypto;
use super::error::StoreError;
use super::format::MAX_FILE;
use crate::account;

/// Group and others may not change what we rely on.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const RECORD: &str = "cred";
const TOKEN: &str = "token";
/// Never removed: a lock that can be unlinked protects nothing.
const LOCK: &str = ".lock";

/// An open store.
pub struct Store {
    path: PathBuf,
    directory: OwnedFd,
    uid: u32,
}

/// The store's lock across hosts; gone when dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "closing it is what unlocks")] OwnedFd);

impl Store {
    /// Opens the store at `path`; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`], or [`StoreError::Unsafe`] for a directory that is not the user's alone to change.
    pub fn open(path: &Path, uid: u32) -> Result<Option<Self>, StoreError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = match open(path, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(nix::errno::Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(failed("open", path)(errno.into())),
        };
        let file = File::from(directory);
        check_owner(path, &file.metadata().map_err(failed("look at", path))?, uid)?;
        Ok(Some(Self { path: path.to_owned(), directory: file.into(), uid }))
    }

    /// Opens the store at `path`, made first where there is none: it and what is missing above it get mode 0700.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn create(path: &Path, uid: u32) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make", path))?;
        Self::open(path, uid)?.ok_or_else(|| failed("open", path)(io::ErrorKind::NotFound.into()))
    }

    /// Names of all accounts, sorted.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn accounts(&self) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed("read", &self.path))? {
            let name = entry.map_err(failed("read", &self.path))?.file_name();
            let account = name.to_str().and_then(|name| name.strip_suffix(".cred"));
            names.extend(account.filter(|name| account::validate(name).is_ok()).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// The path of an account's record, for messages.
    pub fn record_path(&self, account: &str) -> PathBuf {
        self.path.join(file_name(account, RECORD))
    }

    /// The bytes of an account's record.
    ///
    /// # Errors
    /// [`StoreError::NoAccount`], [`StoreError::Io`] or [`StoreError::Unsafe`].
    pub fn read_record(&self, account: &str) -> Result<Vec<u8>, StoreError> {
        self.read(&file_name(account, RECORD))?
            .ok_or_else(|| StoreError::NoAccount { account: account.to_owned() })
    }

    /// The bytes of the session token beside it, if there are any to be had.
    pub fn read_token(&self, account: &str) -> Option<Vec<u8>> {
        self.read(&file_name(account, TOKEN)).ok().flatten()
    }

    /// Replaces an account's record; the old one stays whole if anything fails.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write_record(&self, account: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(&file_name(account, RECORD), bytes)
    }

    /// Replaces the session token beside it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write_token(&self, account: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(&file_name(account, TOKEN), bytes)
    }

    /// Removes an account's files, the token first: without its record it opens for nobody.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove(&self, account: &str) -> Result<(), StoreError> {
        for name in [file_name(account, TOKEN), file_name(account, RECORD)] {
            match unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(nix::errno::Errno::ENOENT) => {}
                Err(errno) => return Err(failed("remove", &self.path.join(&name))(errno.into())),
            }
        }
        self.sync()
    }

    /// Takes the lock that hosts sharing this store respect, without waiting.
    ///
    /// A POSIX record lock: the kind that NFS carries between hosts, and OFD locks are younger than Linux 3.10.
    /// It goes when *any* descriptor of the file is closed by this process, so only this function opens it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process holds it.
    pub fn lock(&self) -> Result<Lock, StoreError> {
        let path = self.path.join(LOCK);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = openat(&self.directory, LOCK, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| failed("open", &path)(errno.into()))?;
        let whole = nix::libc::flock {
            l_type: nix::libc::F_WRLCK as nix::libc::c_short,
            l_whence: nix::libc::SEEK_SET as nix::libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        match fcntl(&file, FcntlArg::F_SETLK(&whole)) {
            Ok(_) => Ok(Lock(file)),
            Err(nix::errno::Errno::EACCES | nix::errno::Errno::EAGAIN) => Err(StoreError::Busy { path }),
            Err(errno) => Err(failed("lock", &path)(errno.into())),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path.join(name);
        // O_NONBLOCK: a FIFO put there must not hold anybody up.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(nix::errno::Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(failed("open", &path)(errno.into())),
        };
        let metadata = file.metadata().map_err(failed("look at", &path))?;
        if !metadata.is_file() {
            return Err(StoreError::Unsafe { path, reason: "it must be a regular file" });
        }
        check_owner(&path, &metadata, self.uid)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(failed("read", &path))?;
        if bytes.len() > MAX_FILE {
            return Err(StoreError::Damaged { path, what: "it is too large" });
        }
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path.join(name);
        let random = crypto::random::<8>()
            .ok_or_else(|| failed("name a new version of", &path)(io::ErrorKind::Other.into()))?;
        let temporary = format!(".{name}.{}", HEXLOWER.encode(&random));
        let written = self.write_new(&temporary, bytes).and_then(|()| {
            renameat(&self.directory, temporary.as_str(), &self.directory, name).map_err(io::Error::from)
        });
        if let Err(error) = written {
            let _ = unlinkat(&self.directory, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
            return Err(failed("write", &path)(error));
        }
        self.sync()
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        file.write_all(bytes)?;
        file.sync_all()?;
        // A file server may tell of a full quota only at close(2), but then it has told fsync already; what is
        // left to check is that the file we are about to rename is still ours.
        let there = fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if there.st_ino != file.metadata()?.ino() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        nix::unistd::fsync(self.directory.as_fd()).map_err(|errno| failed("sync", &self.path)(errno.into()))
    }
}

fn file_name(account: &str, extension: &str) -> String {
    format!("{account}.{extension}")
}

fn check_owner(path: &Path, metadata: &fs::Metadata, uid: u32) -> Result<(), StoreError> {
    let refused = |reason| Err(StoreError::Unsafe { path: path.to_owned(), reason });
    if metadata.uid() != uid {
        return refused("it belongs to somebody else");
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return refused("group or others may write to it");
    }
    Ok(())
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
