//! The bearer token files: the session's, and those that are kept for single accounts. Touches those files in the
//! runtime directory, under their lock.
//!
//! Only the holder of the mint lock puts a token into one, so that the loser of a race cannot put an older one
//! back; who holds the files' lock alone may only remove one that has ended.

use std::fs;
use std::time::Duration;

use super::cache::{CachedToken, Wanted};
use super::runtime::Runtime;
use crate::directory::{Directory, DirectoryError, Durability};
use crate::secret::Secret;

/// xrootd's ztn refuses a token file of more bytes than this, and with it the authentication.
pub(crate) const MAX_TOKEN_FILE: usize = 4096;

/// Puts `token` into the file of this name, unless no agent lives any more or the token has ended meanwhile. The
/// caller holds the mint lock.
///
/// # Errors
/// [`DirectoryError`]; `TooLarge` for a token that its readers would refuse. Then there is no file: its predecessor
/// would end unseen.
pub(crate) fn publish(
    runtime: &Runtime,
    name: &str,
    token: &CachedToken,
    now: Duration,
) -> Result<(), DirectoryError> {
    let _lock = runtime.lock_file()?;
    if runtime.is_deserted() || !token.life().lives_at(now) || holds(&runtime.top, name, &token.access_token)
    {
        return Ok(());
    }
    write(&runtime.top, name, &token.access_token).or_else(|error| {
        runtime.top.remove(name)?;
        Err(error)
    })
}

/// Whether there is a file at all, whoever wrote it.
pub(crate) fn is_there(runtime: &Runtime, name: &str) -> bool {
    fs::symlink_metadata(runtime.places.directory().join(name)).is_ok()
}

/// Removes the file, unless the cache has a token that belongs there.
///
/// # Errors
/// [`DirectoryError`].
pub(crate) fn retract(
    runtime: &Runtime,
    name: &str,
    belongs_there: Option<&Wanted>,
    now: Duration,
) -> Result<(), DirectoryError> {
    let _lock = runtime.lock_file()?;
    if belongs_there.is_some_and(|wanted| runtime.cache.find(wanted, now).is_some()) {
        return Ok(());
    }
    runtime.top.remove(name)
}

/// Whether the file holds `token`.
pub(crate) fn holds(top: &Directory, name: &str, token: &Secret) -> bool {
    let there = top.read(name, MAX_TOKEN_FILE).ok().flatten().map(zeroize::Zeroizing::new);
    there.is_some_and(|there| there.trim_ascii() == token.expose().as_bytes())
}

/// One line, 0600, whole at every moment; never empty, for a reader would go on to /tmp/bt_u<uid>, which anybody
/// can plant (WLCG bearer token discovery).
fn write(top: &Directory, name: &str, token: &Secret) -> Result<(), DirectoryError> {
    let line = zeroize::Zeroizing::new(format!("{}\n", token.expose()));
    if line.len() > MAX_TOKEN_FILE {
        return Err(DirectoryError::TooLarge { path: top.path().join(name) });
    }
    top.replace(name, line.as_bytes(), Durability::Volatile)
}
