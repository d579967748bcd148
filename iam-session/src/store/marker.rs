//! The marker: a user's lock of one host, with the keys that the lock has taken from the agents. Touches nothing but
//! the host's name.
//!
//! PROTOCOL.md, section 5, "Lock". While it lies in the store no mint of this host opens a record; the passphrase it was
//! made with gives the keys back.

use std::path::Path;

use data_encoding::HEXLOWER;
use nix::unistd::gethostname;
use zeroize::Zeroizing;

use super::crypto::{self, KEY, NONCE, SecretKey, TAG};
use super::error::StoreError;
use super::keys::{KeyId, Keyring, UserKey};
use super::passphrase::{Derivation, PassphraseKey};
use crate::bytes::Reader;

const MAGIC: &[u8; 8] = b"IAMLOCK\0";
const VERSION: u16 = 1;
/// XChaCha20-Poly1305 with HKDF-SHA256, the key by Argon2id.
const SUITE: u16 = 1;
const LABEL: &[u8] = b"iam-session/v1/lock";
const LABEL_COMMITMENT: &[u8] = b"iam-session/v1/lock-commitment";
const NODE: u8 = 1;
const PASSPHRASE: u8 = 2;
/// Those of a lifeline message, and as many of passphrases, from agents of different times.
const MAX_KEYS: usize = 32;
/// A file name has 255 bytes at most.
const MAX_HOST: usize = 200;

/// A marker, taken apart and not opened.
#[derive(Debug)]
pub struct Marker {
    head: Head,
    head_bytes: Vec<u8>,
    commitment: [u8; KEY],
    nonce: [u8; NONCE],
    ciphertext: Vec<u8>,
}

/// What stands in clear, and is bound to the rest.
#[derive(Debug)]
struct Head {
    id: [u8; 16],
    uid: u32,
    derivation: Derivation,
    keys: Vec<(u8, KeyId)>,
}

impl Marker {
    /// A new lock of `uid`'s, over `keys`, that `key` opens; `None` for a kernel without randomness or more keys than
    /// an agent can have.
    pub fn create(uid: u32, keys: &Keyring, key: &PassphraseKey) -> Option<Self> {
        Self::seal(crypto::random()?, uid, keys, key, crypto::random()?)
    }

    /// The same lock, over more keys.
    pub fn extended(&self, keys: &Keyring, key: &PassphraseKey) -> Option<Self> {
        Self::seal(self.head.id, self.head.uid, keys, key, crypto::random()?)
    }

    fn seal(id: [u8; 16], uid: u32, keys: &Keyring, key: &PassphraseKey, nonce: [u8; NONCE]) -> Option<Self> {
        let node = keys.node().map(|key| (NODE, key.id));
        let head = Head {
            id,
            uid,
            derivation: key.derivation,
            keys: node.chain(keys.passphrase().map(|key| (PASSPHRASE, key.key.id))).collect(),
        };
        let head_bytes = head.to_bytes()?;
        let ciphertext =
            crypto::seal(&head.key(LABEL, key), &nonce, &text_of(keys, head.keys.len()), &head_bytes)?;
        let commitment = *head.key(LABEL_COMMITMENT, key);
        Some(Self { head, head_bytes, commitment, nonce, ciphertext })
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.ciphertext.len()).unwrap_or(u32::MAX).to_be_bytes();
        [&self.head_bytes[..], &self.commitment, &self.nonce, &length, &self.ciphertext].concat()
    }

    /// Takes a file apart. `path` is only named in errors.
    ///
    /// # Errors
    /// [`StoreError`]: damaged, of a later version, of another user. Whatever it is, it is no open store.
    pub fn parse(file: &[u8], path: &Path, uid: u32) -> Result<Self, StoreError> {
        let damaged = |what| StoreError::DamagedLock { path: path.to_owned(), what };
        let mut reader = Reader::new(file);
        if reader.array() != Some(*MAGIC) {
            return Err(damaged("it does not begin as a lock does"));
        }
        match (reader.u16(), reader.u16()) {
            (Some(VERSION), Some(SUITE)) => {}
            (Some(_), Some(_)) => return Err(StoreError::UnknownVersion { path: path.to_owned() }),
            _ => return Err(damaged("it is cut short")),
        }
        let head = Head::parse(&mut reader).ok_or_else(|| damaged("its header"))?;
        let head_bytes = file.get(..file.len() - reader.left()).unwrap_or_default().to_owned();
        let mut body = || {
            let (commitment, nonce) = (reader.array()?, reader.array()?);
            let length = usize::try_from(reader.u32()?).ok()?;
            let ciphertext = reader.take(length)?.to_owned();
            (reader.left() == 0).then_some((commitment, nonce, ciphertext))
        };
        let (commitment, nonce, ciphertext) = body().ok_or_else(|| damaged("it is cut short or too long"))?;
        if head.uid != uid {
            return Err(StoreError::ForeignUser { path: path.to_owned(), uid: head.uid });
        }
        Ok(Self { head, head_bytes, commitment, nonce, ciphertext })
    }

    /// The lock's id, in hexadecimal.
    pub fn id(&self) -> String {
        HEXLOWER.encode(&self.head.id)
    }

    /// How its key is derived.
    pub fn derivation(&self) -> Derivation {
        self.head.derivation
    }

    /// The keys that it gives back.
    pub fn keys(&self) -> impl Iterator<Item = KeyId> {
        self.head.keys.iter().map(|(_, id)| *id)
    }

    /// Whether all of `keys` would come back.
    pub fn covers(&self, keys: &Keyring) -> bool {
        keys.ids().all(|wanted| self.keys().any(|id| id == wanted))
    }

    /// The keys, if `key` is the one.
    pub fn open(&self, key: &PassphraseKey) -> Option<Keyring> {
        if *self.head.key(LABEL_COMMITMENT, key) != self.commitment {
            return None;
        }
        let sealing = self.head.key(LABEL, key);
        let text = crypto::open(&sealing, &self.nonce, &self.ciphertext, &self.head_bytes)?;
        self.head.read_keys(&text)
    }
}

impl Head {
    fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(SUITE.to_be_bytes());
        bytes.extend(self.id);
        bytes.extend(self.uid.to_be_bytes());
        bytes.extend(self.derivation.to_bytes());
        bytes.push(u8::try_from(self.keys.len()).ok().filter(|_| self.keys.len() <= MAX_KEYS)?);
        for (kind, id) in &self.keys {
            bytes.push(*kind);
            bytes.extend(id.0);
        }
        Some(bytes)
    }

    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let (id, uid, derivation) = (reader.array()?, reader.u32()?, Derivation::parse(reader)?);
        let count = usize::from(reader.u8()?);
        if count > MAX_KEYS {
            return None;
        }
        let key = |reader: &mut Reader<'_>| {
            let kind = reader.u8().filter(|kind| [NODE, PASSPHRASE].contains(kind))?;
            Some((kind, KeyId(reader.array()?)))
        };
        let keys = (0..count).map(|_| key(reader)).collect::<Option<Vec<_>>>()?;
        Some(Self { id, uid, derivation, keys })
    }

    fn key(&self, label: &[u8], key: &PassphraseKey) -> SecretKey {
        crypto::derive(&key.key.key, Some(&self.id), &[label])
    }

    fn read_keys(&self, text: &[u8]) -> Option<Keyring> {
        let mut reader = Reader::new(text);
        let (mut node, mut passphrase) = (Vec::new(), Vec::new());
        for (kind, id) in &self.keys {
            if *kind == NODE {
                node.push(UserKey { id: *id, key: Zeroizing::new(reader.array()?) });
                continue;
            }
            let derivation =
                Derivation::parse(&mut reader).filter(|derivation| derivation.key_id() == *id)?;
            let key = UserKey { id: *id, key: Zeroizing::new(reader.array()?) };
            passphrase.push(PassphraseKey { derivation, key });
        }
        let mut keys = Keyring::new(node);
        keys.unlock(passphrase);
        (reader.left() == 0).then_some(keys)
    }
}

/// The plaintext: what of each key its id does not say, in the header's order.
fn text_of(keys: &Keyring, count: usize) -> Zeroizing<Vec<u8>> {
    // Allocated whole, so that growing leaves no copy behind: a key, and how it was derived.
    let mut text = Zeroizing::new(Vec::with_capacity(count * (2 * KEY + TAG)));
    keys.node().for_each(|key| text.extend(key.key.iter()));
    for key in keys.passphrase() {
        text.extend(key.derivation.to_bytes());
        text.extend(key.key.key.iter());
    }
    text
}

/// What this host is called in the store: its name, as far as a file name goes.
pub fn this_host() -> String {
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
