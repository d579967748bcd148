//! The agents that live, by the kernel's word. Reads /proc, links of it included, and follows none below a user's
//! directory.
//!
//! A process is an agent if its program is the installed one, or one that was installed there and has been replaced.
//! A user may start that program by hand, or mount something else at its path in a namespace: that process is the
//! user's own all the same, and nothing here is done to a process of another uid than was meant.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::paths::{self, Runtime};

/// proc(5): what a link to a program says once the file is unlinked.
const DELETED: &str = " (deleted)";
/// Of /proc/PID/stat behind the name: the state, and `starttime`, the 22nd field of all (proc(5)).
const START_TIME: usize = 19;

/// A process that cannot be mistaken for another: its number may come again, both together do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// Clock ticks since the boot.
    pub(super) start: u64,
}

/// What an agent ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// A login.
    Login,
    /// A shell that ran `iam-session start`.
    Shell,
}

/// Whether the program that a process runs is the one that is installed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// It is.
    Installed,
    /// It has been replaced, or removed, since.
    Replaced,
}

/// A process that is an agent.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) process: Identity,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) stay: Stay,
    pub(super) program: Program,
    /// By the lock that it holds open; `None` for one that is still starting.
    pub(super) session: Option<Session>,
}

/// What an agent's session is called, and where its socket is.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) places: Runtime,
}

impl Identity {
    /// The process that has this number now; `None` if none has, or one that has ended.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let start = parse_start(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        Some(Self { pid, start })
    }

    /// Whether it lives.
    pub(super) fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Seconds since the epoch.
    pub(super) fn started_at(self) -> u64 {
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
        boot_time().unwrap_or_default() + self.start / ticks.filter(|ticks| *ticks > 0).unwrap_or(100)
    }
}

impl Agent {
    /// Sends it a signal if it is still the agent that it was; whether it was there.
    pub(super) fn signal(&self, signal: Signal) -> Result<bool, Errno> {
        // Without a pidfd (Linux 5.3) nothing is closer together than this look and the call.
        if read(self.process.pid).is_none_or(|now| now.process != self.process || now.uid != self.uid) {
            return Ok(false);
        }
        match kill(Pid::from_raw(self.process.pid), signal) {
            Ok(()) => Ok(true),
            Err(Errno::ESRCH) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// All agents on this host, oldest first.
pub(super) fn agents() -> std::io::Result<Vec<Agent>> {
    let names = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut agents: Vec<Agent> = names.filter_map(read).collect();
    agents.sort_by_key(|agent| (agent.process.start, agent.process.pid));
    Ok(agents)
}

fn read(pid: i32) -> Option<Agent> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let program = program(&directory)?;
    let process = Identity::of(pid)?;
    let arguments = fs::read(directory.join("cmdline")).ok()?;
    let stay = match arguments.split(|byte| *byte == 0).nth(1).unwrap_or_default() {
        // Its work is not to be interrupted: at the issuer a refresh token may just be changing hands.
        b"mint" => return None,
        b"standing" => Stay::Shell,
        _ => Stay::Login,
    };
    let status = fs::read_to_string(directory.join("status")).ok()?;
    let (uid, gid) = (id(&status, "Uid:")?, id(&status, "Gid:")?);
    let session = session(&directory, uid);
    Some(Agent { process, uid, gid, stay, program, session })
}

/// By the link's text alone: to look at the file that it leads to could mean to wait for the user's file system.
fn program(directory: &Path) -> Option<Program> {
    let target = fs::read_link(directory.join("exe")).ok()?;
    match target.to_str()?.strip_prefix(paths::AGENT)? {
        "" => Some(Program::Installed),
        DELETED => Some(Program::Replaced),
        _ => None,
    }
}

/// The real one of four: an agent's are all the same.
fn id(status: &str, field: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// By the name of the lock that every agent holds open: the link says it, and nothing is opened.
fn session(directory: &Path, uid: u32) -> Option<Session> {
    let links = fs::read_dir(directory.join("fd")).ok()?.flatten();
    links.filter_map(|link| fs::read_link(link.path()).ok()).find_map(|target| named(&target, uid))
}

fn named(lock: &Path, uid: u32) -> Option<Session> {
    let id = lock.file_name()?.to_str()?.strip_suffix(".lock")?;
    let agents = lock.parent()?;
    let runtime = agents.parent().filter(|runtime| runtime.is_absolute())?;
    let is_ours = agents.file_name()? == "iam-session" && super::record::is_session_id(id);
    is_ours.then(|| Session { id: id.to_owned(), places: Runtime::new(runtime, uid) })
}

/// The name of the program stands in parentheses and may hold any, and spaces: the last one closes it.
fn parse_start(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X" | "x")).then(|| fields.nth(START_TIME - 1)?.parse().ok())?
}

/// When the machine was started, in seconds since the epoch (proc(5), /proc/stat).
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_and_start() {
        let me = Identity::of(std::process::id().try_into().unwrap()).unwrap();
        assert!(me.lives());
        assert!(!Identity { start: me.start + 1, ..me }.lives());
        assert!(!Identity { pid: i32::MAX, ..me }.lives());
        let now = crate::clock::unix_time();
        assert!((now - 86_400..=now + 2).contains(&me.started_at()), "{} {now}", me.started_at());
    }

    #[test]
    fn one_that_has_ended_does_not_live() {
        let fields = "1 2 3 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 8192 1";
        assert_eq!(parse_start(&format!("42 (a) b) S {fields}")), Some(4711));
        assert_eq!(parse_start(&format!("42 (agent) Z {fields}")), None);
        assert_eq!(parse_start("42 (agent"), None);
    }

    #[test]
    fn a_session_is_named_by_its_lock_alone() {
        let id = "4f2c0000000000000000000000000001";
        let session = named(Path::new(&format!("/run/user/1000/iam-session/{id}.lock")), 1000).unwrap();
        assert_eq!((session.id.as_str(), session.places.directory()), (id, Path::new("/run/user/1000")));
        for other in
            ["/run/user/1000/iam-session/users.lock", "/run/user/1000/iam-session/mint.lock", "pipe:[1]"]
        {
            assert!(named(Path::new(other), 1000).is_none(), "{other}");
        }
        assert!(named(Path::new(&format!("/run/user/1000/other/{id}.lock")), 1000).is_none());
    }

    #[test]
    fn this_process_is_no_agent() {
        assert!(read(std::process::id().try_into().unwrap()).is_none());
    }
}
