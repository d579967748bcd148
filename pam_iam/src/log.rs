//! Lines for syslog, sent without ever waiting. Touches /dev/log.
//!
//! Not syslog(3): that shares its socket and its identity with the host, and blocks when the daemon stalls.

use std::fmt::{Display, Write};
use std::os::unix::net::UnixDatagram;

use nix::unistd::getpid;
use syslog::{Facility, Formatter3164, LogFormat, Severity};

const SOCKET: &str = "/dev/log";
const IDENT: &str = "pam_iam";
/// What rsyslog and journald take in one line; a hostile option or name must not make a huge datagram.
const MAX_TEXT: usize = 900;

/// One login's lines.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    user: String,
    detail: Detail,
}

/// Whether the log also says why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What was done and what failed.
    Plain,
    /// Everything.
    Debug,
}

impl Log {
    /// Lines that begin with `(user NAME)`.
    pub(crate) fn of(user: &str, detail: Detail) -> Self {
        Self { user: user.to_owned(), detail }
    }

    /// Somebody should look.
    pub(crate) fn error(&self, text: impl Display) {
        self.line(Severity::LOG_ERR, &text);
    }

    /// Something was passed over.
    pub(crate) fn warning(&self, text: impl Display) {
        self.line(Severity::LOG_WARNING, &text);
    }

    /// What the site's audit wants to know.
    pub(crate) fn info(&self, text: impl Display) {
        self.line(Severity::LOG_INFO, &text);
    }

    /// Why nothing was done; only where the PAM line says `debug`.
    pub(crate) fn debug(&self, text: impl Display) {
        if self.detail == Detail::Debug {
            self.line(Severity::LOG_DEBUG, &text);
        }
    }

    /// Sends one line, or drops it: a daemon that is gone or stalled must hold no login up.
    fn line(&self, severity: Severity, text: &dyn Display) {
        let _ = self.send(severity, text);
    }

    fn send(&self, severity: Severity, text: &dyn Display) -> Option<()> {
        // The daemon on this host knows its name; the crate's time is UTC, and rsyslog and journald take their own.
        let formatter = Formatter3164 {
            facility: Facility::LOG_AUTHPRIV,
            hostname: None,
            process: IDENT.to_owned(),
            pid: getpid().as_raw().cast_unsigned(),
        };
        let mut datagram = Vec::with_capacity(MAX_TEXT);
        let text = printable(&format!("(user {}) {text}", self.user));
        formatter.format(&mut datagram, severity, text).ok()?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.send_to(&datagram, SOCKET).ok().map(|_| ())
    }
}

/// `text` on one line that moves no cursor and reorders nothing, cut where it is too long. A name comes from the
/// name service, and an option from a file: neither may forge a second line.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if out.len() >= MAX_TEXT {
            out.push('…');
            break;
        }
        let reorders =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
        if c.is_control() || reorders {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_second_line() {
        assert_eq!(printable("a\n<0>b\u{1b}[2J\u{202e}"), "a\\u{a}<0>b\\u{1b}[2J\\u{202e}");
        assert_eq!(printable("sœur …"), "sœur …");
    }

    #[test]
    fn a_line_is_cut_where_it_would_be_too_long() {
        let line = printable(&"x".repeat(10 * MAX_TEXT));
        assert_eq!((line.chars().count(), line.ends_with("x…")), (MAX_TEXT + 1, true));
    }
}
