//! One client's connection: reads and writes lines, and never waits. Touches that one socket.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::poll::PollFlags;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use zeroize::Zeroizing;

use crate::line::{self, EncodedLine, LineError, Lines};
use crate::protocol::MAX_LINE;

/// What a client has to finish a line, and to read a reply.
const PATIENCE: Duration = Duration::from_secs(30);

/// Names a connection for as long as the agent lives.
pub(super) type PeerId = u64;

/// A connection.
pub(super) struct Peer {
    pub(super) id: PeerId,
    stream: UnixStream,
    lines: Lines,
    out: EncodedLine,
    sent: usize,
    state: PeerState,
    since: Duration,
    /// Whether it has had a reply.
    is_served: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerState {
    /// Between requests, or within one.
    Listening,
    /// Its request is being seen to.
    Waiting,
    /// A reply is on its way.
    Replying,
    /// As before; nothing is read from it any more.
    Parting,
}

/// Why a client can be let go, who goes first at the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expendable {
    /// It reads no replies: who has read the last one has a socket that takes the next as a whole.
    Deaf,
    /// It has more to ask, and had its turn.
    Insatiable,
    /// It has begun a line and not ended it: a request comes in one piece.
    Dawdling,
    /// It asks nothing, or has just come.
    Idle,
}

impl Peer {
    /// Takes a connection of this uid; of another one not a byte is read.
    pub(super) fn admit(id: PeerId, stream: UnixStream, uid: u32, now: Duration) -> Option<Self> {
        let peer = getsockopt(&stream, PeerCredentials).ok()?;
        stream.set_nonblocking(true).ok()?;
        (peer.uid() == uid).then(|| Self {
            id,
            stream,
            lines: Lines::new(MAX_LINE),
            out: EncodedLine::default(),
            sent: 0,
            state: PeerState::Listening,
            since: now,
            is_served: false,
        })
    }

    /// What to poll for. That the client is gone is always told.
    pub(super) fn descriptor(&self) -> (BorrowedFd<'_>, PollFlags) {
        let events = match self.state {
            // What was sent ahead is seen to before more is read, or before the end is.
            PeerState::Listening if self.lines.is_due() => PollFlags::empty(),
            PeerState::Listening => PollFlags::POLLIN,
            PeerState::Waiting => PollFlags::empty(),
            PeerState::Replying | PeerState::Parting => PollFlags::POLLOUT,
        };
        (self.stream.as_fd(), events)
    }

    /// When it is given up.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let hurries = match self.state {
            PeerState::Listening => !self.lines.is_empty(),
            PeerState::Waiting => false,
            PeerState::Replying | PeerState::Parting => true,
        };
        hurries.then_some(self.since + PATIENCE)
    }

    /// Whether it could be let go without failing an honest client: the least goes first.
    pub(super) fn expendable(&self) -> Option<(Expendable, Duration)> {
        let why = match self.state {
            PeerState::Waiting => return None,
            PeerState::Replying | PeerState::Parting => Expendable::Deaf,
            PeerState::Listening if self.lines.is_due() && self.is_served => Expendable::Insatiable,
            PeerState::Listening if self.lines.is_due() => return None,
            PeerState::Listening if !self.lines.is_empty() => Expendable::Dawdling,
            PeerState::Listening => Expendable::Idle,
        };
        Some((why, self.since))
    }

    /// Reads or writes once, as `events` has it.
    ///
    /// # Errors
    /// When the connection is at its end.
    pub(super) fn progress(&mut self, events: PollFlags, now: Duration) -> Result<(), LineError> {
        let ends = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        match self.state {
            PeerState::Listening if self.lines.is_due() => Ok(()),
            PeerState::Listening if events.contains(PollFlags::POLLIN) => {
                let was_empty = self.lines.is_empty();
                self.lines.fill(&mut self.stream)?;
                // A line's time begins with its first byte; further bytes do not prolong it.
                if was_empty {
                    self.since = now;
                }
                Ok(())
            }
            PeerState::Replying | PeerState::Parting if events.contains(PollFlags::POLLOUT) => {
                self.flush(now)
            }
            _ if events.intersects(ends) => Err(LineError::Closed),
            _ => Ok(()),
        }
    }

    /// Whether a further request of it can be seen to at once.
    pub(super) fn has_more(&self) -> bool {
        self.state == PeerState::Listening && self.lines.is_due()
    }

    /// A whole request, if there is one and the client is not waiting for a reply.
    pub(super) fn request(&mut self, now: Duration) -> Result<Option<Zeroizing<Vec<u8>>>, LineError> {
        if self.state != PeerState::Listening {
            return Ok(None);
        }
        let line = self.lines.take()?;
        if line.is_some() {
            self.state = PeerState::Waiting;
            self.since = now;
        }
        Ok(line)
    }

    /// Begins to send a reply.
    ///
    /// # Errors
    /// When the connection is at its end.
    pub(super) fn reply(&mut self, line: EncodedLine, now: Duration) -> Result<(), LineError> {
        self.out = line;
        (self.sent, self.since, self.state) = (0, now, PeerState::Replying);
        self.flush(now)
    }

    /// Sends a last reply: where its next request would begin is unknown.
    ///
    /// # Errors
    /// When the connection is at its end, be it that all has been sent.
    pub(super) fn dismiss(&mut self, reason: EncodedLine, now: Duration) -> Result<(), LineError> {
        self.reply(reason, now)?;
        if self.state == PeerState::Listening {
            return Err(LineError::Closed);
        }
        self.state = PeerState::Parting;
        Ok(())
    }

    fn flush(&mut self, now: Duration) -> Result<(), LineError> {
        self.sent += line::send_some(&mut self.stream, self.out.get(self.sent..).unwrap_or_default())?;
        if self.sent < self.out.len() {
            return Ok(());
        }
        self.out = EncodedLine::default();
        self.since = now;
        self.is_served = true;
        if self.state == PeerState::Parting {
            return Err(LineError::Closed);
        }
        self.state = PeerState::Listening;
        Ok(())
    }
}
