//! A user's key, and what names it. Touches nothing.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use super::crypto::KEY;
use crate::secret::{Secret, expose_to};

/// Names a node key, or how a key is derived from a passphrase: 8 bytes of a hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyId(pub(crate) [u8; 8]);

impl KeyId {
    /// As it is written.
    pub(crate) fn to_hexadecimal(self) -> String {
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
#[serde(try_from = "WrittenKey")]
pub(crate) struct UserKey {
    /// Where it comes from.
    pub(crate) id: KeyId,
    pub(crate) key: Zeroizing<[u8; KEY]>,
}

impl UserKey {
    /// A second one, for who hands it on and keeps it.
    pub(crate) fn duplicate(&self) -> Self {
        Self { id: self.id, key: self.key.clone() }
    }
}

/// For the pipe between an agent and its mint.
impl Serialize for UserKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = Secret::new(HEXLOWER.encode(&*self.key));
        WrittenKey { id: self.id.to_hexadecimal(), key }.serialize(serializer)
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({:?}, …)", self.id)
    }
}

/// As it crosses the pipe between an agent and its mint.
#[derive(Serialize, Deserialize)]
struct WrittenKey {
    id: String,
    #[serde(serialize_with = "expose_to")]
    key: Secret,
}

impl TryFrom<WrittenKey> for UserKey {
    type Error = &'static str;

    fn try_from(written: WrittenKey) -> Result<Self, Self::Error> {
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
