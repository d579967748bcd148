//! The command line's side of the agent's socket. Touches that socket and the directories it may lie in.

mod cached;
mod error;
mod find;
mod owner;

use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{PeerCredentials, SendTimeout};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket,
};
use nix::sys::time::TimeVal;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub(crate) use error::ClientError;
pub(crate) use find::Places;
use find::session_leader;
pub(crate) use find::{sockets, state_directory};
pub(crate) use owner::{another_owner, forget_the_others};

use crate::clock::boot_time;
use crate::line::{self, LineError, Lines, Wait};
use crate::protocol::{MAX_LINE, NO_SUCH_REQUEST, Reply, Request, Token, TokenRequest, agent_is_older};

/// So much longer than the agent may take a client waits for its reply: both are programs on one busy host.
const MARGIN: Duration = Duration::from_secs(5);
/// An agent that stops does nothing but clean up.
const PATIENCE_STOP: Duration = Duration::from_secs(10);
/// connect(2) blocks while the backlog of a stopped agent is full, bounded by SO_SNDTIMEO (unix(7)).
const PATIENCE_CONNECT: i64 = 5;

/// An agent that has no room for another client lets go of one that has not asked yet. The first pause before one asks
/// again, doubled up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));

/// So long an agent that is busy is asked again for a token: what the others wait for may then be at hand.
const PATIENCE_BUSY: Duration = Duration::from_secs(10);
/// The first pause before that, doubled up to the last. A random part of each is left out, so that a crowd spreads.
const PAUSES_BUSY: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(640));

/// A token: out of the cache if that will do, otherwise of an agent's.
///
/// # Errors
/// As [`AgentClient::find`] and [`AgentClient::ask`].
pub(crate) fn token(places: &Places, request: &TokenRequest) -> Result<Token, ClientError> {
    let deadline = boot_time() + PATIENCE_BUSY;
    let (mut pause, longest) = PAUSES_BUSY;
    let mut busy = None;
    loop {
        if let Some(token) = cached::token(places, request) {
            return Ok(token);
        }
        let mut agent = match AgentClient::find(places) {
            Ok(agent) => agent,
            // It has ended since: what it said before is the reason.
            Err(error) => return Err(busy.unwrap_or(error)),
        };
        match agent.ask(&Request::AccessToken(request.clone())) {
            Err(error) if error.is_busy() && boot_time() < deadline => {
                thread::sleep(pause - pause / 2 * u32::from(random()) / 256);
                pause = (pause * 2).min(longest);
                busy = Some(error);
            }
            done => return done,
        }
    }
}

fn random() -> u8 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    let [byte] = byte;
    byte
}

/// A connection to an agent of this user.
pub(crate) struct AgentClient {
    stream: UnixStream,
    path: PathBuf,
    uid: u32,
    lines: Lines,
}

impl AgentClient {
    /// Connects to this session's agent; where there is none any more, to another one of the same user. Where there is none
    /// yet it is waited for: on a busy host a login goes on before its agent listens.
    ///
    /// # Errors
    /// [`ClientError`], saying why there is none.
    pub(crate) fn find(places: &Places) -> Result<Self, ClientError> {
        let (mut pause, longest) = PAUSES;
        loop {
            let found = Self::find_now(places);
            if found.is_ok() || !places.is_agent_to_come(session_leader(), boot_time()) {
                return found;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(longest);
        }
    }

    fn find_now(places: &Places) -> Result<Self, ClientError> {
        let mut first = None;
        for path in places.candidates() {
            match Self::connect(&path, places.uid()) {
                Ok(agent) => return Ok(agent),
                Err(error) => first = first.or(Some(error)),
            }
        }
        // The session's own socket was tried first: what is wrong with that one is what helps.
        Err(first.unwrap_or(ClientError::NoAgent))
    }

    /// Connects to the agent of `uid` that listens at `path`, and to no other.
    pub(crate) fn connect(path: &Path, uid: u32) -> Result<Self, ClientError> {
        let failed = |errno: Errno| match errno {
            Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTDIR => {
                ClientError::Dead { path: path.to_owned() }
            }
            Errno::EAGAIN => ClientError::Silent { path: path.to_owned() },
            errno => match another_owner(path, uid).filter(|_| errno == Errno::EACCES) {
                Some(owner) => ClientError::Foreign { path: path.to_owned(), owner },
                None => ClientError::Connect { path: path.to_owned(), source: errno.into() },
            },
        };
        let address = UnixAddr::new(path).map_err(failed)?;
        let socket =
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(failed)?;
        setsockopt(&socket, SendTimeout, &TimeVal::new(PATIENCE_CONNECT, 0)).map_err(failed)?;
        connect(socket.as_raw_fd(), &address).map_err(failed)?;
        let peer = getsockopt(&socket, PeerCredentials).map_err(failed)?.uid();
        if peer != uid {
            return Err(ClientError::Foreign { path: path.to_owned(), owner: owner::name_of(peer) });
        }
        let stream = UnixStream::from(socket);
        stream
            .set_nonblocking(true)
            .map_err(|source| ClientError::Connect { path: path.to_owned(), source })?;
        Ok(Self { stream, path: path.to_owned(), uid, lines: Lines::new(MAX_LINE) })
    }

    /// Another connection to the same agent.
    pub(crate) fn another(&self) -> Result<Self, ClientError> {
        Self::connect(&self.path, self.uid)
    }

    /// The socket that answered.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Sends a request and reads its reply.
    ///
    /// # Errors
    /// [`ClientError::Agent`] with what the agent answered, or what became of the agent.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, ClientError> {
        self.ask_unless(request, None)
    }

    /// As [`ask`](Self::ask), until `interrupt` is readable; what was asked goes on then.
    pub(crate) fn ask_unless<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        interrupt: Option<BorrowedFd<'_>>,
    ) -> Result<T, ClientError> {
        let wait = Wait::at_most(request.reply_within() + MARGIN).unless(interrupt);
        let line = line::encode(request, MAX_LINE).map_err(|_| ClientError::RequestTooLong)?;
        let reply = match request {
            // These change nothing, and may be asked twice.
            Request::Status {} | Request::AccessToken(_) => self.exchange_patiently(&line, wait)?,
            _ => self.exchange(&line, wait).map_err(|error| self.broken(error))?,
        };
        match serde_json::from_slice(&reply) {
            Ok(Reply::Success(answer)) => Ok(answer),
            Ok(Reply::Failure(failure)) if failure.error.starts_with(NO_SUCH_REQUEST) => {
                Err(ClientError::Agent(agent_is_older()))
            }
            Ok(Reply::Failure(failure)) => Err(ClientError::Agent(failure)),
            Err(_) => Err(ClientError::Garbage { path: self.path.clone() }),
        }
    }

    fn exchange(&mut self, line: &[u8], wait: Wait<'_>) -> Result<Zeroizing<Vec<u8>>, LineError> {
        line::send(&mut self.stream, line, wait)?;
        self.lines.next(&mut self.stream, wait)
    }

    fn exchange_patiently(&mut self, line: &[u8], wait: Wait<'_>) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let (mut pause, longest) = PAUSES;
        loop {
            match self.exchange(line, wait) {
                Err(LineError::Closed) if pause <= longest => {
                    thread::sleep(pause);
                    pause *= 2;
                    *self = Self::connect(&self.path, self.uid)?;
                }
                done => return done.map_err(|error| self.broken(error)),
            }
        }
    }

    /// Waits for an agent that was told to stop.
    pub(crate) fn wait_for_its_end(mut self) {
        let _ = self.lines.next(&mut self.stream, Wait::at_most(PATIENCE_STOP));
    }

    fn broken(&self, error: LineError) -> ClientError {
        let path = self.path.clone();
        match error {
            LineError::Closed => ClientError::Closed { path },
            LineError::TimedOut => ClientError::Silent { path },
            LineError::Interrupted => ClientError::Interrupted,
            LineError::TooLong(_) => ClientError::Garbage { path },
            LineError::Io(source) => ClientError::Connect { path, source },
        }
    }
}
