//! Text for people: makes foreign strings safe to print, and writes durations and times. Touches nothing.

use std::fmt::Write as _;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `text` with every control character escaped.
///
/// What an issuer, an agent or the environment says must not move the cursor, set the terminal's title or
/// reorder what is already there: besides C0 and C1 the bidirectional controls and line separators go
/// (Unicode 16, UAX #9 §2).
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !is_unsafe(c) {
            out.push(c);
        } else if u32::from(c) < 0x100 {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        } else {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
    out
}

/// `json` with the same characters as JSON has them: it means the same, and moves nothing on a terminal.
pub(crate) fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) {
            // All of them are one unit of UTF-16; writing to a String cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn is_unsafe(c: char) -> bool {
    let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}');
    c.is_control() || invisible
}

/// A length of time in the largest unit that says enough: `45 s`, `47 min`, `5 h 3 min`, `29 days`.
pub(crate) fn duration(seconds: u64) -> String {
    let (hours, minutes) = (seconds / HOUR, seconds % HOUR / MINUTE);
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{minutes} min"),
        HOUR..DAY if minutes == 0 => format!("{hours} h"),
        HOUR..DAY => format!("{hours} h {minutes} min"),
        _ if seconds / DAY == 1 => format!("1 day {} h", seconds % DAY / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}

/// A moment as `2026-11-24T01:23:31Z`; UTC, for the static binary reads no time zone data.
pub(crate) fn utc(unix: u64) -> String {
    let (year, month, day) = civil(unix / DAY);
    let of_day = unix % DAY;
    let (hour, minute, second) = (of_day / HOUR, of_day % HOUR / MINUTE, of_day % MINUTE);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years are reckoned from
/// March, so that the leap day is the last one of its year, in eras of 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_EPOCH: u64 = 719_468; // from 0000-03-01
    const ERA: u64 = 146_097; // days of 400 years
    let days = days + DAYS_TO_EPOCH;
    let (era, of_era) = (days / ERA, days % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (400 * era + year_of_era + u64::from(month <= 2), month, day)
}

/// The day of a date, counted from 1970-01-01; `None` for what is no date since then. The other way round of `civil`.
pub(crate) fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    // Every year has at most 366 days, so the day is not far from this one.
    let year_before = year.checked_sub(1970)? * 365;
    let is_it = |days: &u64| civil(*days) == (year, month, day);
    (year_before..=year_before.checked_add(year / 4 + 366)?).find(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_a_control_character() {
        let hostile = "a\u{9b}2J\u{2028}\u{202e}b\u{7f}\u{feff}\u{1b}é";
        let json = printable_json(&serde_json::to_string(hostile).unwrap());
        assert_eq!(json, "\"a\\u009b2J\\u2028\\u202eb\\u007f\\ufeff\\u001bé\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }

    #[test]
    fn controls_are_shown_instead_of_obeyed() {
        assert_eq!(printable("plain ünï\tx"), "plain ünï\\x09x");
        assert_eq!(printable("\x1b]0;t\x07\n\u{9b}2J"), "\\x1b]0;t\\x07\\x0a\\x9b2J");
        assert_eq!(printable("a\u{202e}b\u{2066}"), "a\\u{202e}b\\u{2066}");
    }

    #[test]
    fn durations_say_enough() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (47 * MINUTE + 59, "47 min"),
            (HOUR, "1 h"),
            (5 * HOUR + 3 * MINUTE, "5 h 3 min"),
            (DAY + 2 * HOUR, "1 day 2 h"),
            (29 * DAY + 5, "29 days"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_483_411, "2026-11-24T01:23:31Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(unix), text);
        }
        assert!(utc(u64::MAX).ends_with('Z'));
        for day in [0, 58, 59, 11_016, 20_781, 47_541] {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), Some(day));
        }
        for (year, month, day) in [(1969, 12, 31), (2026, 13, 1), (2026, 2, 29), (2026, 0, 1), (2026, 1, 0)] {
            assert_eq!(days(year, month, day), None);
        }
    }
}
