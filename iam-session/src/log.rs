//! Lines for syslog, sent without ever waiting. Touches /dev/log.
//!
//! They are written under the user's uid, so a reader must know that the user can forge them (SECURITY.md);
//! the module's and the issuer's cannot be.

use std::os::unix::net::UnixDatagram;
use std::process;

use syslog::{Facility, Formatter3164, LogFormat, Severity};

use crate::text::printable;

const SOCKET: &str = "/dev/log";

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Somebody should look.
    Error,
    /// Something was refused or put off.
    Warning,
    /// What the site's audit wants to know.
    Info,
}

/// One user's lines.
#[derive(Clone, Debug)]
pub struct Log {
    user: String,
}

impl Log {
    /// Lines that begin with `(user NAME)`.
    pub fn of(user: &str) -> Self {
        Self { user: user.to_owned() }
    }

    /// Sends one line, or drops it: a syslog daemon that is gone or stalled must hold nobody up.
    pub fn line(&self, level: Level, text: &str) {
        let _ = self.send(level, text);
    }

    fn send(&self, level: Level, text: &str) -> Option<()> {
        let formatter = Formatter3164 {
            facility: Facility::LOG_AUTHPRIV,
            hostname: None,
            process: "iam-session".into(),
            pid: process::id(),
        };
        let severity = match level {
            Level::Error => Severity::LOG_ERR,
            Level::Warning => Severity::LOG_WARNING,
            Level::Info => Severity::LOG_INFO,
        };
        let mut datagram = Vec::new();
        let line = format!("(user {}) {}", printable(&self.user), printable(text));
        formatter.format(&mut datagram, severity, line).ok()?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.send_to(&datagram, SOCKET).ok().map(|_| ())
    }
}
