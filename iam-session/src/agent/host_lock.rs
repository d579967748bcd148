//! The user's lock of this host as agents see it without the store: a file in their directory that mirrors the marker.
//! Touches that one file; no secret is in it.
//!
//! A mint that holds `mint.lock` writes and removes it, and inotify tells every agent. Whoever removes it otherwise opens
//! nothing: the mints ask the marker itself.

use serde::{Deserialize, Serialize};

use crate::directory::{Directory, DirectoryError, Durability};
use crate::store::Marker;

const NAME: &str = "locked";
/// An id, and those of a few dozen keys.
const MAX_FILE: usize = 4096;

/// Which lock stands, and which keys it gives back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostLock {
    /// The marker's id.
    pub(super) id: String,
    /// The ids, in hexadecimal, of the keys in it.
    pub(super) keys: Vec<String>,
}

impl HostLock {
    /// The lock that stands, if one does.
    pub(super) fn read(directory: &Directory) -> Option<Self> {
        serde_json::from_slice(&directory.read(NAME, MAX_FILE).ok()??).ok()
    }

    /// Makes the file say what the marker does.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub(super) fn mirror(directory: &Directory, marker: Option<&Marker>) -> Result<(), DirectoryError> {
        let there = Self::read(directory);
        match marker.map(Self::of) {
            lock if lock == there => Ok(()),
            Some(lock) => {
                let text = serde_json::to_vec(&lock).unwrap_or_default();
                directory.replace(NAME, &text, Durability::Volatile)
            }
            None => directory.remove(NAME),
        }
    }

    fn of(marker: &Marker) -> Self {
        Self { id: marker.id(), keys: marker.keys().map(|key| key.to_hexadecimal()).collect() }
    }
}
