//! A QR code of text for a phone. Looks at the terminal's size and the locale.

use std::env;
use std::io::{self, IsTerminal as _};

use clap::Args;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use terminal_size::{Height, Width, terminal_size_of};

/// Light modules that must surround a code on each side (ISO/IEC 18004 §5.3.8).
const QUIET_ZONE: usize = 4;
/// Black on bright white whatever the terminal's own colours are: readers want dark modules on light ground.
const COLOURS: &str = "\x1b[0;30;107m";
const RESET: &str = "\x1b[0m";

/// Whether a code is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::commands) enum QrCodes {
    /// Where there is room for it.
    #[default]
    IfTheyFit,
    /// `--no-qr`.
    Never,
}

/// The option about it.
#[derive(Debug, Default, Args)]
pub(in crate::commands) struct QrArgs {
    /// Show no QR code
    #[arg(long)]
    no_qr: bool,
}

impl QrArgs {
    /// What it says.
    pub(in crate::commands) fn wanted(&self) -> QrCodes {
        if self.no_qr { QrCodes::Never } else { QrCodes::IfTheyFit }
    }
}

/// The code of `url`, if standard error is a terminal that shows half blocks, and that it fits together with `text`: the
/// link, the code and the warnings must not be pushed off.
pub(super) fn for_terminal(url: &str, text: &str) -> Option<String> {
    if !io::stderr().is_terminal() || env::var_os("TERM").is_none_or(|term| term == "dumb") || !is_utf8() {
        return None;
    }
    let (Width(columns), Height(rows)) = terminal_size_of(io::stderr())?;
    let (columns, rows) = (usize::from(columns), usize::from(rows));
    render(url, columns, rows.saturating_sub(rows_of(text, columns)))
}

/// The rows that a text takes, with the one below it, where the cursor is.
fn rows_of(text: &str, columns: usize) -> usize {
    let rows = |line: &str| line.chars().count().div_ceil(columns.max(1)).max(1);
    text.lines().map(rows).sum::<usize>() + 1
}

/// The locale for characters, in the order of setlocale(3).
fn is_utf8() -> bool {
    let set = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
    locale.to_ascii_lowercase().replace('-', "").contains("utf8")
}

/// Low error correction: a screen is clean, and the smaller code fits more terminals.
fn render(url: &str, columns: usize, rows: usize) -> Option<String> {
    let code = QrCode::with_error_correction_level(url, EcLevel::L).ok()?;
    let side = code.width() + 2 * QUIET_ZONE;
    if side > columns || side.div_ceil(2) > rows {
        return None;
    }
    let blocks = code.render::<Dense1x2>().quiet_zone(true).build();
    let lines: Vec<String> = blocks.lines().map(|line| format!("{COLOURS}{line}{RESET}")).collect();
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://wlcg.cloud.cnaf.infn.it/device?user_code=ABCD"; // version 3: 29 modules
    const SIDE: usize = 29 + 8;

    #[test]
    fn a_code_is_shown_where_it_fits_and_only_there() {
        let rows = SIDE.div_ceil(2);
        assert!(render(URL, SIDE, rows).is_some());
        assert!(render(URL, SIDE - 1, rows).is_none());
        assert!(render(URL, SIDE, rows - 1).is_none());
        assert!(render(&"x".repeat(4000), usize::MAX, usize::MAX).is_none());
    }

    #[test]
    fn a_text_takes_a_row_a_line_more_where_a_line_is_long_and_the_cursors() {
        assert_eq!(rows_of("a\n\nb\n", 80), 4);
        assert_eq!(rows_of(&"x".repeat(80), 80), 2);
        assert_eq!(rows_of(&"x".repeat(81), 80), 3);
    }

    #[test]
    fn it_is_as_large_as_reckoned_and_light_around() {
        let code = render(URL, SIDE, SIDE).unwrap();
        let lines: Vec<&str> = code.lines().collect();
        assert_eq!(lines.len(), SIDE.div_ceil(2));
        for line in &lines {
            let line = line.strip_prefix(COLOURS).and_then(|line| line.strip_suffix(RESET)).unwrap();
            assert_eq!(line.chars().count(), SIDE);
            assert!(line.starts_with("    ") && line.ends_with("    "));
        }
        assert!(lines[0].contains(&" ".repeat(SIDE)) && lines[1].contains(&" ".repeat(SIDE)));
    }
}
