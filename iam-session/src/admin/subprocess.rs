//! Starts this program again, to do as somebody else what root must not do. Starts processes.
//!
//! The new process starts as root, and becomes somebody else by itself when nothing of root's is left in it. A process
//! that was started as the user could be stopped before its first instruction, and a debugger attached. It would have
//! the descriptors that root's shell or cron job gave this program, and root's terminal, into which its processes may
//! type (TIOCSTI).

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, close, setgroups, setsid};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::boot_time;
use crate::line::{self, LineError, Lines, Wait};
use crate::store::MAX_RECORD;

/// Longest line in either direction: a record in base64, four characters for three bytes, and its frame. A record that
/// does not fit into a line would end the reader, and be a user's veto.
pub(super) const MAX_LINE: usize = MAX_RECORD.div_ceil(3) * 4 + FRAME;
/// Around a record: its account and the names of fields. By far more than a file's name, each byte of it escaped.
const FRAME: usize = 8 * 1024;
/// A process that was killed is gone at once, unless it waits for a file system: then it goes when that answers.
const PATIENCE_END: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(1);
/// The first descriptor that is none of the standard ones.
const FIRST_FREE: RawFd = 3;

/// The command that starts this program again, for one of its hidden commands, with nothing of root's environment.
pub(super) fn again(command: &str) -> Command {
    let mut program = Command::new("/proc/self/exe");
    program.arg0("iam-session-admin").arg(command).env_clear().current_dir("/").stderr(Stdio::null());
    program
}

/// Ends a child without waiting for what does not end.
pub(super) fn end(child: &mut Child) {
    let _ = child.kill();
    let deadline = boot_time() + PATIENCE_END;
    while matches!(child.try_wait(), Ok(None)) && boot_time() < deadline {
        thread::sleep(PAUSE);
    }
}

/// In the program that was started: goes away from root's terminal, descriptors and groups.
pub(super) fn leave_root() -> nix::Result<()> {
    setsid()?;
    close_others()?;
    setgroups(&[])
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

/// Such a program, with a pipe each way and a time by which all is said. Dropped, it is killed.
pub(super) struct Subprocess {
    child: Child,
    orders: Option<File>,
    answers: File,
    lines: Lines,
    deadline: Duration,
}

impl Subprocess {
    /// Starts a hidden command of this program.
    pub(super) fn start(command: &str, patience: Duration) -> io::Result<Self> {
        let mut child = again(command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().map(OwnedFd::from).zip(child.stdout.take().map(OwnedFd::from));
        let (orders, answers) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        for pipe in [&orders, &answers] {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let deadline = boot_time() + patience;
        let lines = Lines::new(MAX_LINE);
        Ok(Self { child, orders: Some(orders.into()), answers: answers.into(), lines, deadline })
    }

    /// Tells it something.
    pub(super) fn tell(&mut self, order: &impl Serialize) -> Result<(), LineError> {
        let line = line::encode(order, MAX_LINE)?;
        let wait = self.wait();
        line::send(self.orders.as_mut().ok_or(LineError::Closed)?, &line, wait)
    }

    /// Lets it know that this was all.
    pub(super) fn told_all(&mut self) {
        self.orders = None;
    }

    /// What it says next; `Closed` when it has said all.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<T, LineError> {
        let wait = self.wait();
        let line = self.lines.next(&mut self.answers, wait)?;
        serde_json::from_slice(&line).map_err(|_| LineError::Io(io::ErrorKind::InvalidData.into()))
    }

    fn wait(&self) -> Wait<'static> {
        Wait::at_most(self.deadline.saturating_sub(boot_time()))
    }
}

impl Drop for Subprocess {
    fn drop(&mut self) {
        // What it has started is in the process group that it leads; a helper is in its own, and ends with its pipes.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        end(&mut self.child);
    }
}

/// The orders, as the program that was started reads them from its standard input.
pub(super) struct Orders {
    input: Input,
    lines: Lines,
}

/// Not through std's buffer, which would keep keys; and not a copy of the descriptor, for only the first three stay open.
struct Input(io::Stdin);

impl io::Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(&self.0, buffer)?)
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Orders {
    pub(super) fn from_standard_input() -> Self {
        Self { input: Input(io::stdin()), lines: Lines::new(MAX_LINE) }
    }

    /// The next one; `Closed` after the last.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<T, LineError> {
        let line = self.lines.next(&mut self.input, Wait::at_most(PATIENCE_ORDER))?;
        serde_json::from_slice(&line).map_err(|_| LineError::Io(io::ErrorKind::InvalidData.into()))
    }
}

/// Root tells all that it has to tell at once.
const PATIENCE_ORDER: Duration = Duration::from_secs(60);
