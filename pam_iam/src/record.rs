//! The record of a session, for the administrator: PROTOCOL.md, section 7. Touches /run/iam-session/sessions and the
//! agent's /proc/PID/stat.
//!
//! It is root's alone, from the directory down, so nothing in it is a user's word but the remote host, which is sshd's.
//! Best effort: a login goes on without one. No step waits: it is a few calls to a tmpfs.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{Pid, UnlinkatFlags, unlinkat};

use crate::site::ROOT;

/// Below it users have runtime directories; records need no mount, for only root makes them, one of a few hundred
/// bytes a session.
const ABOVE: &str = "/run";
const OURS: &str = "iam-session";
const SESSIONS: &str = "sessions";
/// Users pass through to their own directory and list nobody else's.
const OURS_MODE: Mode = Mode::from_bits_truncate(0o711);
const WRITABLE_BY_OTHERS: u32 = 0o022;
const NOT_ROOTS: u32 = 0o077;
/// A name and a host are cut here; RFC 1035 has 253 bytes for the longest host.
const MAX_FIELD: usize = 256;
/// The line of /proc/PID/stat.
const MAX_STAT: usize = 1024;
/// Of that line, counted from the first field behind the name: `starttime`, the 22nd of all (proc(5)).
const START_TIME: usize = 19;

/// What is written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) session: &'a str,
    pub(crate) user: &'a [u8],
    pub(crate) uid: u32,
    pub(crate) service: &'a [u8],
    /// PAM_RHOST.
    pub(crate) remote: Option<&'a [u8]>,
    pub(crate) agent: Pid,
}

/// Writes the record of a session whose agent runs.
pub(crate) fn write(record: &Record<'_>) -> nix::Result<()> {
    let start = start_time(record.agent)?;
    write_in(&sessions(open(ABOVE, directory(), Mode::empty())?, ROOT)?, record, start)
}

/// Removes the record of a session that has ended; there need not be one.
pub(crate) fn remove(session: &str) {
    let above = open(ABOVE, directory(), Mode::empty());
    if let Ok(sessions) = above.and_then(|above| sessions_of(&above, ROOT)) {
        let _ = unlinkat(&sessions, session, UnlinkatFlags::NoRemoveDir);
    }
}

/// The directory of records, made where it is missing. The owner is a parameter, so that the checks can be tried by
/// somebody else.
fn sessions(above: OwnedFd, owner: u32) -> nix::Result<OwnedFd> {
    make(&above, OURS, OURS_MODE)?;
    let ours = open_checked(&above, OURS, owner, WRITABLE_BY_OTHERS)?;
    make(&ours, SESSIONS, Mode::S_IRWXU)?;
    open_checked(&ours, SESSIONS, owner, NOT_ROOTS)
}

fn sessions_of(above: &OwnedFd, owner: u32) -> nix::Result<OwnedFd> {
    let ours = open_checked(above, OURS, owner, WRITABLE_BY_OTHERS)?;
    open_checked(&ours, SESSIONS, owner, NOT_ROOTS)
}

/// Made with this mode whatever the host's umask; one that is there is left as it is, and checked when it is opened.
fn make(above: &OwnedFd, name: &str, mode: Mode) -> nix::Result<()> {
    match mkdirat(above, name, Mode::S_IRWXU) {
        Ok(()) => fchmod(openat(above, name, directory(), Mode::empty())?, mode),
        Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// EPERM for one that somebody else could change, or see into.
fn open_checked(above: &OwnedFd, name: &str, owner: u32, forbidden: u32) -> nix::Result<OwnedFd> {
    let opened = openat(above, name, directory(), Mode::empty())?;
    let stat = fstat(&opened)?;
    let is_directory = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    if is_directory && stat.st_uid == owner && stat.st_mode & forbidden == 0 {
        Ok(opened)
    } else {
        Err(Errno::EPERM)
    }
}

/// By another name first: who reads the directory meanwhile sees a record whole or not at all.
fn write_in(sessions: &OwnedFd, record: &Record<'_>, start: u64) -> nix::Result<()> {
    let draft = format!(".{}", record.session);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(sessions, draft.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let written = File::from(file).write_all(text(record, start).as_bytes());
    let kept = written
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
        .and_then(|()| renameat(sessions, draft.as_str(), sessions, record.session));
    if kept.is_err() {
        let _ = unlinkat(sessions, draft.as_str(), UnlinkatFlags::NoRemoveDir);
    }
    kept
}

fn text(record: &Record<'_>, start: u64) -> String {
    let Record { session, uid, agent, .. } = record;
    let mut text = format!("version=1\nsession={session}\nuid={uid}\nagent={agent}\nagent_start={start}\n");
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

/// When a process was started, in clock ticks since the boot: its number may come again, both together do not.
fn start_time(process: Pid) -> nix::Result<u64> {
    let path = format!("/proc/{process}/stat");
    let stat = open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut line = [0; MAX_STAT];
    // One read gives all of it (proc(5)).
    let length = File::from(stat).read(&mut line).map_err(|_| Errno::ESRCH)?;
    field(line.get(..length).unwrap_or_default()).ok_or(Errno::ESRCH)
}

/// The name of the program stands in parentheses and may hold any, and spaces: the last one closes it.
fn field(line: &[u8]) -> Option<u64> {
    let behind = line.iter().rposition(|byte| *byte == b')')?;
    let mut fields = line.get(behind + 1..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    str::from_utf8(fields.nth(START_TIME)?).ok()?.parse().ok()
}

fn directory() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use nix::unistd::{geteuid, getpid};

    use super::*;
    use crate::scratch::Scratch;

    const ID: &str = "4f2c0000000000000000000000000001";

    fn record() -> Record<'static> {
        Record {
            session: ID,
            user: b"alice",
            uid: 1000,
            service: b"sshd",
            remote: Some(b"host.example.org"),
            agent: Pid::from_raw(42),
        }
    }

    fn above(place: &Scratch) -> OwnedFd {
        open(&place.path(""), directory(), Mode::empty()).unwrap()
    }

    fn mine() -> u32 {
        geteuid().as_raw()
    }

    fn mode(place: &Scratch, name: &str) -> u32 {
        fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_lines_are_those_of_the_protocol() {
        assert_eq!(
            text(&record(), 4711),
            format!(
                "version=1\nsession={ID}\nuid=1000\nagent=42\nagent_start=4711\n\
                 user=alice\nservice=sshd\nremote=host.example.org\n"
            )
        );
    }

    #[test]
    fn a_name_cannot_forge_a_line_and_is_cut() {
        assert_eq!(escaped(b"a\nuid=0\n%\xff b"), "a%0auid=0%0a%25%ff%20b");
        assert_eq!(escaped(&[b'x'; 1000]).len(), MAX_FIELD);
        let none = Record { remote: None, ..record() };
        assert!(text(&none, 1).ends_with("\nremote=\n"));
    }

    #[test]
    fn the_directories_are_made_and_a_record_comes_whole() {
        let place = Scratch::new();
        let sessions = sessions(above(&place), mine()).unwrap();
        assert_eq!((mode(&place, OURS), mode(&place, "iam-session/sessions")), (0o711, 0o700));
        write_in(&sessions, &record(), 1).unwrap();
        let path = format!("iam-session/sessions/{ID}");
        assert_eq!(
            (mode(&place, &path), fs::read_dir(place.path("iam-session/sessions")).unwrap().count()),
            (0o600, 1)
        );
        assert_eq!(fs::read_to_string(place.path(&path)).unwrap(), text(&record(), 1));
    }

    #[test]
    fn a_place_that_others_could_change_or_a_link_is_not_used() {
        let place = Scratch::new();
        place.directory(OURS, 0o733);
        assert_eq!(sessions(above(&place), mine()).unwrap_err(), Errno::EPERM);
        place.mode(OURS, 0o711);
        assert_eq!(sessions(above(&place), mine() + 1).unwrap_err(), Errno::EPERM);
        place.directory("elsewhere", 0o700);
        place.link("../elsewhere", "iam-session/sessions");
        assert!(sessions(above(&place), mine()).is_err());
        fs::remove_file(place.path("iam-session/sessions")).unwrap();
        place.directory("iam-session/sessions", 0o750);
        assert_eq!(sessions(above(&place), mine()).unwrap_err(), Errno::EPERM);
        assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_a_records_place_is_replaced_and_not_followed() {
        let place = Scratch::new();
        let sessions = sessions(above(&place), mine()).unwrap();
        place.file("other", 0o600, b"as it was");
        place.link("../../other", &format!("iam-session/sessions/{ID}"));
        place.link("../../other", &format!("iam-session/sessions/.{ID}"));
        assert_eq!(write_in(&sessions, &record(), 1), Err(Errno::EEXIST));
        fs::remove_file(place.path(&format!("iam-session/sessions/.{ID}"))).unwrap();
        write_in(&sessions, &record(), 1).unwrap();
        assert_eq!(fs::read(place.path("other")).unwrap(), b"as it was");
        assert!(fs::symlink_metadata(place.path(&format!("iam-session/sessions/{ID}"))).unwrap().is_file());
    }

    #[test]
    fn the_start_of_a_process_is_found_behind_any_name() {
        let fields = "S 1 2 3 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 8192 1";
        for name in ["agent", "a) b (c", ") 1 2 3"] {
            assert_eq!(field(format!("42 ({name}) {fields}\n").as_bytes()), Some(4711), "{name}");
        }
        for broken in
            ["", "42 (agent", "42 (agent) S 1", "42 (agent) S 1 2 3 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 x"]
        {
            assert_eq!(field(broken.as_bytes()), None, "{broken}");
        }
        assert_eq!(start_time(getpid()).unwrap(), start_time(getpid()).unwrap());
        assert!(start_time(Pid::from_raw(i32::MAX)).is_err());
    }
}
