//! The keys that an agent works with: those that the module derived from the node's, and those of passphrases. Touches
//! nothing.

use serde::{Deserialize, Serialize};

use super::keys::{KeyId, UserKey};
use super::passphrase::PassphraseKey;

/// The keys that a login was given, the one that wraps new records first, and those of passphrases that were given
/// since.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Keyring {
    node: Vec<UserKey>,
    passphrase: Vec<PassphraseKey>,
}

/// What wraps a new record.
#[derive(Clone, Copy)]
pub(crate) enum SealingKey<'a> {
    /// Under PAM.
    Node(&'a UserKey),
    /// Without.
    Passphrase(&'a PassphraseKey),
}

impl Keyring {
    /// Node keys, in the lifeline message's order.
    pub(crate) fn new(node: Vec<UserKey>) -> Self {
        Self { node, passphrase: Vec::new() }
    }

    /// Replaces the keys of passphrases; the last one is that of the last passphrase.
    pub(crate) fn unlock(&mut self, passphrase: Vec<PassphraseKey>) {
        self.passphrase = passphrase;
    }

    /// The one that wraps new records: what opens without anything typed comes first.
    pub(crate) fn sealing(&self) -> Option<SealingKey<'_>> {
        let node = self.node.first().map(SealingKey::Node);
        node.or(self.passphrase.last().map(SealingKey::Passphrase))
    }

    pub(crate) fn find(&self, id: KeyId) -> Option<&UserKey> {
        let passphrase = self.passphrase.iter().map(|key| &key.key);
        self.node.iter().chain(passphrase).find(|key| key.id == id)
    }

    /// A second one, for who hands it on and keeps it.
    pub(crate) fn duplicate(&self) -> Self {
        let node = self.node.iter().map(UserKey::duplicate).collect();
        Self { node, passphrase: self.passphrase.iter().map(PassphraseKey::duplicate).collect() }
    }

    /// Those of node keys.
    pub(crate) fn node(&self) -> impl Iterator<Item = &UserKey> {
        self.node.iter()
    }

    /// Those of passphrases.
    pub(crate) fn passphrase(&self) -> impl Iterator<Item = &PassphraseKey> {
        self.passphrase.iter()
    }
}

impl SealingKey<'_> {
    pub(crate) fn user_key(&self) -> &UserKey {
        match self {
            Self::Node(key) => key,
            Self::Passphrase(key) => &key.key,
        }
    }
}
