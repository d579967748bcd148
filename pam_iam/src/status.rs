//! Reads what the agent says at its start: PROTOCOL.md, section 2. Reads the one pipe that it is given.
//!
//! The user's process writes this pipe. What is read here chooses among fixed words, and is never shown or logged
//! itself.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use crate::clock;
use crate::hint::Hint;

/// With its newline.
const MAX_LINE: usize = 64;

/// The codes of `failed`, each of which may be logged.
const CODES: [&str; 8] =
    ["groups", "identity", "descriptors", "exec", "message", "harden", "runtime", "socket"];

/// What the agent found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// A good token is in the file.
    Ready,
    /// Enrolled; a good token may follow.
    ReadyNoToken,
    /// No enrolment, or it has ended.
    NotEnrolled,
    /// Sealed by something not given at login.
    Locked,
    /// The store cannot be read now.
    StoreUnavailable,
    /// The user wants no variable of the token file; said before the first of the others.
    NoExport,
    /// In none of the groups that are served.
    NotServed,
    /// There is no agent; with the code if it is one of ours.
    Failed(Option<&'static str>),
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) word: Word,
    pub(crate) hint: Option<Hint>,
}

/// What came before a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A line of the protocol.
    Line(Line),
    /// No line will follow, or what came is none.
    End,
    /// Nothing yet.
    Nothing,
}

/// The read end of the status pipe.
#[derive(Debug)]
pub(crate) struct StatusPipe {
    pipe: OwnedFd,
    buffer: [u8; MAX_LINE],
    filled: usize,
}

impl StatusPipe {
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self { pipe, buffer: [0; MAX_LINE], filled: 0 }
    }

    /// The next line, if it comes before `deadline`.
    pub(crate) fn next(&mut self, deadline: Instant) -> Heard {
        loop {
            if let Some(line) = self.take_line() {
                return line.map_or(Heard::End, Heard::Line);
            }
            if !self.readable(deadline) {
                return Heard::Nothing;
            }
            match read(&self.pipe, &mut self.buffer[self.filled..]) {
                // Also where there is no room left: a line that long is none.
                Ok(0) => return Heard::End,
                Ok(count) => self.filled += count,
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(_) => return Heard::End,
            }
        }
    }

    /// Takes the first whole line out of the buffer; the inner `None` is a line of no known form.
    fn take_line(&mut self) -> Option<Option<Line>> {
        let end = self.buffer[..self.filled].iter().position(|byte| *byte == b'\n')?;
        let line = Line::parse(&self.buffer[..end]);
        self.buffer.copy_within(end + 1..self.filled, 0);
        self.filled -= end + 1;
        Some(line)
    }

    /// Waits until there is something to read, or the deadline has passed and there is nothing.
    fn readable(&self, deadline: Instant) -> bool {
        loop {
            // Rounded up: rounding down would spin through the last millisecond.
            let left = clock::until(deadline).as_micros().div_ceil(1000);
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(0) => return false,
                Err(Errno::EINTR) => {}
                Ok(_) => return true,
                // What cannot be waited for must not be read: read(2) would wait without end.
                Err(_) => return false,
            }
        }
    }
}

impl Line {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?;
        let (word, rest) = line.split_once(' ').map_or((line, None), |(word, rest)| (word, Some(rest)));
        let (word, hint) = match (word, rest) {
            ("ready", None) => (Word::Ready, None),
            ("ready", Some("ends-soon")) => (Word::Ready, Some(Hint::EndsSoon)),
            ("ready-no-token", None) => (Word::ReadyNoToken, None),
            ("not-enrolled", None) => (Word::NotEnrolled, None),
            ("not-enrolled", Some("enrol")) => (Word::NotEnrolled, Some(Hint::Enrol)),
            ("locked", None) => (Word::Locked, None),
            ("locked", Some("unlock")) => (Word::Locked, Some(Hint::Unlock)),
            ("store-unavailable", None) => (Word::StoreUnavailable, None),
            ("no-export", None) => (Word::NoExport, None),
            ("not-served", None) => (Word::NotServed, None),
            ("failed", Some(code)) => (Word::Failed(CODES.into_iter().find(|known| *known == code)), None),
            _ => return None,
        };
        Some(Self { word, hint })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeWriter, Write};
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn pipe() -> (StatusPipe, PipeWriter) {
        let (read, write) = std::io::pipe().unwrap();
        (StatusPipe::new(read.into()), write)
    }

    fn heard(bytes: &[u8]) -> [Heard; 3] {
        let (mut status, mut agent) = pipe();
        agent.write_all(bytes).unwrap();
        drop(agent);
        [(); 3].map(|()| status.next(clock::now() + PATIENCE))
    }

    fn line(word: Word, hint: Option<Hint>) -> Heard {
        Heard::Line(Line { word, hint })
    }

    #[test]
    fn each_line_of_the_protocol_is_understood() {
        for (bytes, word, hint) in [
            ("ready", Word::Ready, None),
            ("ready ends-soon", Word::Ready, Some(Hint::EndsSoon)),
            ("ready-no-token", Word::ReadyNoToken, None),
            ("not-enrolled", Word::NotEnrolled, None),
            ("not-enrolled enrol", Word::NotEnrolled, Some(Hint::Enrol)),
            ("locked", Word::Locked, None),
            ("locked unlock", Word::Locked, Some(Hint::Unlock)),
            ("store-unavailable", Word::StoreUnavailable, None),
            ("no-export", Word::NoExport, None),
            ("not-served", Word::NotServed, None),
            ("failed exec", Word::Failed(Some("exec")), None),
            ("failed something-new", Word::Failed(None), None),
        ] {
            assert_eq!(
                heard(format!("{bytes}\n").as_bytes())[..2],
                [line(word, hint), Heard::End],
                "{bytes}"
            );
        }
    }

    #[test]
    fn everything_else_is_the_end() {
        for bytes in [
            &b""[..],
            b"ready",
            b"\n",
            b"READY\n",
            b" ready\n",
            b"ready \n",
            b"ready  ends-soon\n",
            b"ready enrol\n",
            b"ready\r\n",
            b"ready\0\n",
            b"failed\n",
            b"locked ends-soon\n",
            b"\xff\n",
            b"not-served enrol\n",
            b"no-export enrol\n",
        ] {
            assert_eq!(heard(bytes)[0], Heard::End, "{bytes:?}");
        }
        assert_eq!(heard(&[b'a'; 4096])[0], Heard::End);
    }

    #[test]
    fn a_second_line_follows_in_the_same_read_or_a_later_one() {
        let second = [line(Word::ReadyNoToken, None), line(Word::Ready, None), Heard::End];
        assert_eq!(heard(b"ready-no-token\nready\n"), second);
        let (mut status, mut agent) = pipe();
        agent.write_all(b"ready-no-to").unwrap();
        assert_eq!(status.next(clock::now()), Heard::Nothing);
        agent.write_all(b"ken\n").unwrap();
        assert_eq!(status.next(clock::now()), second[0]);
        assert_eq!(status.next(clock::now() + Duration::from_millis(5)), Heard::Nothing);
        agent.write_all(b"ready\n").unwrap();
        assert_eq!(status.next(clock::now()), second[1]);
    }

    #[test]
    fn a_line_of_64_bytes_is_read_and_a_longer_one_is_none() {
        let code = |length: usize| [b"failed ", "x".repeat(length - 8).as_bytes(), b"\n"].concat();
        assert_eq!(heard(&code(64))[0], line(Word::Failed(None), None));
        assert_eq!(heard(&code(65))[0], Heard::End);
    }

    #[test]
    fn every_code_of_a_failure_is_in_the_man_page() {
        let page = include_str!("../../packaging/man/pam_iam.8");
        let log = page.split("\n.SH LOG\n").nth(1).unwrap().split("\n.SH ").next().unwrap();
        for code in CODES {
            let named = |line: &str| line.split([' ', ',']).nth(1) == Some(code) && line.starts_with(".B");
            assert!(log.lines().any(named), "{code}");
        }
    }
}
