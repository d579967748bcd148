//! Who gets no agent: lines of /etc/iam-session/revoked, as the module reads them (pam_iam(8)). Touches that file.

use std::path::Path;

use super::file::{self, Look};
use crate::protocol::Failure;

pub(crate) const REVOKED: &str = "/etc/iam-session/revoked";
/// The module reads no more, and serves nobody beyond it.
const MAX_SIZE: u64 = 1 << 20;

/// A user by all that a line may stand for.
#[derive(Clone, Debug)]
pub(crate) struct Listed<'a> {
    /// Names that mean this user.
    pub(crate) names: Vec<&'a str>,
    pub(crate) uid: Option<u32>,
}

/// Adds a user; whether that changed anything.
pub(super) fn add(user: &Listed<'_>) -> Result<bool, Failure> {
    change(|text| added(text, user))
}

/// Removes a user; whether that changed anything.
pub(super) fn remove(user: &Listed<'_>) -> Result<bool, Failure> {
    change(|text| removed(text, user))
}

/// How many users are listed.
pub(super) fn count() -> Result<usize, Failure> {
    let text = file::read(Path::new(REVOKED), MAX_SIZE)?.map(|(text, _)| text).unwrap_or_default();
    Ok(lines(&text).filter(|line| !meaning(line).is_empty()).count())
}

/// Whether the module finds a user in a list.
pub(crate) fn lists(text: &[u8], user: &Listed<'_>) -> bool {
    lines(text).any(|line| user.is(line))
}

fn change(edit: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Result<bool, Failure> {
    let path = Path::new(REVOKED);
    // Of two who change it at once neither may put back what the other has read.
    let _held = file::lock(path)?;
    let (text, look) = file::read(path, MAX_SIZE)?.unwrap_or_else(|| (Vec::new(), Look::PUBLIC));
    match edit(&text) {
        None => Ok(false),
        Some(text) => file::replace(path, &text, look).map(|()| true),
    }
}

/// The text with one more line at its end, or nothing where there is one already.
fn added(text: &[u8], user: &Listed<'_>) -> Option<Vec<u8>> {
    if lists(text, user) {
        return None;
    }
    let mut text = text.to_vec();
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(user.line().as_bytes());
    text.push(b'\n');
    Some(text)
}

/// The text without the lines that stand for the user; comments of their own stay.
fn removed(text: &[u8], user: &Listed<'_>) -> Option<Vec<u8>> {
    let kept: Vec<&[u8]> = lines(text).filter(|line| !user.is(line)).collect();
    let kept = kept.join(&b'\n');
    (kept != text).then_some(kept)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// What is in front of a comment.
fn meaning(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii()
}

impl Listed<'_> {
    fn is(&self, line: &[u8]) -> bool {
        // With and without what may be a comment, as the module has it.
        [line.trim_ascii(), meaning(line)].into_iter().filter(|line| !line.is_empty()).any(|line| {
            let text = str::from_utf8(line).unwrap_or_default();
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            self.names.contains(&text) || is_number && self.uid.is_some() && text.parse().ok() == self.uid
        })
    }

    /// A name that reads as one, or else the uid.
    fn line(&self) -> String {
        let plain = |name: &&&str| !name.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control());
        let name = self.names.iter().find(plain).map(|name| (*name).to_owned());
        name.or_else(|| self.uid.map(|uid| uid.to_string())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Listed<'static> {
        Listed { names: vec!["alice"], uid: Some(1000) }
    }

    fn add(text: &str) -> Option<String> {
        added(text.as_bytes(), &alice()).map(|text| String::from_utf8(text).unwrap())
    }

    fn remove(text: &str) -> Option<String> {
        removed(text.as_bytes(), &alice()).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_user_is_added_once_and_the_rest_stays() {
        assert_eq!(add("").as_deref(), Some("alice\n"));
        assert_eq!(add("# gone\nbob # x").as_deref(), Some("# gone\nbob # x\nalice\n"));
        for there in ["alice", "bob\n alice # left in March\n", "1000\n", "01000 #", "\u{feff}alice\n"] {
            assert_eq!(add(there), None, "{there:?}");
        }
        for other in ["#alice\n", "alicex\n", "10001\n"] {
            assert_eq!(add(other), Some(format!("{other}alice\n")), "{other:?}");
        }
    }

    #[test]
    fn a_user_is_removed_by_every_line_that_means_it_and_comments_stay() {
        assert_eq!(remove("# a\nalice # x\nbob\n1000\n#alice\n").as_deref(), Some("# a\nbob\n#alice\n"));
        assert_eq!(remove("bob\n"), None);
        assert_eq!(remove(""), None);
        assert_eq!(remove("alice").as_deref(), Some(""));
        let latin = [b"\xff\n".as_slice(), b"alice\n"].concat();
        assert_eq!(removed(&latin, &alice()), Some(b"\xff\n".to_vec()));
    }

    #[test]
    fn a_name_that_reads_as_a_comment_is_listed_by_its_uid() {
        assert_eq!(Listed { names: vec!["a#b"], uid: Some(1000) }.line(), "1000");
        assert_eq!(Listed { names: vec!["a b"], uid: Some(1000) }.line(), "1000");
        assert_eq!(alice().line(), "alice");
    }
}
