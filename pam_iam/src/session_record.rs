//! The session record, for the administrator: PROTOCOL.md, section 7. Touches /run/pam_iam.
//!
//! The directory is root's alone. So a record holds no word of the user's; the remote host in it is sshd's word. The
//! directory is not in /run/iam-session, which users can fill. A login goes on without a record. No step waits: these
//! are a few calls to a tmpfs, and every lock is asked for without waiting.
//!
//! The agent keeps an open descriptor of the record, with a shared lock on it. So do the mint and the helper, which
//! inherit it. If a record can be locked exclusively, no process has it any more, and the next login removes it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, mkdir, unlinkat, write};

use crate::ffi::{Lock, lock};
use crate::launch::{RecordEnds, above_standard};
use crate::site::ROOT;

/// No mount is needed: only root makes records, one of a few hundred bytes a session.
const RECORDS: &str = "/run/pam_iam";
const NOT_ROOTS: u32 = 0o077;
const RECORD_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);
/// The last line of the record of a login that is over.
const CLOSED: &[u8] = b"closed=1\n";
/// No record is longer: three fields of three times MAX_FIELD, and some numbers.
const MAX_RECORD: u64 = 4096;
/// A name and a host are cut here; RFC 1035 has 253 bytes for the longest host.
const MAX_FIELD: usize = 256;
/// So many records are looked at in one login: those whose names follow the new one's, which is random. Each login adds
/// one record, so of sixteen about one that is dead stays.
const MAX_LOOKED_AT: usize = 16;
/// So many names are read for that; they are not kept. `iam-session-admin` looks at all.
const MAX_NAMES: usize = 4096;
/// A record is a draft for some microseconds. One that is this much older than the newest record was left behind.
const DRAFT_LASTS: i64 = 60; // seconds

/// What is written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) session: &'a str,
    pub(crate) user: &'a [u8],
    pub(crate) uid: u32,
    pub(crate) service: &'a [u8],
    /// PAM_RHOST.
    pub(crate) remote: Option<&'a [u8]>,
}

/// A record that lacks the agent's number, which the child adds.
#[derive(Debug)]
pub(crate) struct Begun {
    directory: OwnedFd,
    session: String,
    /// When it was made, by the clock of its file system, in seconds.
    made: i64,
    write: OwnedFd,
    keep: OwnedFd,
}

/// Begins the record of a session, before its agent is started.
pub(crate) fn begin(record: &Record<'_>) -> nix::Result<Begun> {
    may_write()?;
    begin_in(records(Path::new(RECORDS), ROOT)?, record)
}

/// Removes the record of a session that did not come about; there need not be one.
pub(crate) fn remove(session: &str) {
    if let Ok(directory) = open_checked(Path::new(RECORDS), ROOT) {
        let _ = unlinkat(&directory, session, UnlinkatFlags::NoRemoveDir);
    }
}

/// Notes that the login is over. Its agent may live on, and the record with it.
pub(crate) fn close(session: &str) {
    let closed = || close_in(&open_checked(Path::new(RECORDS), ROOT)?, session);
    let _ = may_write().and_then(|()| closed());
}

/// pam_limits sets RLIMIT_FSIZE in the host. It holds for root, too, and SIGXFSZ ends whoever writes beyond it.
fn may_write() -> nix::Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
    if limit < MAX_RECORD { Err(Errno::EFBIG) } else { Ok(()) }
}

impl Begun {
    /// What the child takes.
    pub(crate) fn ends(&self) -> RecordEnds<'_> {
        RecordEnds { write: self.write.as_fd(), keep: self.keep.as_fd() }
    }

    /// Closes this process's descriptors of it, once the child has them, and removes some records of sessions that
    /// have ended.
    pub(crate) fn leave_to_child(self) {
        sweep(&self.directory, &self.session, self.made);
    }
}

/// The directory of records, made where it is missing. The owner is a parameter, so that the checks can be tried by
/// somebody else.
fn records(path: &Path, owner: u32) -> nix::Result<OwnedFd> {
    match open_checked(path, owner) {
        Err(Errno::ENOENT) => make(path, owner),
        opened => opened,
    }
}

/// With this mode whatever the host's umask. Another login may be quicker.
fn make(path: &Path, owner: u32) -> nix::Result<OwnedFd> {
    match mkdir(path, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let directory = open_checked(path, owner)?;
    fchmod(&directory, Mode::S_IRWXU)?;
    Ok(directory)
}

/// EPERM for one that somebody else could change, or see into.
fn open_checked(path: &Path, owner: u32) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = open(path, flags, Mode::empty())?;
    let stat = fstat(&opened)?;
    if stat.st_uid == owner && stat.st_mode & NOT_ROOTS == 0 { Ok(opened) } else { Err(Errno::EPERM) }
}

fn begin_in(directory: OwnedFd, record: &Record<'_>) -> nix::Result<Begun> {
    let draft = format!(".{}", record.session);
    let begun = write_draft(&directory, &draft, record).and_then(|ends| {
        renameat(&directory, draft.as_str(), &directory, record.session)?;
        Ok(ends)
    });
    match begun {
        Ok((write, keep)) => {
            let (session, made) = (record.session.to_owned(), fstat(&write)?.st_mtime);
            Ok(Begun { directory, session, made, write, keep })
        }
        // Another's: not ours to remove.
        Err(Errno::EEXIST) => Err(Errno::EEXIST),
        Err(errno) => {
            let _ = unlinkat(&directory, draft.as_str(), UnlinkatFlags::NoRemoveDir);
            Err(errno)
        }
    }
}

/// By another name first: who reads the directory meanwhile sees a record that is whole and locked, or none. The lock
/// is on a descriptor that cannot write: that one becomes the agent's.
fn write_draft(directory: &OwnedFd, draft: &str, record: &Record<'_>) -> nix::Result<(OwnedFd, OwnedFd)> {
    let mode = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_EXCL;
    let flags = mode | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let write = above_standard(openat(directory, draft, flags, RECORD_MODE)?)?;
    fchmod(&write, RECORD_MODE)?;
    let mut file = File::from(write);
    let written = file.write_all(text(record).as_bytes());
    written.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    let keep = above_standard(openat(directory, draft, readable(), Mode::empty())?)?;
    lock(&keep, Lock::Shared)?;
    Ok((file.into(), keep))
}

fn close_in(directory: &OwnedFd, session: &str) -> nix::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let record = openat(directory, session, flags, Mode::empty())?;
    // The page that the record is in has been there since its first line.
    write(&record, CLOSED).map(|_| ())
}

fn readable() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC
}

/// Looks at a few records after that of `session`, and removes the dead ones. `now` is on the file system's clock.
fn sweep(directory: &OwnedFd, session: &str, now: i64) {
    for name in following(directory, session).unwrap_or_default() {
        let _ = remove_if_dead(directory, &name, now);
    }
}

/// The names after `session`, and after the greatest the smallest.
fn following(directory: &OwnedFd, session: &str) -> nix::Result<Vec<String>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    // A descriptor of its own: closedir(3) closes it.
    let mut listed = Dir::from_fd(openat(directory, ".", flags, Mode::empty())?)?;
    let mut names: Vec<String> = Vec::with_capacity(MAX_LOOKED_AT + 1);
    for entry in listed.iter().map_while(Result::ok).take(MAX_NAMES) {
        let Ok(name) = entry.file_name().to_str() else { continue };
        if matches!(name, "." | "..") || name == session {
            continue;
        }
        let at = names
            .partition_point(|other| (other.as_str() < session, other.as_str()) < (name < session, name));
        if at < MAX_LOOKED_AT {
            names.insert(at, name.to_owned());
            names.truncate(MAX_LOOKED_AT);
        }
    }
    Ok(names)
}

/// Under its lock, and only while the name still stands for what was locked.
fn remove_if_dead(directory: &OwnedFd, name: &str, now: i64) -> nix::Result<()> {
    let opened = openat(directory, name, readable(), Mode::empty())?;
    let found = fstat(&opened)?;
    // A login that is about to lock its draft must not find that locked.
    if name.starts_with('.') && found.st_mtime >= now - DRAFT_LASTS {
        return Ok(());
    }
    lock(&opened, Lock::Exclusive)?;
    if same(&found, &fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?) {
        unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)?;
    }
    Ok(())
}

fn same(one: &FileStat, other: &FileStat) -> bool {
    let regular = one.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
    regular && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn text(record: &Record<'_>) -> String {
    let Record { session, uid, .. } = record;
    let mut text = format!("version=1\nsession={session}\nuid={uid}\n");
    let remote = record.remote.unwrap_or_default();
    for (name, value) in [("user", record.user), ("service", record.service), ("remote", remote)] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}={}", escaped(value));
    }
    text
}

/// Printable ASCII as it is, all else and `%` as `%` and two hexadecimal digits: a name cannot forge a line.
fn escaped(value: &[u8]) -> String {
    let mut out = String::new();
    for byte in value.iter().take(MAX_FIELD) {
        match byte {
            b'!'..=b'~' if *byte != b'%' => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "%{byte:02x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
