//! A client that keeps an agent's socket busy, with one or more connections. One thread, so that an agent with one
//! thread has a processor for itself.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use support::wait;

/// How an agent is asked for what it has at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// PROTOCOL.md, section 3: a line each way, many on a connection.
    Ours,
    /// SSH_AGENTC_REQUEST_IDENTITIES: a length and so many bytes, many on a connection.
    SshAgent,
    /// A JSON object each way, and a new connection for each.
    OidcAgent,
}

impl Protocol {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "ours" => Self::Ours,
            "ssh-agent" => Self::SshAgent,
            "oidc-agent" => Self::OidcAgent,
            other => panic!("{other}"),
        }
    }

    fn request(self) -> &'static [u8] {
        match self {
            Self::Ours => b"{\"request\":\"access_token\"}\n",
            Self::SshAgent => b"\0\0\0\x01\x0b",
            Self::OidcAgent => b"{\"request\":\"access_token\",\"account\":\"bench\",\"min_valid_period\":0}",
        }
    }

    /// Whether this is a whole answer.
    fn is_whole(self, answer: &[u8], is_at_end: bool) -> bool {
        match self {
            Self::Ours => answer.ends_with(b"\n"),
            Self::SshAgent => answer
                .first_chunk()
                .is_some_and(|length| answer.len() >= 4 + u32::from_be_bytes(*length) as usize),
            Self::OidcAgent => is_at_end,
        }
    }

    /// Whether it is an answer with what was asked for.
    fn is_good(self, answer: &[u8]) -> bool {
        let has = |text: &[u8]| answer.windows(text.len()).any(|window| window == text);
        match self {
            Self::Ours | Self::OidcAgent => has(b"\"access_token\""),
            Self::SshAgent => answer.get(4) == Some(&12) && has(b"ssh-ed25519"),
        }
    }
}

struct Connection {
    stream: UnixStream,
    asked: Instant,
    answer: Vec<u8>,
}

impl Connection {
    fn ask(protocol: Protocol, socket: &str) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        let mut connection = Self { stream, asked: wait::now(), answer: Vec::new() };
        connection.stream.set_nonblocking(true).unwrap();
        connection.ask_again(protocol);
        connection
    }

    fn ask_again(&mut self, protocol: Protocol) {
        self.answer.clear();
        self.asked = wait::now();
        self.stream.write_all(protocol.request()).unwrap();
    }

    /// How long the whole answer took, once it is there.
    fn read(&mut self, protocol: Protocol, buffer: &mut [u8]) -> Option<Duration> {
        let read = match self.stream.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{protocol:?}: {error}"),
        };
        self.answer.extend_from_slice(&buffer[..read]);
        if !protocol.is_whole(&self.answer, read == 0) {
            assert!(read > 0, "{protocol:?} closed the connection");
            return None;
        }
        let took = self.asked.elapsed();
        assert!(protocol.is_good(&self.answer), "{protocol:?}: {}", String::from_utf8_lossy(&self.answer));
        Some(took)
    }
}

/// Asks on each connection as soon as it was answered. Gives the answers a second, and of their times in nanoseconds
/// the 99th percentile and the longest. On a crowded machine it goes on until there are as many as connections.
pub(crate) fn run(protocol: Protocol, socket: &str, connections: usize, duration: Duration) -> String {
    let mut open: Vec<Connection> = (0..connections).map(|_| Connection::ask(protocol, socket)).collect();
    let mut times = Vec::new();
    let mut buffer = vec![0; 65536];
    let start = wait::now();
    while start.elapsed() < duration || times.len() < connections {
        let mut fds: Vec<PollFd<'_>> =
            open.iter().map(|connection| PollFd::new(connection.stream.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap();
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        assert!(ready.contains(&true), "{protocol:?} does not answer");
        for (connection, _) in open.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            let Some(took) = connection.read(protocol, &mut buffer) else { continue };
            times.push(took.as_nanos());
            if protocol == Protocol::OidcAgent {
                *connection = Connection::ask(protocol, socket);
            } else {
                connection.ask_again(protocol);
            }
        }
    }
    let answers_a_second = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort_unstable();
    let longest = times.len() - 1;
    format!("{answers_a_second} {} {}", times[longest * 99 / 100], times[longest])
}
