//! Files that only root can have written, below /etc/iam-session. Touches only those.
//!
//! Nothing here follows a symbolic link below that directory, waits for a FIFO or reads without a bound.

use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

/// Where the site's files are.
pub(crate) const SITE: &str = "/etc/iam-session";
/// Who must own them. A parameter, so that the checks can be tried by somebody else.
pub(crate) const ROOT: u32 = 0;
/// Group and others may not change what we rely on.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const PERMISSIONS: u32 = 0o7777;

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// The system refused.
    Io(&'static str, Errno),
    /// It is not as it must be: how that is.
    Not(&'static str),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(action, errno) => write!(f, "cannot be {action}: {}", errno.desc()),
            Self::Not(must) => write!(f, "is not {must}"),
        }
    }
}

/// An open directory that only its owner can change.
#[derive(Debug)]
pub(crate) struct TrustedDir {
    descriptor: OwnedFd,
    owner: u32,
}

impl TrustedDir {
    /// The directory at `path`; `None` where there is none.
    pub(crate) fn open(path: &str, owner: u32) -> Result<Option<Self>, Distrust> {
        // A link in /etc is root's doing; what it leads to is checked.
        Self::opened(open(path, OFlag::O_DIRECTORY | readable(), Mode::empty()), owner)
    }

    /// The directory `name` in this one; `None` where there is none.
    pub(crate) fn directory(&self, name: &str) -> Result<Option<Self>, Distrust> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | readable();
        Self::opened(openat(&self.descriptor, name, flags, Mode::empty()), self.owner)
    }

    fn opened(opened: nix::Result<OwnedFd>, owner: u32) -> Result<Option<Self>, Distrust> {
        let Some(descriptor) = found(opened)? else { return Ok(None) };
        check_owner(&stat(&descriptor)?, owner)?;
        Ok(Some(Self { descriptor, owner }))
    }

    /// The names in it, at most `limit` of them and in no order.
    pub(crate) fn names(&self, limit: usize) -> Result<Vec<String>, Distrust> {
        // A descriptor of its own: readdir(3) moves the position, and closedir(3) closes.
        let own = openat(&self.descriptor, ".", OFlag::O_DIRECTORY | readable(), Mode::empty());
        let mut dir = own.and_then(Dir::from_fd).map_err(|errno| Distrust::Io("listed", errno))?;
        let names = dir.iter().map_while(Result::ok).filter_map(|entry| name(entry.file_name()));
        Ok(names.take(limit).collect())
    }

    /// Whether there is anything called `name`; where that cannot be told, there is.
    pub(crate) fn has(&self, name: &str) -> bool {
        fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW) != Err(Errno::ENOENT)
    }

    /// The regular file `name`; `None` where there is none.
    pub(crate) fn file(&self, name: &str) -> Result<Option<TrustedFile>, Distrust> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | readable();
        let Some(descriptor) = found(openat(&self.descriptor, name, flags, Mode::empty()))? else {
            return Ok(None);
        };
        let stat = stat(&descriptor)?;
        if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(Distrust::Not("a regular file"));
        }
        check_owner(&stat, self.owner)?;
        Ok(Some(TrustedFile { file: File::from(descriptor), mode: stat.st_mode & PERMISSIONS }))
    }
}

/// An open regular file that only its owner can change.
#[derive(Debug)]
pub(crate) struct TrustedFile {
    file: File,
    mode: u32,
}

impl TrustedFile {
    /// Its permission bits.
    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    /// Fills `buffer` as far as the file reaches; how far that is.
    pub(crate) fn read_into(&mut self, buffer: &mut [u8]) -> Result<usize, Distrust> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Distrust::Io("read", Errno::from_raw(error.raw_os_error().unwrap_or(0))));
                }
            }
        }
        Ok(filled)
    }

    /// All of it, if it is not longer than `limit`.
    pub(crate) fn read_all(self, limit: u64) -> Result<Vec<u8>, Distrust> {
        let mut bytes = Vec::new();
        let read = self.file.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| Distrust::Io("read", Errno::from_raw(error.raw_os_error().unwrap_or(0))))?;
        if bytes.len() as u64 > limit { Err(Distrust::Not("of a size that we read")) } else { Ok(bytes) }
    }
}

fn readable() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_CLOEXEC
}

fn found(opened: nix::Result<OwnedFd>) -> Result<Option<OwnedFd>, Distrust> {
    match opened {
        Ok(descriptor) => Ok(Some(descriptor)),
        Err(Errno::ENOENT) => Ok(None),
        // O_NOFOLLOW on a symbolic link.
        Err(Errno::ELOOP) => Err(Distrust::Not("free of symbolic links")),
        Err(errno) => Err(Distrust::Io("opened", errno)),
    }
}

fn stat(descriptor: impl AsFd) -> Result<FileStat, Distrust> {
    fstat(descriptor).map_err(|errno| Distrust::Io("looked at", errno))
}

fn check_owner(stat: &FileStat, owner: u32) -> Result<(), Distrust> {
    if stat.st_uid != owner || stat.st_mode & WRITABLE_BY_OTHERS != 0 {
        return Err(Distrust::Not("owned by root and writable by root alone"));
    }
    Ok(())
}

fn name(name: &CStr) -> Option<String> {
    name.to_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned)
}
