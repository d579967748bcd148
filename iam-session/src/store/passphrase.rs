//! Keys that come from a passphrase: Argon2id (RFC 9106). The parameters are stored beside what the key opens. Touches
//! nothing but memory, and much of that.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::crypto::{self, KEY};
use super::keys::{KeyId, UserKey};
use crate::bytes::ByteReader;
use crate::secret::{Secret, expose_to};

const LABEL_ID: &[u8] = b"iam-session/v1/passphrase-id\0";
/// As long as RFC 9106 §3.1 recommends.
const SALT: usize = 16;
/// In KiB. RFC 9106 §4 recommends 64 MiB and three passes where 2 GiB are too much: on a login node they are.
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// One lane: the mint has one thread.
const LANES: u32 = 1;
/// Who can write into the store could otherwise have every unlock fill the node's memory.
const MAX_MEMORY: u32 = 256 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 4;

/// How a passphrase becomes a key: what a slot records of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Derivation {
    salt: [u8; SALT],
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Derivation {
    /// A new salt, and the parameters of today; `None` for a kernel without randomness.
    pub(crate) fn fresh() -> Option<Self> {
        Some(Self { salt: crypto::random()?, memory: MEMORY, passes: PASSES, lanes: LANES })
    }

    fn new(salt: [u8; SALT], memory: u32, passes: u32, lanes: u32) -> Option<Self> {
        let within = (1..=MAX_LANES).contains(&lanes)
            && (1..=MAX_PASSES).contains(&passes)
            // The lower bound is Argon2's own (RFC 9106 §3.1).
            && (8 * lanes..=MAX_MEMORY).contains(&memory);
        within.then_some(Self { salt, memory, passes, lanes })
    }

    /// Salt and parameters; `None` if one is out of range.
    pub(crate) fn parse(reader: &mut ByteReader<'_>) -> Option<Self> {
        Self::new(reader.array()?, reader.u32()?, reader.u32()?, reader.u32()?)
    }

    /// As a slot holds it.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let [memory, passes, lanes] = [self.memory, self.passes, self.lanes].map(u32::to_be_bytes);
        [&self.salt[..], &memory, &passes, &lanes].concat()
    }

    /// Names the derivation, and says nothing of the passphrase.
    pub(crate) fn key_id(&self) -> KeyId {
        let digest = Sha256::new().chain_update(LABEL_ID).chain_update(self.to_bytes()).finalize();
        let [a, b, c, d, e, f, g, h, ..] = digest.0;
        KeyId([a, b, c, d, e, f, g, h])
    }

    /// The key; takes a tenth of a second and much memory, which is wiped. `None` if there is not so much.
    pub(crate) fn derive(self, passphrase: &Secret) -> Option<PassphraseKey> {
        let params = Params::new(self.memory, self.passes, self.lanes, Some(KEY)).ok()?;
        let mut blocks: Zeroizing<Vec<Block>> = Zeroizing::default();
        blocks.try_reserve_exact(params.block_count()).ok()?;
        blocks.resize(params.block_count(), Block::default());
        let mut key = Zeroizing::new([0; KEY]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                passphrase.expose().as_bytes(),
                &self.salt,
                &mut *key,
                blocks.as_mut_slice(),
            )
            .ok()?;
        Some(PassphraseKey { derivation: self, key: UserKey { id: self.key_id(), key } })
    }
}

impl fmt::Debug for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Derivation({:?})", self.key_id())
    }
}

/// A key with what it was derived by, so that new records can be sealed with it and opened by the same derivation.
#[derive(Deserialize)]
#[serde(try_from = "WrittenPassphraseKey")]
pub(crate) struct PassphraseKey {
    /// How it was derived.
    pub(crate) derivation: Derivation,
    /// What came of it.
    pub(crate) key: UserKey,
}

impl PassphraseKey {
    /// A second one, for who hands it on and keeps it.
    pub(crate) fn duplicate(&self) -> Self {
        Self { derivation: self.derivation, key: self.key.duplicate() }
    }
}

/// For the pipe between an agent and its mint.
impl Serialize for PassphraseKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WrittenPassphraseKey::from(self).serialize(serializer)
    }
}

impl fmt::Debug for PassphraseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassphraseKey({:?}, …)", self.key.id)
    }
}

/// As it crosses the pipe between an agent and its mint.
#[derive(Serialize, Deserialize)]
struct WrittenPassphraseKey {
    salt: String,
    memory: u32,
    passes: u32,
    lanes: u32,
    #[serde(serialize_with = "expose_to")]
    key: Secret,
}

impl From<&PassphraseKey> for WrittenPassphraseKey {
    fn from(from: &PassphraseKey) -> Self {
        let Derivation { salt, memory, passes, lanes } = from.derivation;
        let key = Secret::new(HEXLOWER.encode(&*from.key.key));
        Self { salt: HEXLOWER.encode(&salt), memory, passes, lanes, key }
    }
}

impl TryFrom<WrittenPassphraseKey> for PassphraseKey {
    type Error = &'static str;

    fn try_from(written: WrittenPassphraseKey) -> Result<Self, Self::Error> {
        let read = || -> Option<Self> {
            let salt = HEXLOWER.decode(written.salt.as_bytes()).ok()?.try_into().ok()?;
            let derivation = Derivation::new(salt, written.memory, written.passes, written.lanes)?;
            let mut key = Zeroizing::new([0; KEY]);
            let bytes = Zeroizing::new(HEXLOWER.decode(written.key.expose().as_bytes()).ok()?);
            key.copy_from_slice(bytes.get(..KEY).filter(|_| bytes.len() == KEY)?);
            Some(Self { derivation, key: UserKey { id: derivation.key_id(), key } })
        };
        read().ok_or("no key of a passphrase")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::vectors;

    /// The least that Argon2 takes: what is tested is not how long it takes.
    pub(in crate::store) fn cheap(salt: u8) -> Derivation {
        Derivation::new([salt; SALT], 8, 1, 1).unwrap()
    }

    fn parse(memory: u32, passes: u32, lanes: u32) -> Option<Derivation> {
        let bytes = Derivation { salt: [7; SALT], memory, passes, lanes }.to_bytes();
        Derivation::parse(&mut ByteReader::new(&bytes))
    }

    #[test]
    fn parameters_beyond_reason_are_refused() {
        for (memory, passes, lanes) in [(65_536, 3, 1), (262_144, 10, 4), (8, 1, 1), (32, 1, 4)] {
            assert!(parse(memory, passes, lanes).is_some(), "{memory} {passes} {lanes}");
        }
        for (memory, passes, lanes) in [
            (262_145, 3, 1),
            (u32::MAX, 3, 1),
            (65_536, 11, 1),
            (65_536, u32::MAX, 1),
            (65_536, 3, 5),
            (65_536, 3, u32::MAX),
            (65_536, 0, 1),
            (65_536, 3, 0),
            (7, 1, 1),
            (31, 1, 4),
        ] {
            assert!(parse(memory, passes, lanes).is_none(), "{memory} {passes} {lanes}");
        }
    }

    /// Those of docs/vectors.py, which has them from argon2-cffi: the reference implementation in C.
    #[test]
    fn key_and_id_are_those_of_the_protocol() {
        let row = |name| vectors::row("passphrase", name);
        let parameters = [row("Argon2 salt"), row("memory"), row("passes"), row("lanes")].concat();
        let derivation = Derivation::parse(&mut ByteReader::new(&parameters)).unwrap();
        assert_eq!((derivation.memory, derivation.passes, derivation.lanes), (MEMORY, PASSES, LANES));
        let passphrase = String::from_utf8(row("passphrase")).unwrap();
        let key = derivation.derive(&Secret::new(passphrase)).unwrap();
        assert_eq!((key.key.id.0.to_vec(), key.key.key.to_vec()), (row("key id"), row("user key")));
    }

    #[test]
    fn the_id_names_the_derivation_and_not_the_passphrase() {
        let id = |salt, passphrase: &str| {
            cheap(salt).derive(&Secret::new(passphrase.into())).map(|key| key.key.id)
        };
        assert_eq!(id(1, "one"), id(1, "two"));
        assert_ne!(id(1, "one"), id(2, "one"));
    }

    #[test]
    fn a_key_crosses_the_pipe_and_is_redacted_when_printed() {
        let key = cheap(1).derive(&Secret::new("one".into())).unwrap();
        let line = serde_json::to_string(&key).unwrap();
        let read: PassphraseKey = serde_json::from_str(&line).unwrap();
        assert_eq!((read.derivation, &*read.key.key), (key.derivation, &*key.key.key));
        assert!(!format!("{key:?}").contains(&HEXLOWER.encode(&*key.key.key)));
        let cut = line.replace(&HEXLOWER.encode(&*key.key.key), "00");
        assert!(serde_json::from_str::<PassphraseKey>(&cut).is_err());
    }
}
