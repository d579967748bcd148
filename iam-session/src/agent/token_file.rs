//! The bearer token file. Touches that one file in the runtime directory.
//!
//! Only the holder of the mint lock writes it, so that the loser of a race cannot put an older token back.

use crate::directory::{Directory, DirectoryError, Durability};
use crate::secret::Secret;

/// xrootd's ztn refuses a token file of more bytes than this, and with it the authentication.
pub(crate) const MAX_TOKEN_FILE: usize = 4096;

/// Puts `token` into the file: one line, 0600, whole at every moment; never empty, for a reader would go on to
/// /tmp/bt_u<uid>, which anybody can plant (WLCG bearer token discovery).
///
/// # Errors
/// [`DirectoryError`]; `TooLarge` for a token that its readers would refuse.
pub(crate) fn write(top: &Directory, name: &str, token: &Secret) -> Result<(), DirectoryError> {
    let line = zeroize::Zeroizing::new(format!("{}\n", token.expose()));
    if line.len() > MAX_TOKEN_FILE {
        return Err(DirectoryError::TooLarge { path: top.path().join(name) });
    }
    top.replace(name, line.as_bytes(), Durability::Volatile)
}

/// Whether the file holds `token`.
pub(crate) fn holds(top: &Directory, name: &str, token: &Secret) -> bool {
    let there = top.read(name, MAX_TOKEN_FILE).ok().flatten().map(zeroize::Zeroizing::new);
    there.is_some_and(|there| there.trim_ascii() == token.expose().as_bytes())
}
