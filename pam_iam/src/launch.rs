//! THE privilege boundary: from root in the host to the agent under the user's uid. Forks; touches no file but
//! /proc/self/fd, /dev/null, the session record and the agent, and in the child the name service.
//!
//! Everything that allocates is prepared before the fork, and nothing large is: an allocation that fails would end the
//! host. The child takes its room for groups from the kernel.
//!
//! The host may have threads. So after the fork the child runs only what signal-safety(7) allows, and mmap(2). The
//! look-up of groups is the exception: the name service allocates and takes its own locks. glibc re-initialises the
//! locks of malloc in fork(3). Another thread of the host could hold those of the name service for good, or its server
//! may not answer. In both cases the child hangs, and not the login. By then the child holds nothing of the host's,
//! and can write to its end of the status pipe alone. The parent stops waiting at its deadline.

mod child;
mod descriptors;
mod identity;
#[allow(unsafe_code)]
mod sys;

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::poll;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use crate::clock;
use crate::ffi::Account;

/// Compiled in: neither the host's environment nor an option can name another program to root.
const AGENT: &CStr = c"/usr/libexec/iam-session/agent";
const ENVIRONMENT: &CStr = c"PATH=/usr/bin:/bin";

/// The first descriptor that is none of the standard ones.
const FIRST_FREE: i32 = 3;
/// Between two looks at a middle child that has not ended yet.
const REAP_PAUSE: u8 = 1; // millisecond

/// What the child needs, prepared while it is safe to allocate.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    account: &'a Account,
    /// Members of one of these are served; none: everybody.
    served_groups: &'a [CString],
}

/// A pipe of which neither end is a standard descriptor, and which no program that the host starts inherits.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) read: OwnedFd,
    pub(crate) write: OwnedFd,
}

/// The agent's ends of the two pipes, and of the session's record where there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends<'a> {
    pub(crate) lifeline: BorrowedFd<'a>,
    pub(crate) status: BorrowedFd<'a>,
    pub(crate) record: Option<RecordEnds<'a>>,
}

/// A session's record, opened twice. Neither is a standard descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordEnds<'a> {
    /// For the agent's number, while the child is root.
    pub(crate) write: BorrowedFd<'a>,
    /// The agent's descriptor 2: readable, and locked for as long as it is open anywhere.
    pub(crate) keep: BorrowedFd<'a>,
}

/// The middle child, which ends as soon as it has forked.
#[derive(Debug)]
pub(crate) struct Middle {
    pid: Pid,
}

impl Pipe {
    pub(crate) fn new() -> nix::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        Ok(Self { read: above_standard(read)?, write: above_standard(write)? })
    }
}

/// In a host that has closed its standard descriptors a new one gets their numbers: the child could not sort them then,
/// and the host might write to what it takes for its standard error.
pub(crate) fn above_standard(descriptor: OwnedFd) -> nix::Result<OwnedFd> {
    if descriptor.as_raw_fd() >= FIRST_FREE {
        return Ok(descriptor);
    }
    sys::own(fcntl(&descriptor, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE))?)
}

impl<'a> Plan<'a> {
    pub(crate) fn new(account: &'a Account, served_groups: &'a [CString]) -> Self {
        Self { account, served_groups }
    }

    /// Starts the agent: forks twice, so that it is nobody's child but init's.
    pub(crate) fn start(&mut self, ends: Ends<'_>) -> nix::Result<Middle> {
        // No handler of the host's may run in the child, where it would act on the host's behalf.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let forked = sys::fork();
        if matches!(forked, Ok(sys::Forked::Child)) {
            self.run_middle(ends);
        }
        let restored = mask.thread_set_mask();
        match forked? {
            sys::Forked::Parent(pid) => restored.map(|()| Middle { pid }),
            sys::Forked::Child => Err(Errno::ECHILD),
        }
    }

    fn run_middle(&mut self, ends: Ends<'_>) -> ! {
        // An unwinding child would go on as a second host.
        let _never_unwinds = sys::ExitOnDrop;
        if matches!(sys::fork(), Ok(sys::Forked::Child)) {
            child::run(self, ends);
        }
        sys::exit()
    }
}

impl Middle {
    /// Reaps it, by its pid and no other's. It has nothing to wait for, so this takes no time; should it take until
    /// `deadline` nevertheless, the host reaps it, or init when the host ends.
    pub(crate) fn reap(self, deadline: Instant) {
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) if !clock::until(deadline).is_zero() => {
                    let _ = poll(&mut [], REAP_PAUSE);
                }
                Err(Errno::EINTR) => {}
                // ECHILD: the host ignores SIGCHLD, or its handler was quicker.
                Ok(_) | Err(_) => return,
            }
        }
    }
}
