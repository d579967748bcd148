//! Ctrl-C while an enrolment is under way, and the end of whoever it is shown to. Touches this process's signal mask, and
//! polls its standard output and error.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::clock::boot_time;
use crate::line::poll_timeout;
use crate::protocol::Failure;

/// What a user, a closing terminal or a shutdown sends.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// There is nobody to wait for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Ended;

/// The ending signals as a descriptor, so that an end can tidy up at the issuer first.
pub(in crate::commands) struct Signals(SignalFd);

impl Signals {
    /// Takes the signals over from now on, but for those that whoever started us had us ignore (nohup(1), a
    /// background job).
    pub(in crate::commands) fn take_over() -> Result<Self, Errno> {
        let ignored = ignored();
        let mut set = SigSet::empty();
        for signal in ENDING.into_iter().filter(|signal| ignored & bit(*signal) == 0) {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Readable when a signal came.
    pub(in crate::commands) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Whether one came; it is taken off.
    pub(in crate::commands) fn came(&self) -> bool {
        matches!(self.0.read_signal(), Ok(Some(_)))
    }

    /// Waits for `time`, or for a reason to end: a signal, which stays to be taken, or that nobody reads any more what we
    /// say. A login without a terminal sends no signal when its connection dies: sshd closes the pipes.
    pub(in crate::commands) fn wait(&self, time: Duration) -> Result<(), Ended> {
        let deadline = boot_time() + time;
        let (output, errors) = (io::stdout(), io::stderr());
        loop {
            let left = deadline.saturating_sub(boot_time());
            if left.is_zero() {
                return Ok(());
            }
            // Without an event to wait for, poll(2) still tells that the other end is gone.
            let mut descriptors = [
                PollFd::new(self.descriptor(), PollFlags::POLLIN),
                PollFd::new(output.as_fd(), PollFlags::empty()),
                PollFd::new(errors.as_fd(), PollFlags::empty()),
            ];
            match poll(&mut descriptors, poll_timeout(left)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return Err(Ended),
            }
            let ending = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
            let has_ended = |one: &PollFd<'_>| one.revents().is_some_and(|events| events.intersects(ending));
            if descriptors.iter().any(has_ended) {
                return Err(Ended);
            }
        }
    }
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as i32 - 1)
}

/// `SigIgn` of proc_pid_status(5): sigaction(2) would be the only other way to ask, and is unsafe in Rust.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// What Ctrl-C makes of a command that stores nothing before its end.
pub(in crate::commands) fn cancelled() -> Failure {
    Failure::failed("cancelled; nothing was stored")
}
