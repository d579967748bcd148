//! What a login left running: processes of the user that have its session id in their environment. Reads /proc.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

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

    /// The look that is due, if one is; the next one is set.
    pub(super) fn is_due(&mut self, now: Duration) -> Option<Look> {
        if now < self.next {
            return None;
        }
        let (first, longest) = LOOKS;
        let look = if self.pause == first { Look::First } else { Look::Further };
        self.pause = (self.pause * 2).min(longest);
        self.next = now + self.pause;
        Some(look)
    }
}

/// An agent that stays after its login.
#[derive(Debug)]
pub(super) struct Lingering {
    until: Duration,
    looks: Looks,
}

impl Lingering {
    /// Begins when the login has ended at `now`, if policy lets it.
    pub(super) fn begin(policy: Linger, now: Duration) -> Option<Self> {
        (policy.what == LingerFor::Processes)
            .then(|| Self { until: now + policy.max, looks: Looks::from(now) })
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Duration {
        self.looks.deadline().min(self.until)
    }

    /// Whether the time is up.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        now >= self.until
    }

    /// The look that is due, if one is; the next one is set.
    pub(super) fn is_due(&mut self, now: Duration) -> Option<Look> {
        self.looks.is_due(now)
    }
}

/// One of the looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The shell has had its time to end.
    First,
    /// Any other.
    Further,
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
        let mut lingering = Lingering::begin(Linger::default(), seconds(100)).unwrap();
        let mut now = seconds(100);
        let mut looks = 0;
        while now < seconds(700) {
            let next = lingering.deadline();
            assert!(next - now <= seconds(20));
            now = next;
            assert!(lingering.is_due(now).is_some() && lingering.is_due(now).is_none());
            looks += 1;
        }
        assert!(looks < 40, "{looks}");
    }

    #[test]
    fn a_day_is_the_end() {
        let lingering = Lingering::begin(Linger::default(), seconds(0)).unwrap();
        assert!(!lingering.is_over(seconds(86399)) && lingering.is_over(seconds(86400)));
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
