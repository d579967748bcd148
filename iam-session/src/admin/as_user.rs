//! This program, started to become a user for good, with no other group than the first one, and ended without waiting
//! for what does not end. Starts processes.
//!
//! It is started as root and becomes the user by itself, when nothing of root's is left in it. Were it started as the
//! user, the user could stop it before its first instruction and attach to it: with the descriptors that root's shell or
//! cron job has given this program, and with root's terminal, into which its processes may type (TIOCSTI).

use std::fs;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_dumpable;
use nix::unistd::{Gid, Uid, close, geteuid, seteuid, setgroups, setresgid, setresuid, setsid};

use super::failed;
use crate::clock::boot_time;
use crate::protocol::Failure;

/// A process that was killed is gone at once, unless it waits for a file system: then it goes when that answers.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(1);
/// The first descriptor that is none of the standard ones.
const FIRST_FREE: RawFd = 3;

/// Whom the program is to become.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Ids {
    #[arg(long)]
    uid: u32,
    #[arg(long)]
    gid: u32,
}

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
        program.arg0("iam-session-admin").arg(command);
        program.arg(format!("--uid={uid}")).arg(format!("--gid={gid}")).arg("--").args(arguments);
        program.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
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

impl Ids {
    /// Becomes the user for good, away from root's terminal and with nothing but the standard streams. The program has
    /// closed itself to debuggers by then (`harden`); a change of ids may undo that, so it does so again.
    pub(super) fn become_user(self) -> Result<Uid, Failure> {
        if !geteuid().is_root() {
            return Err(failed("only root may do this".to_owned()));
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        if uid.is_root() {
            return Err(failed("this is for users: root follows no path of theirs".to_owned()));
        }
        let become_user = || -> nix::Result<()> {
            setsid()?;
            close_others()?;
            setgroups(&[])?;
            setresgid(gid, gid, gid)?;
            setresuid(uid, uid, uid)?;
            set_dumpable(false)?;
            // Believed only when it has been tried.
            if seteuid(Uid::from_raw(0)).is_ok() { Err(Errno::EPERM) } else { Ok(()) }
        };
        become_user().map_err(|errno| failed(format!("cannot become uid {uid}: {}", errno.desc())))?;
        Ok(uid)
    }
}

fn close_others() -> nix::Result<()> {
    let names = fs::read_dir("/proc/self/fd").map_err(|_| Errno::EIO)?;
    let open: Vec<RawFd> =
        names.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor >= FIRST_FREE) {
        // The one that the list was read by is closed already.
        let _ = close(descriptor);
    }
    Ok(())
}
