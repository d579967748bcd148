//! Lines for syslog, `event=… user=… key=value …`, sent without ever waiting. Touches /dev/log.
//!
//! This is not syslog(3): that shares its socket and its identity with the host, and blocks when the daemon stalls.

use std::fmt::{Display, Write};
use std::os::unix::net::UnixDatagram;

use nix::unistd::getpid;

use crate::clock;

const SOCKET: &str = "/dev/log";
const IDENT: &str = "pam_iam";
/// RFC 3164 §4.1.1, authpriv: what is logged here is for administrators.
const FACILITY: u8 = 10;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
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

/// How grave it is (RFC 3164 §4.1.1).
#[derive(Clone, Copy, Debug)]
enum Severity {
    Error = 3,
    Warning = 4,
    Info = 6,
    Debug = 7,
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
        self.line(Severity::Error, "error", &[("error", &text)]);
    }

    /// Something was passed over.
    pub(crate) fn warning(&self, text: impl Display) {
        self.line(Severity::Warning, "warning", &[("reason", &text)]);
    }

    /// Why nothing was done; only where the PAM line says `debug`.
    pub(crate) fn debug(&self, text: impl Display) {
        if self.detail == Detail::Debug {
            self.line(Severity::Debug, "debug", &[("reason", &text)]);
        }
    }

    /// What the site's audit wants to know of a session; the agent's lines have the same `session`.
    pub(crate) fn audit(&self, event: &str, fields: &[Field<'_>]) {
        self.line(Severity::Info, event, fields);
    }

    /// The same, where somebody should look.
    pub(crate) fn alarm(&self, event: &str, fields: &[Field<'_>]) {
        self.line(Severity::Warning, event, fields);
    }

    /// Sends one line, or drops it: a daemon that is gone or stalled must hold no login up.
    fn line(&self, severity: Severity, event: &str, fields: &[Field<'_>]) {
        let mut text = String::with_capacity(MAX_TEXT);
        for (key, value) in [("event", &event as &dyn Display), ("user", &self.user)].iter().chain(fields) {
            let gap = if text.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{gap}{key}={}", quoted(&value.to_string()));
        }
        let _ = send(&datagram(severity, clock::unix_time(), getpid().as_raw(), &text));
    }
}

fn send(datagram: &str) -> Option<()> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.send_to(datagram.as_bytes(), SOCKET).ok().map(|_| ())
}

/// RFC 3164 §4.1, without the host's name: the daemon on this host knows it.
fn datagram(severity: Severity, unix: u64, pid: i32, text: &str) -> String {
    let priority = FACILITY * 8 + severity as u8;
    format!("<{priority}>{} {IDENT}[{pid}]: {text}", timestamp(unix))
}

/// As in `Nov 06 21:00:59`, in UTC. For local time a file would have to be found by the host's environment. rsyslog and
/// journald take the time at which they receive the line.
fn timestamp(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    // Years that begin in March have their leap day at the end, and a calendar that repeats after 146,097 days.
    let day = (days + 719_468) % 146_097;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months, wherever they begin in such a year, have 153 days.
    let since_march = (5 * day + 2) / 153;
    let day = day - (153 * since_march + 2) / 5 + 1;
    let month = MONTHS.iter().cycle().nth(since_march as usize + 2).unwrap_or(&"");
    format!("{month} {day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
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
    use syslog::{Facility, Formatter3164, LogFormat as _};

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
    fn a_line_has_the_bytes_that_other_programs_write() {
        let theirs = |severity| {
            let formatter = Formatter3164 {
                facility: Facility::LOG_AUTHPRIV,
                hostname: None,
                process: IDENT.to_owned(),
                pid: 4711,
            };
            let mut bytes = Vec::new();
            formatter.format(&mut bytes, severity, "event=x user=\"sœur\"").unwrap();
            String::from_utf8(bytes).unwrap()
        };
        for (ours, of_crate) in [
            (Severity::Error, syslog::Severity::LOG_ERR),
            (Severity::Warning, syslog::Severity::LOG_WARNING),
            (Severity::Info, syslog::Severity::LOG_INFO),
            (Severity::Debug, syslog::Severity::LOG_DEBUG),
        ] {
            let before = clock::unix_time();
            let theirs = theirs(of_crate);
            let mut seconds = before..=clock::unix_time();
            let same = |second| datagram(ours, second, 4711, "event=x user=\"sœur\"") == theirs;
            assert!(seconds.any(same), "{ours:?} {before}: {theirs}");
        }
    }

    #[test]
    fn the_calendar_is_that_of_date() {
        // date -u -d @SECONDS '+%b %d %T'
        for (unix, expected) in [
            (0, "Jan 01 00:00:00"),
            (951_782_399, "Feb 28 23:59:59"),
            (951_782_400, "Feb 29 00:00:00"),
            (951_868_800, "Mar 01 00:00:00"),
            (1_704_067_199, "Dec 31 23:59:59"),
            (1_709_251_199, "Feb 29 23:59:59"),
            (1_795_483_411, "Nov 24 01:23:31"),
            (4_107_542_399, "Feb 28 23:59:59"),
            (4_107_542_400, "Mar 01 00:00:00"),
        ] {
            assert_eq!(timestamp(unix), expected, "{unix}");
        }
        let months: Vec<String> =
            (0..12).map(|month| timestamp(1_767_225_600 + month * 30 * 86_400 + 86_400 * 5)).collect();
        assert!(months.iter().zip(MONTHS).all(|(stamp, month)| stamp.starts_with(month)), "{months:?}");
    }

    #[test]
    fn a_line_is_cut_where_it_would_be_too_long() {
        let line = printable(&"x".repeat(10 * MAX_TEXT));
        assert_eq!((line.chars().count(), line.ends_with("x…")), (MAX_TEXT + 1, true));
    }
}
