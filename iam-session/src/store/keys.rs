//! The user's keys, as the module derived them from the node's. Touches nothing.

use std::fmt;

use zeroize::Zeroizing;

use super::crypto::KEY;

/// Names a node key: 8 bytes of a hash of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// One user's key of one node key. Has no `Clone` and is wiped when dropped.
pub struct UserKey {
    /// Which node key it comes from.
    pub id: KeyId,
    /// The key.
    pub key: Zeroizing<[u8; KEY]>,
}

/// The keys that a login was given, the one that wraps new records first.
#[derive(Default)]
pub struct Keyring(Vec<UserKey>);

impl Keyring {
    /// In the lifeline message's order.
    pub fn new(keys: Vec<UserKey>) -> Self {
        Self(keys)
    }

    /// The one that wraps new records.
    pub fn sealing(&self) -> Option<&UserKey> {
        self.0.first()
    }

    /// The one with this id.
    pub fn find(&self, id: KeyId) -> Option<&UserKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &UserKey> {
        self.0.iter()
    }
}
