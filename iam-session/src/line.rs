//! Lines over descriptors, bounded in length and in time. Touches only the descriptors that it is given.
//!
//! It reads and writes the pipes of helper and mint, and both sides of the agent's socket. Buffers leave no copy of a
//! secret behind when they grow, and are wiped when dropped.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

use crate::clock::boot_time;

/// One read's worth: the capacity of a pipe in pages is a multiple of it.
const CHUNK: usize = 4096;

/// Why a line did not get across.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The peer is gone.
    #[error("closed by the other side")]
    Closed,
    /// The line is longer than agreed.
    #[error("a line of more than {0} bytes")]
    TooLong(usize),
    /// The deadline has passed.
    #[error("no answer in time")]
    TimedOut,
    /// The descriptor that interrupts became readable first.
    #[error("interrupted")]
    Interrupted,
    /// Anything else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How long to wait, and what ends the wait early.
#[derive(Clone, Copy)]
pub(crate) struct Wait<'a> {
    deadline: Duration,
    interrupt: Option<BorrowedFd<'a>>,
}

impl<'a> Wait<'a> {
    /// Waits for `patience` from now on.
    pub(crate) fn at_most(patience: Duration) -> Self {
        Self { deadline: boot_time() + patience, interrupt: None }
    }

    /// Ends early when `descriptor` becomes readable.
    pub(crate) fn unless(self, descriptor: Option<BorrowedFd<'a>>) -> Self {
        Self { interrupt: descriptor, ..self }
    }

    /// Waits for the deadline.
    ///
    /// # Errors
    /// [`LineError::Interrupted`] as soon as `interrupt` is readable.
    pub(crate) fn sleep(&self, interrupt: BorrowedFd<'_>) -> Result<(), LineError> {
        match self.until(interrupt, PollFlags::POLLIN) {
            Err(LineError::TimedOut) => Ok(()),
            Ok(()) => Err(LineError::Interrupted),
            Err(error) => Err(error),
        }
    }

    /// Waits for `events` on `descriptor`.
    fn until(&self, descriptor: BorrowedFd<'_>, events: PollFlags) -> Result<(), LineError> {
        loop {
            let left = self.deadline.saturating_sub(boot_time());
            if left.is_zero() {
                return Err(LineError::TimedOut);
            }
            let mut descriptors = vec![PollFd::new(descriptor, events)];
            descriptors.extend(self.interrupt.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            match poll(&mut descriptors, poll_timeout(left)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
            // Hang-ups count as ready: the read or write that follows says what it was.
            if descriptors.get(1).is_some_and(is_ready) {
                return Err(LineError::Interrupted);
            }
            if descriptors.first().is_some_and(is_ready) {
                return Ok(());
            }
        }
    }
}

fn is_ready(descriptor: &PollFd<'_>) -> bool {
    descriptor.revents().is_some_and(|events| !events.is_empty())
}

/// Rounded up, so that a rest below a millisecond does not spin.
pub(crate) fn poll_timeout(left: Duration) -> PollTimeout {
    let millis = left.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(millis.min(i32::MAX as u128)).unwrap_or(PollTimeout::MAX)
}

/// A line that several may be waiting for.
pub(crate) type EncodedLine = Rc<Zeroizing<Vec<u8>>>;

/// `message` as one JSON line, its newline included.
///
/// # Errors
/// [`LineError::TooLong`] if it is longer than `limit`.
pub(crate) fn encode<T: Serialize>(message: &T, limit: usize) -> Result<Zeroizing<Vec<u8>>, LineError> {
    // Written twice, the first time to nowhere: a buffer of the right size never grows, and is no larger than it
    // must be in an agent that lives for days.
    let mut length = Length(0);
    serde_json::to_writer(&mut length, message).map_err(io::Error::from)?;
    let length = length.0 + 1;
    if length > limit {
        return Err(LineError::TooLong(limit));
    }
    let mut line = Zeroizing::new(Vec::with_capacity(length));
    serde_json::to_writer(&mut *line, message).map_err(io::Error::from)?;
    line.push(b'\n');
    Ok(line)
}

/// Has reads and writes of `descriptor` return at once. It must be the only one of its open file description.
pub(crate) fn unblock(descriptor: &impl AsFd) -> io::Result<()> {
    fcntl(descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Counts what is written to it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of `bytes` to a descriptor that does not block.
pub(crate) fn send<W: Write + AsFd>(to: &mut W, bytes: &[u8], wait: Wait<'_>) -> Result<(), LineError> {
    let mut rest = bytes;
    loop {
        rest = rest.get(send_some(to, rest)?..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        wait.until(to.as_fd(), PollFlags::POLLOUT)?;
    }
}

/// Writes what a descriptor takes without blocking, and says how much that was.
pub(crate) fn send_some<W: Write>(to: &mut W, bytes: &[u8]) -> Result<usize, LineError> {
    let mut sent = 0;
    loop {
        match to.write(bytes.get(sent..).unwrap_or_default()) {
            Ok(0) if sent < bytes.len() => return Err(LineError::Closed),
            Ok(written) => sent += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(sent),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_gone(&error) => return Err(LineError::Closed),
            Err(error) => return Err(error.into()),
        }
        if sent >= bytes.len() {
            return Ok(sent);
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// What was read beyond the last line.
pub struct Lines {
    buffer: Zeroizing<Vec<u8>>,
    /// So many bytes hold no newline.
    searched: usize,
    limit: usize,
}

impl Lines {
    /// Lines of at most `limit` bytes, the newline included.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Zeroizing::new(Vec::new()), searched: 0, limit }
    }

    /// The next line without its newline.
    ///
    /// # Errors
    /// Any [`LineError`]; after `Interrupted` and `TimedOut` nothing is lost and the call may be repeated.
    pub(crate) fn next<R: Read + AsFd>(
        &mut self,
        from: &mut R,
        wait: Wait<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, LineError> {
        loop {
            if let Some(line) = self.take()? {
                return Ok(line);
            }
            wait.until(from.as_fd(), PollFlags::POLLIN)?;
            self.fill(from)?;
        }
    }

    /// The next line of what does not return before there is something to be read.
    ///
    /// # Errors
    /// `Closed`, also after half a line, `TooLong` or `Io`.
    #[cfg(feature = "helper")]
    pub(crate) fn next_of_blocking<R: Read>(
        &mut self,
        from: &mut R,
    ) -> Result<Zeroizing<Vec<u8>>, LineError> {
        loop {
            if let Some(line) = self.take()? {
                return Ok(line);
            }
            self.fill(from)?;
        }
    }

    /// A line without its newline, if a whole one has been read.
    ///
    /// # Errors
    /// [`LineError::TooLong`].
    pub fn take(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, LineError> {
        let newline = self.buffer.iter().skip(self.searched).position(|byte| *byte == b'\n');
        let Some(length) = newline.map(|at| self.searched + at) else {
            self.searched = self.buffer.len();
            let fits = self.searched < self.limit;
            return if fits { Ok(None) } else { Err(LineError::TooLong(self.limit)) };
        };
        if length >= self.limit {
            return Err(LineError::TooLong(self.limit));
        }
        let line = Zeroizing::new(self.buffer.get(..length).unwrap_or_default().to_vec());
        let left = move_up(&mut self.buffer, length + 1);
        self.buffer.truncate(left);
        if self.buffer.is_empty() {
            // A connection that waits, for hours perhaps, holds none.
            self.buffer = Zeroizing::default();
        }
        self.searched = 0;
        Ok(Some(line))
    }

    /// Whether nothing of a further line has been read.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether a whole line is waiting to be taken, or one that is too long.
    pub(crate) fn is_due(&self) -> bool {
        self.buffer.len() >= self.limit || self.buffer.contains(&b'\n')
    }

    /// Reads once what there is, at most a page.
    ///
    /// # Errors
    /// `Closed` or `Io`; that there is nothing to be read now is none.
    pub fn fill<R: Read>(&mut self, from: &mut R) -> Result<(), LineError> {
        let mut chunk = [0_u8; CHUNK];
        match from.read(&mut chunk) {
            Ok(0) => Err(LineError::Closed),
            Ok(read) => {
                self.make_room(read);
                let read = chunk.get_mut(..read).unwrap_or_default();
                self.buffer.extend_from_slice(read);
                read.zeroize();
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) if is_gone(&error) => Err(LineError::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Grows by hand: the buffer that is left behind is wiped, which a growing vector would not do.
    fn make_room(&mut self, more: usize) {
        let needed = self.buffer.len() + more;
        if needed > self.buffer.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
    }
}

/// Overwrites the first bytes with the others, and what these leave with zeros: a vector that is drained or truncated
/// leaves the bytes behind its end as they were. How many are left.
fn move_up(buffer: &mut [u8], first: usize) -> usize {
    let left = buffer.len() - first;
    buffer.copy_within(first.., 0);
    buffer.get_mut(left..).unwrap_or_default().zeroize();
    left
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (UnixStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (ours, theirs)
    }

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn two_lines_in_one_read_come_one_after_the_other() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"one\ntwo\n").unwrap();
        let mut lines = Lines::new(16);
        assert_eq!(&*lines.next(&mut ours, Wait::at_most(SOON)).unwrap(), b"one");
        assert_eq!(&*lines.next(&mut ours, Wait::at_most(SOON)).unwrap(), b"two");
    }

    #[cfg(feature = "helper")]
    #[test]
    fn lines_of_what_blocks_come_one_by_one_and_half_a_line_is_none() {
        let (mut from, mut lines) = (&b"one\n\ntwo\nhalf"[..], Lines::new(16));
        for expected in ["one", "", "two"] {
            assert_eq!(&*lines.next_of_blocking(&mut from).unwrap(), expected.as_bytes());
        }
        assert!(matches!(lines.next_of_blocking(&mut from), Err(LineError::Closed)));
    }

    #[test]
    fn nothing_of_a_line_that_was_taken_is_left_in_the_buffer() {
        for (mut buffer, first, expected) in [
            (*b"a secrets\nhalf", 10, "half"),
            (*b"no\nlonger half", 3, "longer half"),
            (*b"all of it ...\n", 14, ""),
        ] {
            assert_eq!(move_up(&mut buffer, first), expected.len());
            assert_eq!(buffer.strip_prefix(expected.as_bytes()).unwrap(), vec![0; first]);
        }
    }

    #[test]
    fn a_line_may_fill_the_limit_and_no_more() {
        for (length, accepted) in [(15, true), (16, false), (40, false)] {
            let (mut ours, mut theirs) = pair();
            theirs.write_all(&vec![b'x'; length]).unwrap();
            theirs.write_all(b"\n").unwrap();
            let line = Lines::new(16).next(&mut ours, Wait::at_most(SOON));
            assert_eq!(line.is_ok(), accepted, "{length}");
        }
    }

    #[test]
    fn an_unfinished_line_ends_with_the_peer_or_with_the_deadline() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"half").unwrap();
        let mut lines = Lines::new(16);
        let short = Wait::at_most(Duration::from_millis(1));
        assert!(matches!(lines.next(&mut ours, short), Err(LineError::TimedOut)));
        drop(theirs);
        assert!(matches!(lines.next(&mut ours, Wait::at_most(SOON)), Err(LineError::Closed)));
    }

    #[test]
    fn a_readable_interrupt_ends_the_wait() {
        let (mut ours, _theirs) = pair();
        let (interrupt, mut other) = pair();
        other.write_all(b"!").unwrap();
        let wait = Wait::at_most(SOON).unless(Some(interrupt.as_fd()));
        assert!(matches!(Lines::new(16).next(&mut ours, wait), Err(LineError::Interrupted)));
    }

    #[test]
    fn a_peer_that_does_not_read_is_given_up() {
        let (mut ours, _theirs) = pair();
        let much = vec![0; 4 << 20];
        assert!(matches!(
            send(&mut ours, &much, Wait::at_most(Duration::from_millis(1))),
            Err(LineError::TimedOut)
        ));
    }

    #[test]
    fn a_message_that_does_not_fit_is_refused() {
        assert_eq!(&*encode(&"12345", 8).unwrap(), b"\"12345\"\n");
        assert!(matches!(encode(&"123456", 8), Err(LineError::TooLong(8))));
    }
}
