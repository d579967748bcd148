//! The user's keys: those that the module derived from node keys, and those that come from a passphrase. Touches
//! nothing.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use super::crypto::KEY;
use super::passphrase::PassphraseKey;
use super::slot::Origin;
use crate::secret::{Secret, expose_to};

/// Names a node key, or how a key is derived from a passphrase: 8 bytes of a hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    /// As it is written.
    pub fn to_hexadecimal(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hexadecimal())
    }
}

/// One user's key of one node key or passphrase. Has no `Clone` and is wiped when dropped.
#[derive(Deserialize)]
#[serde(try_from = "Written")]
pub struct UserKey {
    /// Where it comes from.
    pub id: KeyId,
    /// The key.
    pub key: Zeroizing<[u8; KEY]>,
}

impl UserKey {
    /// A second one, for who hands it on and keeps it.
    pub fn duplicate(&self) -> Self {
        Self { id: self.id, key: self.key.clone() }
    }
}

/// For the pipe between an agent and its mint.
impl Serialize for UserKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = Secret::new(HEXLOWER.encode(&*self.key));
        Written { id: self.id.to_hexadecimal(), key }.serialize(serializer)
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({:?}, …)", self.id)
    }
}

/// As it crosses the pipe between an agent and its mint.
#[derive(Serialize, Deserialize)]
struct Written {
    id: String,
    #[serde(serialize_with = "expose_to")]
    key: Secret,
}

impl TryFrom<Written> for UserKey {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let read = || -> Option<Self> {
            let id = HEXLOWER.decode(written.id.as_bytes()).ok()?.try_into().ok()?;
            let bytes = Zeroizing::new(HEXLOWER.decode(written.key.expose().as_bytes()).ok()?);
            let mut key = Zeroizing::new([0; KEY]);
            key.copy_from_slice(bytes.get(..KEY).filter(|_| bytes.len() == KEY)?);
            Some(Self { id: KeyId(id), key })
        };
        read().ok_or("no user key")
    }
}

/// The keys that a login was given, the one that wraps new records first, and those of passphrases that were given
/// since.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Keyring {
    node: Vec<UserKey>,
    passphrase: Vec<PassphraseKey>,
}

/// What wraps a new record.
#[derive(Clone, Copy)]
pub enum SealingKey<'a> {
    /// Under PAM.
    Node(&'a UserKey),
    /// Without.
    Passphrase(&'a PassphraseKey),
}

impl Keyring {
    /// Node keys, in the lifeline message's order.
    pub fn new(node: Vec<UserKey>) -> Self {
        Self { node, passphrase: Vec::new() }
    }

    /// Replaces the keys of passphrases; the last one is that of the last passphrase.
    pub fn unlock(&mut self, passphrase: Vec<PassphraseKey>) {
        self.passphrase = passphrase;
    }

    /// The one that wraps new records: what opens without anything typed comes first.
    pub fn sealing(&self) -> Option<SealingKey<'_>> {
        let node = self.node.first().map(SealingKey::Node);
        node.or(self.passphrase.last().map(SealingKey::Passphrase))
    }

    /// The one with this id.
    pub fn find(&self, id: KeyId) -> Option<&UserKey> {
        let passphrase = self.passphrase.iter().map(|key| &key.key);
        self.node.iter().chain(passphrase).find(|key| key.id == id)
    }

    /// A second one, for who hands it on and keeps it.
    pub fn duplicate(&self) -> Self {
        let node = self.node.iter().map(UserKey::duplicate).collect();
        Self { node, passphrase: self.passphrase.iter().map(PassphraseKey::duplicate).collect() }
    }

    /// Those of node keys.
    pub fn node(&self) -> impl Iterator<Item = &UserKey> {
        self.node.iter()
    }

    /// Those of passphrases.
    pub fn passphrase(&self) -> impl Iterator<Item = &PassphraseKey> {
        self.passphrase.iter()
    }
}

impl SealingKey<'_> {
    /// Names it.
    pub fn key_id(&self) -> KeyId {
        self.user_key().id
    }

    pub(crate) fn user_key(&self) -> &UserKey {
        match self {
            Self::Node(key) => key,
            Self::Passphrase(key) => &key.key,
        }
    }

    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Node(key) => Origin::Node(key.id),
            Self::Passphrase(key) => Origin::Passphrase(key.derivation),
        }
    }
}
