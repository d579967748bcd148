//! This program, started as a user for good, with no other group than the first one, and ended without waiting for what
//! does not end. Starts processes.
//!
//! It is given no secret: between fork(2) and execve(2) it has root's memory and the user's uid.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::clock::boot_time;

/// A process that was killed is gone at once, unless it waits for a file system: then it goes when that answers.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(1);

/// A process of the user's. Dropped, it is killed.
pub(super) struct AsUser {
    child: Child,
    pub(super) answers: ChildStdout,
}

impl AsUser {
    pub(super) fn start(
        uid: u32,
        gid: u32,
        command: &str,
        arguments: impl Iterator<Item = String>,
    ) -> Option<Self> {
        if uid == 0 {
            return None;
        }
        let mut program = Command::new("/proc/self/exe");
        program.arg0("iam-session-admin").arg(command).arg("--").args(arguments);
        program.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/").uid(uid).gid(gid);
        let mut child =
            program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let answers = child.stdout.take()?;
        Some(Self { child, answers })
    }
}

impl Drop for AsUser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let deadline = boot_time() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && boot_time() < deadline {
            thread::sleep(PAUSE);
        }
    }
}
