//! What stays with the PAM handle while a login lives. Holds one descriptor, looks nothing up, and notes the login's
//! end in the session record.
//!
//! The kernel closes the lifeline with the last process that holds it. This closes it sooner, and only from the
//! process that opened it. A forked child of the host has a copy of the handle. It may have closed our descriptor and
//! opened something else under its number; then nothing here may touch it.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::{Pid, getpid};

use crate::log::Log;
use crate::session_record;

/// One login with an agent.
pub(crate) struct Session {
    user: CString,
    id: String,
    log: Log,
    lifeline: Cell<Option<Lifeline>>,
}

/// The write end of an agent's standard input.
struct Lifeline {
    end: OwnedFd,
    opener: Pid,
    /// Device and inode: which pipe it was.
    pipe: (u64, u64),
}

impl Session {
    /// A session of `user`, which ends when `end` is closed everywhere.
    pub(crate) fn new(user: CString, id: &str, log: Log, end: OwnedFd) -> nix::Result<Self> {
        let pipe = identity(&fstat(&end)?);
        let lifeline = Cell::new(Some(Lifeline { end, opener: getpid(), pipe }));
        Ok(Self { user, id: id.to_owned(), log, lifeline })
    }

    /// Whether this process opened it for `user`, and its agent still listens.
    pub(crate) fn lives_for(&self, user: &CStr) -> bool {
        let lifeline = self.lifeline.take();
        let lives = self.user.as_c_str() == user
            && lifeline.as_ref().is_some_and(|lifeline| lifeline.is_ours() && lifeline.is_read());
        self.lifeline.set(lifeline);
        lives
    }

    /// Ends it, once, and says whether it did; in another process than the one that opened it this does nothing.
    pub(crate) fn close(&self) -> bool {
        let Some(lifeline) = self.lifeline.take() else { return false };
        let is_ours = lifeline.is_ours();
        if is_ours {
            drop(lifeline.end);
            session_record::close(&self.id);
            self.log.audit("session_closed", &[("session", &self.id)]);
        } else {
            // Not closed: in this process the number may stand for something else.
            let _ = lifeline.end.into_raw_fd();
        }
        is_ours
    }
}

impl Drop for Session {
    /// pam_end(3) without close_session, or another session in this one's place.
    fn drop(&mut self) {
        self.close();
    }
}

impl Lifeline {
    fn is_ours(&self) -> bool {
        getpid() == self.opener && fstat(&self.end).is_ok_and(|stat| identity(&stat) == self.pipe)
    }

    /// A pipe whose last reader is gone polls as an error (poll(2)).
    fn is_read(&self) -> bool {
        let mut polled = [PollFd::new(self.end.as_fd(), PollFlags::empty())];
        poll(&mut polled, PollTimeout::ZERO) == Ok(0)
    }
}

fn identity(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{PipeReader, Read};
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::log::Detail;

    fn session() -> (Session, PipeReader) {
        let (read, write) = std::io::pipe().unwrap();
        (
            Session::new(c"alice".to_owned(), "id", Log::of("alice", Detail::Plain), write.into()).unwrap(),
            read,
        )
    }

    fn ended(mut read: PipeReader) -> bool {
        read.read(&mut [0]).unwrap() == 0
    }

    #[test]
    fn closing_twice_or_dropping_ends_the_lifeline_once() {
        let (session, read) = session();
        assert!(session.lives_for(c"alice") && !session.lives_for(c"bob"));
        session.close();
        session.close();
        assert!(!session.lives_for(c"alice"));
        assert!(ended(read));
    }

    #[test]
    fn dropping_ends_the_lifeline() {
        let (session, read) = session();
        drop(session);
        assert!(ended(read));
    }

    #[test]
    fn a_session_whose_agent_is_gone_does_not_live() {
        let (session, read) = session();
        drop(read);
        assert!(!session.lives_for(c"alice"));
    }

    #[test]
    fn a_descriptor_that_is_something_else_by_now_is_not_closed() {
        let (session, read) = session();
        let lifeline = session.lifeline.take().unwrap();
        let number = lifeline.end.as_raw_fd();
        session.lifeline.set(Some(Lifeline { pipe: (lifeline.pipe.0, lifeline.pipe.1 ^ 1), ..lifeline }));
        session.close();
        assert!(File::open(format!("/proc/self/fd/{number}")).is_ok());
        nix::unistd::close(number).unwrap();
        assert!(ended(read));
    }

    #[test]
    fn another_process_does_not_close_it() {
        let (session, _read) = session();
        let lifeline = session.lifeline.take().unwrap();
        let number = lifeline.end.as_raw_fd();
        session.lifeline.set(Some(Lifeline { opener: Pid::from_raw(1), ..lifeline }));
        assert!(!session.lives_for(c"alice"));
        drop(session);
        assert!(File::open(format!("/proc/self/fd/{number}")).is_ok());
        nix::unistd::close(number).unwrap();
    }
}
