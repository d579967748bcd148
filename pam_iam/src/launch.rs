//! THE privilege boundary: from root in the host to the agent under the user's uid. Forks; touches no file but
//! /proc/self/fd, /dev/null and the agent, and the name service in the child.
//!
//! What allocates is prepared before the fork, and nothing large is: an allocation that fails would end the host. The
//! child takes its room for groups from the kernel. After the fork, in a host that may have threads, it runs only what
//! signal-safety(7) allows, and mmap(2), but for the look-up of groups: the name service allocates and takes its own
//! locks. glibc re-initialises those of malloc in fork(3); those of the name service could be held by another
//! thread of the host for good, or its server may not answer. Either way the child hangs, not the login: the child
//! holds nothing of the host's by then, the parent stops waiting at its deadline, and the child's end of the status
//! pipe is all that it can still write to.

mod child;
mod descriptors;
mod identity;
#[allow(unsafe_code)]
mod sys;

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::poll;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2, read, write};

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

/// The agent's ends of the two pipes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends<'a> {
    pub(crate) lifeline: BorrowedFd<'a>,
    pub(crate) status: BorrowedFd<'a>,
}

/// The middle child, which ends as soon as it has forked and has told the agent's number.
#[derive(Debug)]
pub(crate) struct Middle {
    pid: Pid,
    /// Nobody writes to it but the middle child, which is root. `None` where the host has no descriptor to spare: then
    /// nobody is told, and the login goes on.
    told: Option<OwnedFd>,
}

impl Pipe {
    pub(crate) fn new() -> nix::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        Ok(Self { read: above_standard(read)?, write: above_standard(write)? })
    }
}

/// In a host that has closed its standard descriptors a pipe gets their numbers: the child could not sort them then,
/// and the host might write to what it takes for its standard error.
fn above_standard(descriptor: OwnedFd) -> nix::Result<OwnedFd> {
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
        let told = Pipe::new().ok();
        // No handler of the host's may run in the child, where it would act on the host's behalf.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let forked = sys::fork();
        if matches!(forked, Ok(sys::Forked::Child)) {
            self.run_middle(ends, told.as_ref().map(|told| told.write.as_fd()));
        }
        let restored = mask.thread_set_mask();
        match forked? {
            // The end to write to is closed here: then its end is end of file.
            sys::Forked::Parent(pid) => restored.map(|()| Middle { pid, told: told.map(|told| told.read) }),
            sys::Forked::Child => Err(Errno::ECHILD),
        }
    }

    fn run_middle(&mut self, ends: Ends<'_>, tell: Option<BorrowedFd<'_>>) -> ! {
        // An unwinding child would go on as a second host.
        let _never_unwinds = sys::ExitOnDrop;
        match sys::fork() {
            Ok(sys::Forked::Child) => child::run(self, ends),
            // Less than PIPE_BUF, into an empty pipe: all of it or nothing, at once.
            Ok(sys::Forked::Parent(agent)) => {
                let _ = tell.map(|tell| write(tell, &agent.as_raw().to_ne_bytes()));
            }
            Err(_) => {}
        }
        sys::exit()
    }
}

impl Middle {
    /// Reaps it, by its pid and no other's. It has nothing to wait for, so this takes no time; should it take until
    /// `deadline` nevertheless, the host reaps it, or init when the host ends. Gives the number of the agent's process:
    /// of root's word, for the agent has become the user only after this was written.
    pub(crate) fn reap(self, deadline: Instant) -> Option<Pid> {
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) if !clock::until(deadline).is_zero() => {
                    let _ = poll(&mut [], REAP_PAUSE);
                }
                Err(Errno::EINTR) => {}
                // ECHILD: the host ignores SIGCHLD, or its handler was quicker.
                Ok(_) | Err(_) => break,
            }
        }
        self.agent()
    }

    /// Without waiting: what was not told by now is not waited for.
    fn agent(self) -> Option<Pid> {
        let told = self.told?;
        fcntl(&told, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).ok()?;
        let mut number = [0; size_of::<i32>()];
        let length = read(&told, &mut number).ok()?;
        let number = i32::from_ne_bytes(number);
        (length == size_of::<i32>() && number > 0).then(|| Pid::from_raw(number))
    }
}
