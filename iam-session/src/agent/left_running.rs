//! A look at what a login left running, by a child of the agent: processes of the user that have the session's id in
//! their environment. The agent starts the child, touches its pipe and never waits; the child reads /proc.
//!
//! To read a process's environment can take for ever. The process's memory is locked while it waits for a file server
//! that hangs, or for a file system of the user's own. The agent must answer meanwhile, so a child reads.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use nix::unistd::geteuid;

use super::child_end::EndingChild;
use super::own_program;
use crate::host::process_stat::{ProcessStat, is_exiting};
use crate::line;
use crate::paths::ENV_SESSION;

/// The argument of the agent's program.
pub(super) const ARGUMENT: &str = "left-running";
/// What the child writes where it has found nobody.
const NOBODY: &[u8] = b"nobody\n";
/// Much larger than any environment that execve(2) takes in practice; what lies beyond is not looked at.
const MAX_ENVIRONMENT: u64 = 2 * 1024 * 1024;
/// An execve(2) takes longer only where something hangs.
const EXEC_TRIES: u32 = 50;
const EXEC_PAUSE: Duration = Duration::from_millis(2);
/// Services that a desktop or a shell starts along the way and that nobody would keep a token for, as /proc/PID/comm
/// has them (15 bytes at most). A trailing `*` stands for any rest.
const SERVICES: [&str; 20] = [
    "(sd-pam)",
    "at-spi*",
    "dbus-broker*",
    "dbus-daemon",
    "dbus-launch",
    "dconf-service",
    "dirmngr",
    "gnome-keyring-d",
    "gpg-agent",
    "gvfs*",
    "ibus*",
    "keyboxd",
    "kwalletd*",
    "pipewire*",
    "pulseaudio",
    "scdaemon",
    "ssh-agent",
    "systemd",
    "wireplumber",
    "xdg-*",
];

/// Where logind keeps the names of users for whom 'loginctl enable-linger' was run.
const LINGER: &str = "/var/lib/systemd/linger";

/// What becomes of processes of the user's systemd, which are in no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Managed {
    /// loginctl's linger is on.
    Stay,
    /// logind ends them when the user has no session left. An agent that stays is in one, and each would keep the other
    /// alive for ever.
    EndWithTheLogin,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftRunning {
    /// Something runs, or that could not be found out.
    Somebody,
    /// Nothing does.
    Nobody,
}

/// A child that looks.
#[derive(Debug)]
pub(super) struct Search {
    child: EndingChild,
    /// As far as it has said.
    said: Vec<u8>,
}

impl Search {
    /// Starts one for the session with this id, of this user.
    pub(super) fn start(session: &str, user: &str) -> io::Result<Self> {
        Self::of(own_program(&[ARGUMENT, session, user]).stdin(Stdio::null()))
    }

    fn of(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        line::unblock(&output)?;
        Ok(Self { child: EndingChild { child, output }, said: Vec::new() })
    }

    /// What to poll for.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.child.descriptor()
    }

    /// What it found, once it has ended.
    pub(super) fn answer(&mut self) -> Option<LeftRunning> {
        let said = &mut self.said;
        let has_ended = self.child.has_ended(|written| said.extend_from_slice(written));
        has_ended.then(|| if said == NOBODY { LeftRunning::Nobody } else { LeftRunning::Somebody })
    }
}

impl Drop for Search {
    /// One that hangs is not waited for: it ends when it can, and init reaps it after the agent.
    fn drop(&mut self) {
        // Of one that has ended the number may be another process's.
        if matches!(self.child.child.try_wait(), Ok(None)) {
            let _ = self.child.child.kill();
            let _ = self.child.child.try_wait();
        }
    }
}

/// The child's whole program.
pub(super) fn main(session: &str, user: &str) -> ExitCode {
    let managed = match fs::symlink_metadata(Path::new(LINGER).join(linger_name(user))) {
        Ok(_) => Managed::Stay,
        Err(_) => Managed::EndWithTheLogin,
    };
    if is_anybody_there(geteuid().as_raw(), session, managed) {
        return ExitCode::SUCCESS;
    }
    io::stdout().write_all(NOBODY).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// As logind spells a user in a file's name (cescape of systemd): `DOMAIN\user` has two backslashes there.
fn linger_name(user: &str) -> String {
    let spelled = |byte: u8| match byte {
        b'\\' | b'\'' | b'"' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    user.bytes().map(spelled).collect()
}

/// Whether a process of `uid` runs that the session with this id started. A process that closed itself to others of
/// the same uid cannot be asked, and does not count.
fn is_anybody_there(uid: u32, session: &str, managed: Managed) -> bool {
    let mark = format!("{ENV_SESSION}={session}");
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        let path = process.path();
        let numeric = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        let is_meant = || !is_service(&path) && (managed == Managed::Stay || !is_managed(&path, uid));
        numeric && is_of(&path, uid) && has(&path, mark.as_bytes()) && is_meant()
    })
}

fn is_managed(process: &Path, uid: u32) -> bool {
    let groups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
    is_below_manager(&groups, uid)
}

/// `HIERARCHY:CONTROLLERS:PATH` a line (cgroups(7)): one line in version 2, and one a hierarchy in version 1.
fn is_below_manager(groups: &str, uid: u32) -> bool {
    let manager = format!("user@{uid}.service");
    let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.into_iter().any(|path| path.split('/').any(|part| part == manager))
}

fn is_of(process: &Path, uid: u32) -> bool {
    fs::metadata(process).is_ok_and(|metadata| metadata.uid() == uid)
}

/// Whether a process was started with this variable. At its execve(2) it has neither environment nor arguments for a
/// moment, or for as long as the program's file keeps it waiting. Then it may be meant.
fn has(process: &Path, mark: &[u8]) -> bool {
    let mut is_complete = false;
    for _ in 0..EXEC_TRIES {
        let Ok(environment) = read(process, "environ") else { return false };
        if is_complete || !environment.is_empty() {
            return environment.split(|byte| *byte == 0).any(|variable| variable == mark);
        }
        // Of a zombie both are empty, and stay so.
        is_complete = !lives(process) || read(process, "cmdline").is_ok_and(|text| !text.is_empty());
        if !is_complete {
            thread::sleep(EXEC_PAUSE);
        }
    }
    true
}

fn read(process: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(process.join(name))?.take(MAX_ENVIRONMENT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A killed program that hangs on its way out keeps no agent.
fn lives(process: &Path) -> bool {
    fs::read(process.join("stat")).is_ok_and(|stat| ProcessStat::parse(&stat).is_some() && !is_exiting(&stat))
}

fn is_service(process: &Path) -> bool {
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    is_service_name(name.trim_end_matches('\n'))
}

fn is_service_name(name: &str) -> bool {
    SERVICES.iter().any(|service| match service.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *service,
    })
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn search(script: &str) -> Search {
        Search::of(Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::piped())).unwrap()
    }

    fn found(mut search: Search) -> LeftRunning {
        loop {
            poll(&mut [PollFd::new(search.descriptor(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
            if let Some(answer) = search.answer() {
                return answer;
            }
        }
    }

    #[test]
    fn only_a_child_that_says_so_has_found_nobody() {
        assert_eq!(found(search("echo nobody")), LeftRunning::Nobody);
        for other in ["exit 0", "exit 1", "kill -9 $$", "printf no", "echo nobody; echo nobody"] {
            assert_eq!(found(search(other)), LeftRunning::Somebody, "{other}");
        }
    }

    #[test]
    fn one_that_hangs_has_no_answer_and_is_ended_with_its_search() {
        // Until the end of its input, which is this process's to close.
        let mut search = search("read -r line");
        let _input = search.child.child.stdin.take();
        assert_eq!(search.answer(), None);
        let mut end = std::fs::File::from(search.descriptor().try_clone_to_owned().unwrap());
        drop(search);
        fcntl(&end, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        assert_eq!(end.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn services_are_no_reason_to_stay() {
        for name in ["ssh-agent", "gvfsd-fuse", "dbus-daemon", "xdg-document-po"] {
            assert!(is_service_name(name), "{name}");
        }
        for name in ["tmux: server", "mosh-server", "bash", "ssh", "node", "dbus"] {
            assert!(!is_service_name(name), "{name}");
        }
    }

    #[test]
    fn a_user_of_a_domain_lingers_under_the_name_that_logind_writes() {
        for (user, name) in [
            ("alice", "alice"),
            ("alice@ad.example", "alice@ad.example"),
            (r"AD\alice", r"AD\\alice"),
            ("d'arc", r"d\'arc"),
            ("zoë", r"zo\303\253"),
        ] {
            assert_eq!(linger_name(user), name);
        }
    }

    #[test]
    fn what_the_users_systemd_runs_is_known_by_its_cgroup() {
        let scope = "/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope";
        let session = "/user.slice/user-1000.slice/session-1.scope";
        for (groups, is_managed) in [
            (format!("0::{scope}\n"), true),
            (format!("12:cpu,cpuacct:/\n1:name=systemd:{scope}\n0::/\n"), true),
            (format!("0::{session}\n"), false),
            (format!("12:pids:/user.slice\n1:name=systemd:{session}\n"), false),
            ("0::/user.slice/user-1001.slice/user@1001.service/x\n".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_below_manager(&groups, 1000), is_managed, "{groups}");
        }
    }

    #[test]
    fn a_process_is_found_by_its_session_and_gone_when_it_ends() {
        // Another run of this test may be under way.
        let session = format!("{:032x}", std::process::id());
        let uid = nix::unistd::geteuid().as_raw();
        let there = || is_anybody_there(uid, &session, Managed::Stay);
        assert!(!there());
        let mut cat = Command::new("cat").env(ENV_SESSION, &session).stdin(Stdio::piped()).spawn().unwrap();
        assert!(there());
        assert!(!is_anybody_there(uid + 1, &session, Managed::Stay));
        assert!(!is_anybody_there(uid, &session[..31], Managed::Stay));
        drop(cat.stdin.take());
        cat.wait().unwrap();
        assert!(!there());
    }

    /// A parent goes on as soon as its child has let go of the memory that they shared, which is earlier.
    #[test]
    fn a_process_at_its_execve_is_waited_for() {
        for (variables, is_meant) in
            [(&[("A", "b")][..], true), (&[("A", "c")], false), (&[], false)].repeat(30)
        {
            let mut cat = Command::new("/bin/cat");
            cat.env_clear().envs(variables.to_vec()).stdin(Stdio::piped());
            let mut cat = cat.spawn().unwrap();
            assert_eq!(
                has(&Path::new("/proc").join(cat.id().to_string()), b"A=b"),
                is_meant,
                "{variables:?}"
            );
            drop(cat.stdin.take());
            cat.wait().unwrap();
        }
    }
}
