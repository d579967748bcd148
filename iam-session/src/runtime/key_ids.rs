//! The ids of this agent's keys: which accounts it can mint for by itself, and which wait for a passphrase. Pure;
//! touches nothing.

use std::time::Duration;

use super::accounts::{AccountBook, AccountEntry};
use crate::protocol::Sealing;
use crate::store::{KeyId, Keyring};

/// The ids of an agent's keys. The keys themselves are the mint's.
#[derive(Debug, Default)]
pub(crate) struct KeyIds {
    node: Vec<KeyId>,
    passphrase: Vec<KeyId>,
    /// On CLOCK_BOOTTIME: when those of passphrases are let go of, if they are.
    pub(crate) until: Option<Duration>,
}

impl KeyIds {
    /// Those of these keys.
    pub(crate) fn of(keys: &Keyring, until: Option<Duration>) -> Self {
        let passphrase = keys.passphrase().map(|key| key.key.id).collect();
        Self { node: keys.node().map(|key| key.id).collect(), passphrase, until }
    }

    /// All of them.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.node.iter().chain(&self.passphrase)
    }

    /// Whether a record is this agent's to open. The accounts file is shared, and another agent may have opened it.
    pub(crate) fn opens(&self, entry: &AccountEntry) -> bool {
        // A book of an earlier version names no keys; then it is for the mint to find out.
        entry.keys.is_empty() || self.ids().any(|id| entry.keys.contains(&id.to_hexadecimal()))
    }

    /// The accounts that wait for a passphrase.
    pub(crate) fn locked(&self, book: &AccountBook) -> Vec<String> {
        let locked = book.entries.iter().filter(|entry| entry.has_passphrase && !self.opens(entry));
        locked.map(|entry| entry.name.clone()).collect()
    }

    /// The accounts that a node key of this agent's opens, and a passphrase, too.
    pub(crate) fn passphrase_too(&self, book: &AccountBook) -> Vec<String> {
        let by_node =
            |entry: &&AccountEntry| self.node.iter().any(|id| entry.keys.contains(&id.to_hexadecimal()));
        let both = book.entries.iter().filter(|entry| entry.has_passphrase).filter(by_node);
        both.map(|entry| entry.name.clone()).collect()
    }

    /// What the next enrolment would be sealed with.
    pub(crate) fn sealing(&self) -> Sealing {
        match (self.node.is_empty(), self.passphrase.is_empty()) {
            (false, _) => Sealing::Node,
            (true, false) => Sealing::Passphrase,
            (true, true) => Sealing::Nothing,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::runtime::accounts::tests::{book, entry};

    pub(crate) fn held(node: &[u8], passphrase: &[u8]) -> KeyIds {
        let ids = |numbers: &[u8]| numbers.iter().map(|number| KeyId([*number; 8])).collect();
        KeyIds { node: ids(node), passphrase: ids(passphrase), until: None }
    }

    #[test]
    fn what_another_agent_has_opened_is_still_locked_to_this_one() {
        let mut open_to_all = entry("a");
        open_to_all.has_passphrase = true;
        let book = book(vec![open_to_all, entry("b")]);
        assert_eq!(held(&[], &[]).locked(&book), ["a"]);
        assert_eq!(held(&[2], &[]).locked(&book), ["a"]);
        assert!(held(&[1], &[]).locked(&book).is_empty() && held(&[], &[1]).locked(&book).is_empty());
    }

    #[test]
    fn what_a_passphrase_opens_besides_a_node_key_is_named() {
        let mut both = entry("a");
        both.has_passphrase = true;
        let book = book(vec![both, entry("b")]);
        assert_eq!(held(&[1], &[]).passphrase_too(&book), ["a"]);
        assert!(held(&[2], &[1]).passphrase_too(&book).is_empty());
    }

    #[test]
    fn a_node_key_seals_before_a_passphrase() {
        assert_eq!(held(&[1], &[2]).sealing(), Sealing::Node);
        assert_eq!(held(&[], &[2]).sealing(), Sealing::Passphrase);
        assert_eq!(held(&[], &[]).sealing(), Sealing::Nothing);
    }
}
