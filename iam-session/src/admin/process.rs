//! One process, by the kernel's word. Sends signals. Of /proc/PID it reads only what no user's process can hold up:
//! `stat`, `status`, `cgroup`, `wchan` and the links of descriptors take no lock of its memory.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

use super::session_record::{self, SessionRecord};
use crate::host::process_stat::{DELETED, ProcessStat};
use crate::paths::RuntimePaths;
use crate::protocol::Failure;

const ROOT: u32 = 0;
/// An agent opens its lock among its first files; a process of a user's may have half a million.
const MAX_LINKS: usize = 256;
/// `status` has some 1500 bytes; groups, of which there may be many, come behind the ids.
const MAX_FACTS: u64 = 8192;

/// A process that cannot be mistaken for another: its number may come again, both together do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ProcessIdentity {
    /// Clock ticks since the boot.
    pub(super) start: u64,
    pub(super) pid: i32,
}

/// What an agent ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StayKind {
    /// A login.
    Login,
    /// A shell that ran `iam-session start`.
    Shell,
}

/// Whether the program that a process runs is the one that is installed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProgramVersion {
    /// It is.
    Installed,
    /// It has been replaced, or removed, since.
    Replaced,
    /// It cannot be looked at, or the process has not come to running it.
    Unknown,
}

/// A process that is an agent.
#[derive(Clone, Debug)]
pub(super) struct AgentProcess {
    pub(super) process: ProcessIdentity,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) stay: StayKind,
    pub(super) program: ProgramVersion,
    /// By the lock that it holds open; `None` for one that is still starting.
    pub(super) session: Option<ProcessSession>,
    /// Of the login that it was started for; `None` for one that a shell started.
    pub(super) record: Option<SessionRecord>,
}

/// A process that works for an agent: a mint, its helper, or one that looks what a login left running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JobProcess {
    pub(super) process: ProcessIdentity,
    pub(super) uid: u32,
}

/// What an agent's session is called, and where its socket is.
#[derive(Clone, Debug)]
pub(super) struct ProcessSession {
    pub(super) id: String,
    pub(super) places: RuntimePaths,
}

/// What is known of any process without waiting.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) process: ProcessIdentity,
    /// The real ids: those of ours are all the same.
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl ProcessIdentity {
    /// The process that has this number now; `None` if none has, or one that has ended.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let start = ProcessStat::of(pid.try_into().ok()?)?.started;
        Some(Self { start, pid })
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

    /// Sends it a signal if it still lives and is `uid`'s; whether it was there. A process keeps number and start over
    /// exec(2). One that is to become the agent of a session may be root's still.
    pub(super) fn signal(self, uid: u32, signal: Signal) -> Result<bool, Failure> {
        // Without a pidfd (Linux 5.3) nothing is closer together than this look and the call.
        let now = Facts::of(self.pid).filter(|now| now.process == self);
        if !now.is_some_and(|now| now.uid == uid || (now.uid == ROOT && is_to_become(self.pid, uid))) {
            return Ok(false);
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) => Ok(true),
            Err(Errno::ESRCH) => Ok(false),
            Err(errno) => {
                let error = format!("cannot send {signal} to process {}: {}", self.pid, errno.desc());
                Err(Failure::failed(error))
            }
        }
    }

    /// Its number and what keeps it: where it waits in the kernel, and in which control group it may be frozen.
    pub(super) fn description(self) -> String {
        let read = |name: &str| text_of(format!("/proc/{}/{name}", self.pid).as_ref()).unwrap_or_default();
        describe(self.pid, &read("stat"), &read("wchan"), &read("cgroup"))
    }
}

impl ProgramVersion {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Replaced => "replaced",
            Self::Unknown => "unknown",
        }
    }
}

impl Facts {
    pub(super) fn of(pid: i32) -> Option<Self> {
        let status = text_of(format!("/proc/{pid}/status").as_ref())?;
        let (uid, gid) = (id(&status, "Uid:")?, id(&status, "Gid:")?);
        Some(Self { process: ProcessIdentity::of(pid)?, uid, gid })
    }
}

/// The session that a process belongs to, whichever program it runs: its descriptor 2 is the session's record.
pub(super) fn session_of(pid: i32) -> Option<String> {
    let link = fs::read_link(format!("/proc/{pid}/fd/2")).ok()?;
    session_record::session_of(&link).map(str::to_owned)
}

/// Whether a process is the one that root has started as an agent of `uid`'s.
fn is_to_become(pid: i32, uid: u32) -> bool {
    let record = session_of(pid).and_then(|session| session_record::of(&session));
    record.is_some_and(|record| record.uid == uid && record.agent == Some(pid))
}

/// By the name of the lock that every agent holds open: the link says it, and nothing is opened.
pub(super) fn socket_session(pid: i32, uid: u32) -> Option<ProcessSession> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    links
        .take(MAX_LINKS)
        .filter_map(|link| fs::read_link(link.path()).ok())
        .find_map(|target| named(&target, uid))
}

/// Whether the link to a process's program leads to `program`. By its text alone: to look at the file could mean to wait
/// for the user's file system.
pub(super) fn is_program(link: &Path, program: &str) -> Option<ProgramVersion> {
    match link.to_str()?.strip_prefix(program)? {
        "" => Some(ProgramVersion::Installed),
        DELETED => Some(ProgramVersion::Replaced),
        _ => None,
    }
}

/// The name of a program in it is any bytes: a user who starts the agent by a link of such a name hides no agent so.
fn text_of(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_FACTS).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The real one of four.
fn id(status: &str, field: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

fn named(lock: &Path, uid: u32) -> Option<ProcessSession> {
    let id = lock.file_name()?.to_str()?.strip_suffix(".lock")?;
    let agents = lock.parent()?;
    let runtime = agents.parent().filter(|runtime| runtime.is_absolute())?;
    let is_ours = agents.file_name()? == "iam-session" && session_record::is_session_id(id);
    is_ours.then(|| ProcessSession { id: id.to_owned(), places: RuntimePaths::new(runtime, uid) })
}

fn describe(pid: i32, stat: &str, wchan: &str, cgroups: &str) -> String {
    let state = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_ascii_whitespace().next());
    let mut text = format!("process {pid} (state {}", state.unwrap_or("unknown"));
    // 0: it does not wait in the kernel (proc(5)).
    if !matches!(wchan, "" | "0") {
        text.push_str(&format!(", waits in {wchan}"));
    }
    // Of a v1 hierarchy the freezer alone can keep a process; in v2 there is one group (cgroups(7)).
    let group = cgroups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|controller| controller == "freezer").then_some(path)
    });
    let group = group.or_else(|| cgroups.lines().find_map(|line| line.strip_prefix("0::")));
    if let Some(group) = group {
        text.push_str(&format!(", in cgroup {group}"));
    }
    text.push(')');
    text
}

/// When the machine was started, in seconds since the epoch (proc(5), /proc/stat).
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::process_stat::tests::oddly_named;
    use crate::scratch::Scratch;

    #[test]
    fn a_process_is_known_by_number_and_start() {
        let me = ProcessIdentity::of(std::process::id().try_into().unwrap()).unwrap();
        assert!(me.lives());
        assert!(!ProcessIdentity { start: me.start + 1, ..me }.lives());
        assert!(!ProcessIdentity { pid: i32::MAX, ..me }.lives());
        let now = crate::clock::unix_time();
        assert!((now - 86_400..=now + 2).contains(&me.started_at()), "{} {now}", me.started_at());
    }

    #[test]
    fn a_name_of_any_bytes_hides_no_process() {
        let scratch = Scratch::new();
        let mut child = std::process::Command::new(oddly_named("/bin/cat", &scratch))
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let found = Facts::of(child.id().try_into().unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(found.unwrap().uid, nix::unistd::getuid().as_raw());
    }

    #[test]
    fn a_signal_goes_to_the_process_that_was_looked_at_alone() {
        let mut child =
            std::process::Command::new("/bin/cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = ProcessIdentity::of(child.id().try_into().unwrap()).unwrap();
        let another = ProcessIdentity { start: process.start + 1, ..process };
        let me = nix::unistd::getuid().as_raw();
        assert_eq!(another.signal(me, Signal::SIGKILL), Ok(false));
        assert_eq!(process.signal(me + 1, Signal::SIGKILL), Ok(false));
        assert!(process.lives());
        assert_eq!(process.signal(me, Signal::SIGKILL), Ok(true));
        child.wait().unwrap();
        assert_eq!(process.signal(me, Signal::SIGKILL), Ok(false));
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
    fn what_keeps_a_process_is_named() {
        let frozen = "11:pids:/user.slice\n4:freezer:/frozen\n0::/x\n";
        assert_eq!(
            describe(42, "42 (a) b) D 1", "__refrigerator", frozen),
            "process 42 (state D, waits in __refrigerator, in cgroup /frozen)"
        );
        assert_eq!(
            describe(42, "42 (a) S 1", "0", "0::/user.slice\n"),
            "process 42 (state S, in cgroup /user.slice)"
        );
        assert_eq!(describe(42, "", "", ""), "process 42 (state unknown)");
    }

    #[test]
    fn a_program_is_known_by_its_path_also_when_it_has_been_replaced() {
        let program = "/usr/libexec/iam-session/agent";
        let of = |link: &str| is_program(Path::new(link), program);
        assert_eq!(of(program), Some(ProgramVersion::Installed));
        assert_eq!(of(&format!("{program}{DELETED}")), Some(ProgramVersion::Replaced));
        assert_eq!((of(&format!("{program}2")), of("/bin/agent")), (None, None));
    }
}
