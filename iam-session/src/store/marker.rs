//! The marker: a user's lock of one host. It holds no key. Reads the host's name, and touches nothing else.
//!
//! PROTOCOL.md, section 5, "Lock". While the marker is in the store, no mint of this host opens a record. It can
//! verify the passphrase that it was made with, and that passphrase removes it.

use std::path::Path;

use data_encoding::HEXLOWER;
use nix::unistd::gethostname;

use super::crypto::{self, KEY};
use super::error::StoreError;
use super::passphrase::{Derivation, PassphraseKey};
use crate::bytes::ByteReader;

const MAGIC: &[u8; 8] = b"IAMLOCK\0";
const VERSION: u16 = 2;
/// Had keys of the user's sealed in it, after the same verifier. They are skipped.
const VERSION_WITH_KEYS: u16 = 1;
/// HKDF-SHA256, the passphrase by Argon2id.
const SUITE: u16 = 1;
const LABEL: &[u8] = b"iam-session/v1/lock-commitment";
/// Of a key's name in version 1: its type and its id.
const KEY_NAME: usize = 9;
/// A file name has 255 bytes at most.
const MAX_HOST: usize = 200;

/// A lock, as its file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    id: [u8; 16],
    uid: u32,
    derivation: Derivation,
    verifier: [u8; KEY],
}

impl Marker {
    /// A new lock of `uid`'s that `key` opens; `None` for a kernel without randomness.
    pub(crate) fn create(uid: u32, key: &PassphraseKey) -> Option<Self> {
        let id = crypto::random()?;
        Some(Self { id, uid, derivation: key.derivation, verifier: verifier(&id, key) })
    }

    /// The file, whatever version it was read from.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let versions = [VERSION.to_be_bytes(), SUITE.to_be_bytes()].concat();
        let (uid, derivation) = (self.uid.to_be_bytes(), self.derivation.to_bytes());
        [MAGIC, &versions[..], &self.id, &uid, &derivation, &self.verifier].concat()
    }

    /// Takes a file apart. `path` is only named in errors.
    ///
    /// # Errors
    /// [`StoreError`]: damaged, of a later version, of another user. Whatever it is, it is no open store.
    pub(crate) fn parse(file: &[u8], path: &Path, uid: u32) -> Result<Self, StoreError> {
        let damaged = |what| StoreError::DamagedLock { path: path.to_owned(), what };
        let mut reader = ByteReader::new(file);
        if reader.array() != Some(*MAGIC) {
            return Err(damaged("it does not begin as a lock does"));
        }
        let version = match (reader.u16(), reader.u16()) {
            (Some(version @ (VERSION | VERSION_WITH_KEYS)), Some(SUITE)) => version,
            (Some(_), Some(_)) => return Err(StoreError::UnknownVersion { path: path.to_owned() }),
            _ => return Err(damaged("it is cut short")),
        };
        let marker =
            Self::fields(&mut reader, version).ok_or_else(|| damaged("it is cut short or too long"))?;
        if marker.uid != uid {
            return Err(StoreError::ForeignUser { path: path.to_owned(), uid: marker.uid });
        }
        Ok(marker)
    }

    fn fields(reader: &mut ByteReader<'_>, version: u16) -> Option<Self> {
        let (id, uid, derivation) = (reader.array()?, reader.u32()?, Derivation::parse(reader)?);
        if version == VERSION_WITH_KEYS {
            let count = usize::from(reader.u8()?);
            reader.take(KEY_NAME * count)?;
        }
        let marker = Self { id, uid, derivation, verifier: reader.array()? };
        (version == VERSION_WITH_KEYS || reader.left() == 0).then_some(marker)
    }

    /// The lock's id, in hexadecimal.
    pub(crate) fn id(&self) -> String {
        HEXLOWER.encode(&self.id)
    }

    /// How a passphrase becomes what is verified.
    pub(crate) fn derivation(&self) -> Derivation {
        self.derivation
    }

    /// Whether `key` is the one that it was made with.
    pub(crate) fn is_opened_by(&self, key: &PassphraseKey) -> bool {
        // Not a secret: it is stored in clear, so comparing it in constant time would protect nothing.
        verifier(&self.id, key) == self.verifier
    }
}

fn verifier(id: &[u8; 16], key: &PassphraseKey) -> [u8; KEY] {
    *crypto::derive(&key.key.key, Some(id), &[LABEL])
}

/// What this host is called in the store: its name, as far as a file name goes.
pub(crate) fn this_host() -> String {
    let name = gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    file_name(&name)
}

fn file_name(host: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = host.chars().take(MAX_HOST).map(legal).collect();
    match name.trim_start_matches('.') {
        "" => "host".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(test)]
mod tests;
