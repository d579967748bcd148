//! Chooses the user's runtime directory, and makes it if that is ours to do. Touches /run/user and /run/iam-session;
//! opens nothing below the user's directory.
//!
//! Both must be mounts of their own. Files that users write there must not fill /run, and must be gone after a boot.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, mkdirat, stat};
use nix::unistd::{Gid, Uid, fchown};

use crate::site::ROOT;

const LOGIND: &str = "/run/user";
const OURS: &str = "/run/iam-session";
const ABOVE_OURS: &str = "/run";
/// Users pass through to their own directory and list nobody else's.
const OURS_MODE: u32 = 0o711;
const USER_MODE: u32 = 0o700;
const PERMISSIONS: u32 = 0o7777;

/// Why a directory is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// pam_systemd or another module above us did not set it, or set another one.
    NotOffered,
    /// The system refused.
    Io(Errno),
    /// It is not as it must be: how that is.
    Not(&'static str),
}

/// Neither directory can be used.
#[derive(Debug)]
pub(crate) struct NoRuntimeDir {
    uid: u32,
    logind: Unusable,
    ours: Unusable,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => write!(f, "is not the XDG_RUNTIME_DIR of this login"),
            Self::Io(errno) => write!(f, "cannot be used: {}", errno.desc()),
            Self::Not(must) => write!(f, "is not {must}"),
        }
    }
}

impl fmt::Display for NoRuntimeDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uid, logind, ours } = self;
        write!(f, "no runtime directory: {LOGIND}/{uid} {logind}; {OURS}/{uid} {ours}")
    }
}

/// The runtime directory of `uid`; `offered` is XDG_RUNTIME_DIR of the PAM environment. Ours is made in any case: logind
/// removes its own after the last login, and the agents' notes of failures and hints outlive that in ours. Best effort
/// then.
pub(crate) fn choose(uid: u32, gid: u32, offered: Option<&[u8]>) -> Result<String, NoRuntimeDir> {
    let ours = make_ours(uid, gid);
    logind(uid, offered).or_else(|logind| ours.map_err(|ours| NoRuntimeDir { uid, logind, ours }))
}

fn logind(uid: u32, offered: Option<&[u8]>) -> Result<String, Unusable> {
    let path = format!("{LOGIND}/{uid}");
    // A user can mount a FUSE file system over it. The kernel refuses it to root then, who gets EACCES without asking
    // the user's daemon, but for user_allow_other in fuse.conf, which lets users hang root by their homes as well.
    if offered != Some(path.as_bytes()) {
        return Err(Unusable::NotOffered);
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = open(path.as_str(), flags, Mode::empty())?;
    check(&fstat(&directory)?, uid, USER_MODE, "a directory of the user with mode 0700")?;
    check_mount(&directory, LOGIND)?;
    Ok(path)
}

fn make_ours(uid: u32, gid: u32) -> Result<String, Unusable> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let ours = open(OURS, flags, Mode::empty())?;
    check(&fstat(&ours)?, ROOT, OURS_MODE, "below a directory of root with mode 0711")?;
    check_mount(&ours, ABOVE_OURS)?;
    let name = uid.to_string();
    match mkdirat(&ours, name.as_str(), Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    // A descriptor that followed no link, and everything else through it: CVE-2018-10380 was a chown by name.
    let directory = openat(&ours, name.as_str(), flags, Mode::empty())?;
    give(&directory, uid, gid)?;
    check(&fstat(&directory)?, uid, USER_MODE, "a directory of the user with mode 0700")?;
    Ok(format!("{OURS}/{name}"))
}

/// A directory of root's was made here, by this login or by one that has not come further yet: only root can make
/// one here.
fn give(directory: &OwnedFd, uid: u32, gid: u32) -> Result<(), Unusable> {
    if fstat(directory)?.st_uid == ROOT {
        // Whatever umask the host has.
        fchmod(directory, Mode::S_IRWXU)?;
        fchown(directory, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(())
}

fn check(stat: &FileStat, owner: u32, mode: u32, must: &'static str) -> Result<(), Unusable> {
    let directory = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    if directory && stat.st_uid == owner && stat.st_mode & PERMISSIONS == mode {
        Ok(())
    } else {
        Err(Unusable::Not(must))
    }
}

fn check_mount(directory: impl AsFd, above: &str) -> Result<(), Unusable> {
    if fstat(directory)?.st_dev == stat(above)?.st_dev {
        return Err(Unusable::Not("on a file system of its own"));
    }
    Ok(())
}

impl From<Errno> for Unusable {
    fn from(errno: Errno) -> Self {
        Self::Io(errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_directory_of_logind_is_taken() {
        for offered in [
            None,
            Some(""),
            Some("/run/user/10000"),
            Some("/run/user/1000/"),
            Some("/run/user//1000"),
            Some("/run/user/1000/../1001"),
            Some("/var/run/user/1000"),
            Some("run/user/1000"),
        ] {
            assert_eq!(logind(1000, offered.map(str::as_bytes)), Err(Unusable::NotOffered), "{offered:?}");
        }
    }

    #[test]
    fn the_reasons_are_said_for_both() {
        let logind = Unusable::NotOffered;
        let ours = Unusable::Not("on a file system of its own");
        assert_eq!(
            NoRuntimeDir { uid: 1000, logind, ours }.to_string(),
            "no runtime directory: /run/user/1000 is not the XDG_RUNTIME_DIR of this login; \
             /run/iam-session/1000 is not on a file system of its own"
        );
    }
}
