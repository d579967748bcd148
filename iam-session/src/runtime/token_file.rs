//! The token files: the session's, and the extra ones of single accounts. Touches those files in the runtime
//! directory, under their lock.
//!
//! Only the holder of the mint lock puts a token into one, so that the loser of a race cannot put an older token back.
//! A holder of the files' lock alone may only remove a file whose token has ended.

use std::fs;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::RuntimeDirectory;
use super::cache::{CacheKey, CachedToken};
use super::file_damage::FileDamage;
use crate::clock::Now;
use crate::config::LARGEST_TOKEN_FILE;
use crate::directory::{Directory, DirectoryError, Durability};
use crate::jwt::{Jwt, NotReadable};
use crate::secret::Secret;

/// Digests of what was put into the session's file last and before that: what has neither is another program's. A file
/// that is kept for a single account has our own name, and nobody else's token is looked for there.
const FILED: &str = "filed";
/// Two of SHA-256 in hexadecimal, and their line ends.
const MAX_FILED: usize = 2 * 65;

/// What becomes of another program's token in the session's file, as htgettoken puts one there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignToken {
    /// It stays while it lives: the user had it put there.
    Leave,
    /// The user has asked for ours.
    Replace,
}

/// What is in a file, and who has written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    /// What we have put there, or nothing where we have put nothing.
    Ours,
    /// Another program's JWT that lives until then, in seconds since the epoch.
    AnotherUntil(u64),
    /// What readers cannot use.
    Damaged(FileDamage),
}

/// Until when the session's file holds another program's token, if it does and that lives.
pub(crate) fn others_until(runtime: &RuntimeDirectory, now: Now) -> Option<u64> {
    match state(runtime, &runtime.places.token_file_name(), now) {
        FileState::AnotherUntil(end) => Some(end),
        FileState::Ours | FileState::Damaged(_) => None,
    }
}

/// What is in the file of this name. Of an extra file nothing is remembered: a JWT there counts as ours.
pub(crate) fn state(runtime: &RuntimeDirectory, name: &str, now: Now) -> FileState {
    let is_of_session = is_of_session(runtime, name);
    let there = match runtime.top.read(name, LARGEST_TOKEN_FILE) {
        Ok(Some(there)) => Zeroizing::new(there),
        Ok(None) if is_of_session && !filed(runtime).is_empty() => {
            return FileState::Damaged(FileDamage::Missing);
        }
        Ok(None) => return FileState::Ours,
        Err(_) => return FileState::Damaged(FileDamage::Unreadable),
    };
    if is_of_session && filed(runtime).lines().any(|line| line == digest(&there)) {
        return FileState::Ours;
    }
    match Jwt::read(&there) {
        Ok(_) | Err(NotReadable::Encrypted) if !is_of_session => FileState::Ours,
        Ok(jwt) => match jwt.expires_at().filter(|end| *end > now.unix) {
            Some(end) => FileState::AnotherUntil(end),
            None => FileState::Damaged(FileDamage::EndedToken),
        },
        Err(_) if !is_of_session && is_opaque_token(&there) => FileState::Ours,
        Err(_) => FileState::Damaged(FileDamage::of(&there)),
    }
}

/// Whether it may be a token that says nothing of itself.
fn is_opaque_token(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    !text.is_empty() && text.iter().all(u8::is_ascii_graphic) && !text.starts_with(b"{")
}

fn is_of_session(runtime: &RuntimeDirectory, name: &str) -> bool {
    name == runtime.places.token_file_name()
}

fn filed(runtime: &RuntimeDirectory) -> String {
    let filed = runtime.agents.read(FILED, MAX_FILED).ok().flatten();
    filed.and_then(|filed| String::from_utf8(filed).ok()).unwrap_or_default()
}

fn digest(text: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(text.trim_ascii()))
}

/// Puts `token` into the file of this name, unless no agent lives any more or the token has ended meanwhile. The
/// file has at most `limit` bytes. The caller holds the mint lock.
///
/// # Errors
/// [`DirectoryError`]; `TooLarge` for a token that would make it larger than `limit`. Then there is no file: its
/// predecessor would end unseen.
pub(crate) fn publish(
    runtime: &RuntimeDirectory,
    name: &str,
    token: &CachedToken,
    limit: usize,
    others: ForeignToken,
    now: Now,
) -> Result<(), DirectoryError> {
    let _lock = runtime.lock_file()?;
    let is_others =
        || matches!(state(runtime, name, now), FileState::AnotherUntil(_)) && others == ForeignToken::Leave;
    if runtime.is_deserted()
        || !token.life().lives_at(now.boot)
        || holds(&runtime.top, name, &token.access_token)
        || is_others()
    {
        return Ok(());
    }
    if is_of_session(runtime, name) {
        // Both, and before the file: whoever is killed in between leaves what we know as ours.
        let last = filed(runtime).lines().next().unwrap_or_default().to_owned();
        let ours = digest(token.access_token.expose().as_bytes());
        let both = format!("{ours}\n{last}\n");
        runtime.agents.replace(FILED, both.as_bytes(), Durability::Volatile)?;
    }
    write(&runtime.top, name, &token.access_token, limit).or_else(|error| {
        take_away(runtime, name)?;
        Err(error)
    })
}

/// Whether there is a file at all, whoever wrote it.
pub(crate) fn is_there(runtime: &RuntimeDirectory, name: &str) -> bool {
    fs::symlink_metadata(runtime.places.directory().join(name)).is_ok()
}

/// Removes the file, unless the cache has a token that belongs there, or another program has put one there that lives.
pub(crate) fn retract(
    runtime: &RuntimeDirectory,
    name: &str,
    belongs_there: Option<&CacheKey>,
    now: Now,
) -> Result<(), DirectoryError> {
    let _lock = runtime.lock_file()?;
    let is_wanted = || belongs_there.is_some_and(|wanted| runtime.cache.find(wanted, now.boot).is_some());
    match state(runtime, name, now) {
        FileState::AnotherUntil(_) => return Ok(()),
        FileState::Ours if is_wanted() => return Ok(()),
        FileState::Ours | FileState::Damaged(_) => {}
    }
    take_away(runtime, name)
}

/// Removes the file, whoever has written it.
pub(crate) fn remove(runtime: &RuntimeDirectory, name: &str) -> Result<(), DirectoryError> {
    let _lock = runtime.lock_file()?;
    take_away(runtime, name)
}

/// Removes the file, and what says that we have put one there: after that it is not missing.
pub(super) fn take_away(runtime: &RuntimeDirectory, name: &str) -> Result<(), DirectoryError> {
    if is_of_session(runtime, name) {
        // The file goes all the same.
        let forgotten = runtime.agents.remove(FILED);
        return runtime.top.remove(name).and(forgotten);
    }
    runtime.top.remove(name)
}

/// Whether the file holds `token`.
pub(crate) fn holds(top: &Directory, name: &str, token: &Secret) -> bool {
    let there = top.read(name, LARGEST_TOKEN_FILE).ok().flatten().map(Zeroizing::new);
    there.is_some_and(|there| there.trim_ascii() == token.expose().as_bytes())
}

/// One line, 0600, whole at every moment; never empty, for a reader would go on to /tmp/bt_u<uid>, which anybody
/// can plant (WLCG bearer token discovery).
fn write(top: &Directory, name: &str, token: &Secret, limit: usize) -> Result<(), DirectoryError> {
    let line = Zeroizing::new(format!("{}\n", token.expose()));
    if line.len() > limit {
        return Err(DirectoryError::TooLarge { path: top.path().join(name) });
    }
    top.replace(name, line.as_bytes(), Durability::Volatile)
}
