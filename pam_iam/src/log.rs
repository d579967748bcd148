//! Lines for syslog, `event=… user=… key=value …`, sent without ever waiting. Touches /dev/log.
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

/// A key of ours, and whatever value.
pub(crate) type Field<'a> = (&'static str, &'a dyn Display);

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
    /// Lines about a login of `user`.
    pub(crate) fn of(user: &str, detail: Detail) -> Self {
        Self { user: user.to_owned(), detail }
    }

    /// Somebody should look.
    pub(crate) fn error(&self, text: impl Display) {
        self.line(Severity::LOG_ERR, "error", &[("error", &text)]);
    }

    /// Something was passed over.
    pub(crate) fn warning(&self, text: impl Display) {
        self.line(Severity::LOG_WARNING, "warning", &[("reason", &text)]);
    }

    /// Why nothing was done; only where the PAM line says `debug`.
    pub(crate) fn debug(&self, text: impl Display) {
        if self.detail == Detail::Debug {
            self.line(Severity::LOG_DEBUG, "debug", &[("reason", &text)]);
        }
    }

    /// What the site's audit wants to know of a session; the agent's lines have the same `session`.
    pub(crate) fn audit(&self, event: &str, fields: &[Field<'_>]) {
        self.line(Severity::LOG_INFO, event, fields);
    }

    /// The same, where somebody should look.
    pub(crate) fn alarm(&self, event: &str, fields: &[Field<'_>]) {
        self.line(Severity::LOG_WARNING, event, fields);
    }

    /// Sends one line, or drops it: a daemon that is gone or stalled must hold no login up.
    fn line(&self, severity: Severity, event: &str, fields: &[Field<'_>]) {
        let mut text = String::with_capacity(MAX_TEXT);
        for (key, value) in [("event", &event as &dyn Display), ("user", &self.user)].iter().chain(fields) {
            let gap = if text.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{gap}{key}={}", quoted(&value.to_string()));
        }
        let _ = Self::send(severity, text);
    }

    fn send(severity: Severity, text: String) -> Option<()> {
        // The daemon on this host knows its name; the crate's time is UTC, and rsyslog and journald take their own.
        let formatter = Formatter3164 {
            facility: Facility::LOG_AUTHPRIV,
            hostname: None,
            process: IDENT.to_owned(),
            pid: getpid().as_raw().cast_unsigned(),
        };
        let mut datagram = Vec::with_capacity(MAX_TEXT);
        formatter.format(&mut datagram, severity, text).ok()?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.send_to(&datagram, SOCKET).ok().map(|_| ())
    }
}

/// A value of anything but letters, digits and a few signs is in double quotes, with a backslash before a quote and a
/// backslash: a name makes no second field.
fn quoted(value: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@%+,~".contains(&byte);
    let value = printable(value);
    if !value.is_empty() && value.bytes().all(bare) {
        return value;
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
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
    fn a_name_makes_no_second_field() {
        assert_eq!(quoted("alice@x.example"), "alice@x.example");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a\" user=root"), "\"a\\\" user=root\"");
        assert_eq!(quoted(r"a\b"), r#""a\\b""#);
    }

    #[test]
    fn a_line_is_cut_where_it_would_be_too_long() {
        let line = printable(&"x".repeat(10 * MAX_TEXT));
        assert_eq!((line.chars().count(), line.ends_with("x…")), (MAX_TEXT + 1, true));
    }
}
