//! /etc/iam-session/revoked, the users who are not served: a user name or a uid a line. Reads that file.
//!
//! The programs read the same lines in the same way (iam-session/src/host/revoked.rs). The two share no code:
//! tests/lists/revoked.lines keeps them in step.
//!
//! If there is no file, nobody is revoked. If the file cannot be trusted or read, everybody is: the site revoked
//! somebody, and we cannot tell whom.

use crate::site::{Distrust, TrustedDir};

/// Its name in the site's directory.
pub(crate) const REVOKED: &str = "revoked";
/// 50,000 users; read at each login.
const MAX_SIZE: u64 = 1 << 20;

/// Whether one of the `names`, or `uid`, stands in the file.
pub(crate) fn is_revoked(site: Option<&TrustedDir>, names: &[&[u8]], uid: u32) -> Result<bool, Distrust> {
    let Some(site) = site else { return Ok(false) };
    match site.file(REVOKED)? {
        None => Ok(false),
        Some(file) => Ok(lists(&file.read_all(MAX_SIZE)?, names, uid)),
    }
}

fn lists<'t>(text: &'t [u8], names: &[&[u8]], uid: u32) -> bool {
    // With and without what may be a comment behind it: a mistake must not let anybody through.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let without_comment = |line: &'t [u8]| line.split(|byte| *byte == b'#').next().unwrap_or_default();
    text.split(|byte| *byte == b'\n')
        .flat_map(|line| [line, without_comment(line)])
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .any(|line| names.contains(&line) || number(line) == Some(uid))
}

fn number(line: &[u8]) -> Option<u32> {
    line.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(line).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    const ALICE: &[&[u8]] = &[b"alice"];

    const LINES: &str = include_str!("../../tests/lists/revoked.lines");

    fn bytes(text: &str) -> Vec<u8> {
        let mut parts = text.split("\\x");
        let mut bytes = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
            bytes.extend(&part.as_bytes()[2..]);
        }
        bytes
    }

    #[test]
    fn each_line_is_read_as_the_programs_read_it() {
        let mut tried = 0;
        for line in LINES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (verdict, text) = line.split_once(' ').unwrap();
            assert!(["listed", "unfinished", "not"].contains(&verdict), "{line}");
            assert_eq!(lists(&bytes(text), ALICE, 1000), verdict != "not", "{line}");
            tried += 1;
        }
        assert!(tried > 30, "{tried}");
    }

    #[test]
    fn a_name_of_any_bytes_counts_byte_for_byte() {
        assert!(lists(b"al\xefce", &[b"alice", b"al\xefce"], 1000));
        assert!(!lists(b"al\xefce", &[b"al\xeece"], 1000));
    }

    #[test]
    fn without_a_file_or_its_directory_nobody_is_revoked() {
        let site = Scratch::new();
        assert_eq!(is_revoked(None, ALICE, 1000), Ok(false));
        assert_eq!(is_revoked(Some(&site.trusted()), ALICE, 1000), Ok(false));
    }

    #[test]
    fn a_file_in_order_is_read() {
        let site = Scratch::new();
        site.file(REVOKED, 0o644, b"bob\nalice\n");
        assert_eq!(is_revoked(Some(&site.trusted()), ALICE, 1000), Ok(true));
        assert_eq!(is_revoked(Some(&site.trusted()), &[b"carol"], 1002), Ok(false));
    }

    #[test]
    fn a_file_that_cannot_be_trusted_is_an_error_and_blocks_nobody() {
        let owned = Distrust::Not("owned by root and writable by root alone");
        for (mode, expected) in [(0o664, &owned), (0o646, &owned)] {
            let site = Scratch::new();
            site.file(REVOKED, mode, b"");
            assert_eq!(is_revoked(Some(&site.trusted()), ALICE, 1000).as_ref(), Err(expected));
        }
        let regular = Err(Distrust::Not("a regular file"));
        let site = Scratch::new();
        site.fifo(REVOKED);
        assert_eq!(is_revoked(Some(&site.trusted()), ALICE, 1000), regular);
        let site = Scratch::new();
        site.directory(REVOKED, 0o755);
        assert_eq!(is_revoked(Some(&site.trusted()), ALICE, 1000), regular);
        let site = Scratch::new();
        site.file("elsewhere", 0o644, b"");
        site.link("elsewhere", REVOKED);
        assert_eq!(
            is_revoked(Some(&site.trusted()), ALICE, 1000),
            Err(Distrust::Not("free of symbolic links"))
        );
        let site = Scratch::new();
        site.file(REVOKED, 0o644, &vec![b'\n'; MAX_SIZE as usize + 1]);
        assert_eq!(
            is_revoked(Some(&site.trusted()), ALICE, 1000),
            Err(Distrust::Not("of a size that we read"))
        );
    }
}
