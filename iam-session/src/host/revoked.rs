//! The list of revoked users, /etc/iam-session/revoked, as every program reads it. Touches that file and its
//! directory.
//!
//! The module reads the same lines in the same way (pam_iam/src/revoked.rs). The two share no code:
//! tests/lists/revoked.lines keeps them in step.

mod owner;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::stat::{lstat, stat};

use crate::directory::{Directory, FileVersion};
use crate::paths::SITE_CONFIG;

/// The list.
pub(crate) const REVOKED: &str = "/etc/iam-session/revoked";
/// Its name in the site's directory.
const NAME: &str = "revoked";
/// 50,000 users.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// An editor, or a copy from another host, is done with a line after this long.
const SETTLED: Duration = Duration::from_secs(5);

/// A user by all that a line may stand for.
#[derive(Clone, Debug)]
pub(crate) struct ListedLine<'a> {
    /// Names that mean this user.
    pub(crate) names: Vec<&'a str>,
    pub(crate) uid: Option<u32>,
}

/// How a text names a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mention {
    /// Not at all.
    None,
    /// Only by its last line, which has no end yet: 'al' may become 'alice'.
    Unfinished,
    /// By a whole line.
    Whole,
}

/// How `text` names `user`.
pub(crate) fn mention(text: &[u8], user: &ListedLine<'_>) -> Mention {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (whole, last) = text.split_at(end);
    match (lines(whole).any(|line| user.is_named_by(line)), user.is_named_by(last)) {
        (true, _) => Mention::Whole,
        (false, true) => Mention::Unfinished,
        (false, false) => Mention::None,
    }
}

/// Some editors begin a file with it.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a text, without their ends.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// What is in front of a comment.
pub(crate) fn meaning(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii()
}

/// The uid that a line stands for, if it is a number.
pub(crate) fn number(meaning: &[u8]) -> Option<u32> {
    meaning.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(meaning).ok()?.parse().ok())?
}

impl ListedLine<'_> {
    /// Whether a line means this user.
    pub(crate) fn is_named_by(&self, line: &[u8]) -> bool {
        self.is_named_in(line) || self.is_numbered_in(line)
    }

    /// Whether it does by a name. With and without what may be a comment: a mistake must not let anybody through.
    pub(crate) fn is_named_in(&self, line: &[u8]) -> bool {
        readings(line).any(|reading| self.names.iter().any(|name| name.as_bytes() == reading))
    }

    /// Whether it does by the uid.
    pub(crate) fn is_numbered_in(&self, line: &[u8]) -> bool {
        self.uid.is_some() && readings(line).any(|reading| number(reading) == self.uid)
    }
}

fn readings(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let readings = [line.trim_ascii(), meaning(line)];
    readings.into_iter().filter(|reading| !reading.is_empty() && !reading.starts_with(b"#"))
}

/// The list as it is now; `None` where there is none, which revokes nobody.
///
/// # Errors
/// Why it cannot be trusted, in a sentence: it must be a regular file of at most 1 MiB, no link, and root's alone to
/// change, in a directory that is.
pub(crate) fn read() -> Result<Option<Vec<u8>>, String> {
    read_in(Path::new(SITE_CONFIG), owner::root())
}

fn read_in(directory: &Path, owner: u32) -> Result<Option<Vec<u8>>, String> {
    let list = directory.join(NAME);
    let distrusted = |why: &dyn std::fmt::Display| format!("{} cannot be trusted: {why}", list.display());
    if fs::symlink_metadata(&list).is_ok_and(|list| list.is_symlink()) {
        return Err(distrusted(&"it is a symbolic link"));
    }
    // A link to the directory is root's doing; what it leads to is checked.
    let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let directory = Directory::open(&directory, owner).map_err(|error| distrusted(&error))?;
    let Some(directory) = directory else { return Ok(None) };
    directory.read(NAME, MAX_SIZE).map_err(|error| distrusted(&error))
}

/// What the list says of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Nothing.
    Free,
    /// The user is to have no token.
    Revoked,
    /// Nobody can say: why, in a sentence.
    Unknown(String),
}

/// The list as one process looks at it again and again: it is read only where it has changed.
#[derive(Debug)]
pub(crate) struct RevokedList {
    directory: PathBuf,
    owner: u32,
    user: String,
    uid: u32,
    seen: Option<SeenVersion>,
}

#[derive(Debug)]
struct SeenVersion {
    state: ListVersion,
    /// When it was first seen so, on CLOCK_BOOTTIME.
    since: Duration,
    /// When it was read last: of two changes within 10 ms the kernel may give both one time.
    read: Duration,
    ruling: Ruling,
    is_unfinished: bool,
}

/// What tells one state of the list from the next: of the directory and of the file, if they are there.
type ListVersion = [Option<FileVersion>; 2];

impl RevokedList {
    /// For a user of this name and uid.
    pub(crate) fn new(user: &str, uid: u32) -> Self {
        Self::of(SITE_CONFIG.into(), owner::root(), user, uid)
    }

    fn of(directory: PathBuf, owner: u32, user: &str, uid: u32) -> Self {
        Self { directory, owner, user: user.to_owned(), uid, seen: None }
    }

    /// Looks at `now`, on CLOCK_BOOTTIME.
    pub(crate) fn look(&mut self, now: Duration) -> Ruling {
        let state = self.state();
        let before = self.seen.take().filter(|seen| seen.state == state);
        let seen = match before {
            // Where there is no list there is nothing that a second change could have made of it. Why one could not be read
            // may have passed, and show in no state: a host that was out of descriptors, for one.
            Some(seen)
                if !matches!(seen.ruling, Ruling::Unknown(_))
                    && (seen.read >= seen.since + SETTLED || seen.state[1].is_none()) =>
            {
                seen
            }
            before => self.read_at(now, state, before.map_or(now, |seen| seen.since)),
        };
        self.seen.insert(seen).ruling.clone()
    }

    /// When to look again though nothing happens.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.seen.as_ref().filter(|seen| seen.is_unfinished).map(|seen| seen.since + SETTLED)
    }

    fn read_at(&self, now: Duration, state: ListVersion, since: Duration) -> SeenVersion {
        let user = ListedLine { names: vec![&self.user], uid: Some(self.uid) };
        let is_settled = now >= since + SETTLED;
        let (ruling, is_unfinished) = match read_in(&self.directory, self.owner) {
            Err(why) => (Ruling::Unknown(why), false),
            Ok(text) => match mention(&text.unwrap_or_default(), &user) {
                Mention::None => (Ruling::Free, false),
                Mention::Unfinished if !is_settled => (Ruling::Free, true),
                Mention::Unfinished | Mention::Whole => (Ruling::Revoked, false),
            },
        };
        SeenVersion { state, since, read: now, ruling, is_unfinished }
    }

    fn state(&self) -> ListVersion {
        let list = lstat(&self.directory.join(NAME));
        [stat(&self.directory), list].map(|its| its.ok().as_ref().map(FileVersion::of))
    }
}

#[cfg(test)]
mod tests;
