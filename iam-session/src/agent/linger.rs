//! What a login left running: the user's processes that have its session id in their environment. Reads /proc, in a
//! child of the agent.

use std::fs::{self, File};
use std::io::Read;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::left_running::{Found, Search};
use crate::config::{Linger, LingerFor};
use crate::paths::ENV_SESSION;

/// Much larger than any environment that execve(2) takes in practice; what lies beyond is not looked at.
const MAX_ENVIRONMENT: u64 = 2 * 1024 * 1024;
/// The first look after the login's end, for the shell is still on its way out then; doubled up to the second.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(20));
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

/// When to look: soon at first, later rarely.
#[derive(Debug)]
pub(super) struct Looks {
    next: Duration,
    pause: Duration,
}

impl Looks {
    /// Counted from `now`.
    pub(super) fn from(now: Duration) -> Self {
        let (first, _) = LOOKS;
        Self { next: now + first, pause: first }
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Duration {
        self.next
    }

    /// The same, and once at `now`.
    fn at_once(now: Duration) -> Self {
        let (first, _) = LOOKS;
        Self { next: now, pause: first / 2 }
    }

    /// Whether a look is due; the next one is set.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        if now < self.next {
            return false;
        }
        let (_, longest) = LOOKS;
        self.pause = (self.pause * 2).min(longest);
        self.next = now + self.pause;
        true
    }
}

/// An agent that stays after its login.
#[derive(Debug)]
pub(super) struct Lingering {
    until: Duration,
    looks: Looks,
    /// One at a time. While it has no answer, what the login left running is taken to run still.
    search: Option<Search>,
    answers: u32,
}

impl Lingering {
    /// Begins when the login has ended at `now`, if policy lets it.
    pub(super) fn begin(policy: Linger, now: Duration) -> Option<Self> {
        (policy.what == LingerFor::Processes).then(|| Self {
            until: now + policy.max,
            looks: Looks::at_once(now),
            search: None,
            answers: 0,
        })
    }

    /// What to poll for.
    pub(super) fn search(&self) -> Option<&Search> {
        self.search.as_ref()
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Duration {
        self.looks.deadline().min(self.until)
    }

    /// Begins a look that is due, hears the one before, and breaks off where there is nothing left to stay for.
    pub(super) fn look(&mut self, session: &str, now: Duration) -> ControlFlow<(), Staying> {
        let answer = self.search.as_mut().and_then(Search::answer);
        if answer.is_some() {
            self.search = None;
        }
        if now >= self.until || answer == Some(Found::Nobody) {
            return ControlFlow::Break(());
        }
        if self.looks.is_due(now) && self.search.is_none() {
            // Where there is no room for another process, there are some.
            self.search = Search::start(session).ok();
        }
        self.answers += u32::from(answer.is_some());
        // By the second one the shell has had its time to end.
        let is_known = answer.is_some() && self.answers == 2;
        ControlFlow::Continue(if is_known { Staying::JustKnown } else { Staying::AsBefore })
    }
}

/// That the agent stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staying {
    /// Which is news.
    JustKnown,
    /// Which is none.
    AsBefore,
}

/// Whether a process of `uid` runs that the session with this id started. A process that closed itself to others of
/// the same uid cannot be asked, and does not count.
pub(super) fn is_anybody_there(uid: u32, session: &str) -> bool {
    let mark = format!("{ENV_SESSION}={session}");
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        let path = process.path();
        let numeric = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        numeric && is_of(&path, uid) && has(&path, mark.as_bytes()) && !is_service(&path)
    })
}

fn is_of(process: &Path, uid: u32) -> bool {
    fs::metadata(process).is_ok_and(|metadata| metadata.uid() == uid)
}

/// Of a zombie the environment is empty.
fn has(process: &Path, mark: &[u8]) -> bool {
    let mut environment = Vec::new();
    let read = File::open(process.join("environ"))
        .and_then(|file| file.take(MAX_ENVIRONMENT).read_to_end(&mut environment));
    read.is_ok() && environment.split(|byte| *byte == 0).any(|variable| variable == mark)
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
    use std::process::{Command, Stdio};

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn looks_become_rare_but_are_never_a_minute_apart() {
        let mut looks = Looks::at_once(seconds(100));
        let mut now = seconds(100);
        assert!(looks.is_due(now) && looks.deadline() == now + LOOKS.0);
        let mut count = 0;
        while now < seconds(700) {
            let next = looks.deadline();
            assert!(next - now <= seconds(20));
            now = next;
            assert!(looks.is_due(now) && !looks.is_due(now));
            count += 1;
        }
        assert!(count < 40, "{count}");
    }

    #[test]
    fn a_day_is_the_end() {
        let mut lingering = Lingering::begin(Linger::default(), seconds(0)).unwrap();
        // No look is begun here.
        lingering.looks = Looks::from(seconds(86400));
        assert_eq!(lingering.look("", seconds(86399)), ControlFlow::Continue(Staying::AsBefore));
        assert_eq!(lingering.look("", seconds(86400)), ControlFlow::Break(()));
    }

    #[test]
    fn a_policy_of_no_is_no() {
        let no = Linger { what: LingerFor::No, ..Linger::default() };
        assert!(Lingering::begin(no, seconds(0)).is_none());
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
    fn a_process_is_found_by_its_session_and_gone_when_it_ends() {
        let session = "feed".repeat(8);
        let uid = nix::unistd::geteuid().as_raw();
        let there = || is_anybody_there(uid, &session);
        assert!(!there());
        let mut cat = Command::new("cat").env(ENV_SESSION, &session).stdin(Stdio::piped()).spawn().unwrap();
        assert!(there());
        assert!(!is_anybody_there(uid + 1, &session) && !is_anybody_there(uid, "feed"));
        drop(cat.stdin.take());
        cat.wait().unwrap();
        assert!(!there());
    }
}
