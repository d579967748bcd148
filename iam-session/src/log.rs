//! Lines for syslog, `event=… key=value …`, sent without ever waiting. Touches /dev/log.
//!
//! They are written under the user's uid, so a user can forge them (SECURITY.md). The module's and the issuer's cannot
//! be forged. This does not use the journal's own socket. That would be a second way to the same place, with its own
//! limits, and CentOS 7's rsyslog reads the datagrams of this one as well.

mod budget;
mod fields;

use std::io;
use std::os::unix::net::UnixDatagram;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use syslog::{Facility, Formatter3164, LogFormat, Severity};

use self::budget::Budget;
use self::fields::line;
use crate::clock;

const SOCKET: &str = "/dev/log";

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Somebody should look.
    Error,
    /// Something was refused or put off.
    Warning,
    /// What the site's audit wants to know.
    Info,
}

/// The lines of one session.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    user: String,
    session: String,
    budget: Arc<Mutex<Budget>>,
}

impl Log {
    /// Lines of `user` in `session`: the module's line of the session has the same id, and the remote host.
    pub(crate) fn of(user: &str, session: &str) -> Self {
        let budget = Arc::new(Mutex::new(Budget::new(clock::boot_time())));
        Self { user: user.to_owned(), session: session.to_owned(), budget }
    }

    /// Something went wrong that is nobody's request.
    pub(crate) fn error(&self, text: &str) {
        self.event(Level::Error, "error", &[("error", text)]);
    }

    /// Sends one line, or drops it: a syslog daemon that is gone or stalled must hold nobody up, and a client that asks
    /// without end must not fill the log. What was dropped is counted in the next line.
    pub(crate) fn event(&self, level: Level, event: &str, fields: &[(&str, &str)]) {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(dropped) = budget.admit(clock::boot_time()) else { return };
        let count = dropped.to_string();
        let mut all =
            vec![("event", event), ("user", self.user.as_str()), ("session", self.session.as_str())];
        all.extend_from_slice(fields);
        if dropped > 0 {
            all.push(("dropped", &count));
        }
        match send(level, line(&all)) {
            Some(()) => budget.told(dropped),
            None => budget.drop_one(),
        }
    }
}

/// Why no line reaches the daemon, if none does: SELinux may keep a confined user from it, and nobody is told. A host
/// without a daemon has no log to miss.
pub(crate) fn unreachable() -> Option<String> {
    let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(SOCKET));
    connected.err().filter(|error| error.kind() != io::ErrorKind::NotFound).map(|error| error.to_string())
}

fn send(level: Level, line: String) -> Option<()> {
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
    formatter.format(&mut datagram, severity, line).ok()?;
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.send_to(&datagram, SOCKET).ok().map(|_| ())
}
