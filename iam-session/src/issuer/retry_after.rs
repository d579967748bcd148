//! Reads Retry-After (RFC 9110 §10.2.3) and Date (§6.6.1). Pure; touches nothing.

use std::time::{Duration, UNIX_EPOCH};

/// However long an issuer asks us to stay away, an hour later we may ask again.
const MAX_SECONDS: u64 = 3600;

/// Seconds from `now` (since the epoch): of a number or of a date; nothing where it is neither.
pub(super) fn seconds(value: &str, now: u64) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(MAX_SECONDS, |seconds: u64| seconds.min(MAX_SECONDS)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let wait = date.duration_since(UNIX_EPOCH + Duration::from_secs(now)).unwrap_or_default();
    Some(wait.as_secs().min(MAX_SECONDS))
}

/// A Date header, in seconds since the epoch.
pub(super) fn date(value: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_dates_and_garbage() {
        const NOW: u64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT
        for (value, wait) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("31536000", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Mon, 06 Nov 1995 08:49:37 GMT", Some(3600)),
            ("", None),
            ("-5", None),
            ("soon", None),
            ("1.5", None),
            ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(seconds(value, NOW), wait, "{value}");
        }
    }
}
