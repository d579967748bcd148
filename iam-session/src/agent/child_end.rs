//! The end of a child, told by the pipe that is its standard output: nobody looks for it by the clock. Touches that pipe.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdout};

use zeroize::Zeroizing;

/// A child that nothing more is wanted from than its end.
#[derive(Debug)]
pub(super) struct EndingChild {
    pub(super) child: Child,
    /// It does not block. It ends with the child.
    pub(super) output: ChildStdout,
}

impl EndingChild {
    /// What to poll for.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Whether it has ended. `hear` has what it still writes. Its exit status says nothing: where SIGCHLD is ignored, as
    /// who started the agent may have had it, the kernel keeps none.
    pub(super) fn has_ended(&mut self, mut hear: impl FnMut(&[u8])) -> bool {
        let mut written = Zeroizing::new([0; 512]);
        loop {
            match self.output.read(&mut *written) {
                Ok(0) => break,
                Ok(count) => hear(written.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => break,
            }
        }
        // Its descriptors are closed on its way out, after its memory is gone: nothing is left to wait for, as a rule. Before
        // Linux 4.3 one that is killed may still hang in giving up a lock on a file server that has just gone.
        let _ = self.child.wait();
        true
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use crate::line;

    #[test]
    fn a_child_that_still_writes_has_not_ended_and_its_end_wakes_who_polls() {
        // Its input ends with this process's end of it.
        let script = "echo there; read -r line; head -c 9000 /dev/zero; exit 7";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        line::unblock(&output).unwrap();
        let input = child.stdin.take();
        let mut ending = EndingChild { child, output };
        let wait = |ending: &EndingChild| {
            poll(&mut [PollFd::new(ending.descriptor(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap()
        };
        wait(&ending);
        let mut heard = Vec::new();
        assert!(!ending.has_ended(|written| heard.extend_from_slice(written)));
        drop(input);
        while !ending.has_ended(|written| heard.extend_from_slice(written)) {
            wait(&ending);
        }
        assert!(heard.starts_with(b"there\n") && heard.len() == 9006);
        assert_eq!(ending.child.wait().unwrap().code(), Some(7));
    }
}
