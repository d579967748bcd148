//! Ctrl-C while an enrolment is under way. Touches this process's signal mask.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::line::{LineError, Wait};
use crate::protocol::Failure;

/// What a user, a closing terminal or a shutdown sends.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

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

    /// Waits for `time`, or for a signal, which stays to be taken.
    pub(in crate::commands) fn wait(&self, time: std::time::Duration) -> Result<(), LineError> {
        Wait::at_most(time).sleep(self.descriptor())
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
