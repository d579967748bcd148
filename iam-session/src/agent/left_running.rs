//! A child of the agent that looks for what a login left running. Starts a process; touches its pipe and never waits.
//!
//! To read a process's environment can take for ever. The process's memory is locked while it waits for a file server
//! that hangs, or for a file system of the user's own. The agent must answer meanwhile, so a child reads.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::geteuid;

use super::linger::is_anybody_there;
use crate::paths;

/// The argument of the agent's program.
pub(super) const ARGUMENT: &str = "left-running";
const SOMEBODY: u8 = 0;
const NOBODY: u8 = 3;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Something runs, or that could not be found out.
    Somebody,
    /// Nothing does.
    Nobody,
}

/// A child that looks.
#[derive(Debug)]
pub(super) struct Search {
    child: Child,
    /// It ends with the child.
    end: ChildStdout,
}

impl Search {
    /// Starts one for the session with this id.
    pub(super) fn start(session: &str) -> io::Result<Self> {
        // Not by the path: after an upgrade another version may lie there.
        let mut command = Command::new("/proc/self/exe");
        command.arg0(paths::AGENT).args([ARGUMENT, session]).env_clear().env("PATH", "/usr/bin:/bin");
        // Standard error is the session's record: PROTOCOL.md, section 7.
        Self::of(command.stdin(Stdio::null()).stderr(Stdio::inherit()))
    }

    fn of(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let end = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        fcntl(&end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { child, end })
    }

    /// What to poll for.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    /// What it found, once it has ended.
    pub(super) fn answer(&mut self) -> Option<Found> {
        match self.end.read(&mut [0]) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                None
            }
            // Its descriptors are closed on its way out, after its memory is gone: there is nothing left to wait for.
            _ => Some(match self.child.wait() {
                Ok(status) if status.code() == Some(NOBODY.into()) => Found::Nobody,
                _ => Found::Somebody,
            }),
        }
    }
}

impl Drop for Search {
    /// One that hangs is not waited for: it ends when it can, and init reaps it after the agent.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.try_wait();
    }
}

/// The child's whole program.
pub(super) fn main(session: &str) -> ExitCode {
    let found = is_anybody_there(geteuid().as_raw(), session);
    ExitCode::from(if found { SOMEBODY } else { NOBODY })
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn search(script: &str) -> Search {
        Search::of(Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::piped())).unwrap()
    }

    fn found(mut search: Search) -> Found {
        let mut polled = [PollFd::new(search.descriptor(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::NONE).unwrap();
        search.answer().unwrap()
    }

    #[test]
    fn only_a_child_that_says_so_has_found_nobody() {
        assert_eq!(found(search("exit 3")), Found::Nobody);
        for other in ["exit 0", "exit 1", "kill -9 $$"] {
            assert_eq!(found(search(other)), Found::Somebody, "{other}");
        }
    }

    #[test]
    fn one_that_hangs_has_no_answer_and_is_ended_with_its_search() {
        // Until the end of its input, which is this process's to close.
        let mut search = search("read -r line");
        let _input = search.child.stdin.take();
        assert_eq!(search.answer(), None);
        let mut end = std::fs::File::from(search.end.as_fd().try_clone_to_owned().unwrap());
        drop(search);
        fcntl(&end, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        assert_eq!(end.read(&mut [0]).unwrap(), 0);
    }
}
