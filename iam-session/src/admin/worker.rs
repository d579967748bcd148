//! This program once more, as a process that can be given up: what it does may wait for ever, and who started it does
//! not. Starts processes.
//!
//! It has nothing of root's shell: a session of its own, no terminal, and no descriptor but the standard ones.

use std::fs;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{close, setsid};

use crate::clock::boot_time;

/// A process that was killed is gone at once, unless it waits in the kernel: then it goes when that comes to an end.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(1);
/// The first descriptor that is none of the standard ones.
const FIRST_FREE: RawFd = 3;

/// A process that works for this one. Dropped, it is killed, and not waited for if it does not end.
pub(super) struct Worker {
    child: Child,
    pub(super) answers: ChildStdout,
}

impl Worker {
    /// Starts the hidden command `command`. Its first step must be to [`detach`].
    pub(super) fn start(command: &str, arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut program = Command::new("/proc/self/exe");
        program.arg0("iam-session-admin").arg(command).args(arguments);
        Self::run(program)
    }

    /// Runs any program so.
    pub(super) fn run(mut program: Command) -> Option<Self> {
        program.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        let mut child =
            program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let answers = child.stdout.take()?;
        Some(Self { child, answers })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let deadline = boot_time() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && boot_time() < deadline {
            thread::sleep(PAUSE);
        }
    }
}

/// Leaves the terminal and the descriptors of root's shell.
pub(super) fn detach() -> nix::Result<()> {
    setsid()?;
    let names = fs::read_dir("/proc/self/fd").map_err(|_| Errno::EIO)?;
    let open: Vec<RawFd> =
        names.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor >= FIRST_FREE) {
        // The one that the list was read by is closed already.
        let _ = close(descriptor);
    }
    Ok(())
}
