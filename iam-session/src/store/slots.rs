//! The slots of an open record: lists them, and replaces them by newer ones. Touches nothing.

use super::keyring::{Keyring, SealingKey};
use super::record::Opened;
use super::slot::{KeyOrigin, KeySlot, SlotView};
use crate::protocol::SlotKind;

/// Whether a record has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Its slots are others now.
    Made,
    /// They are as they were.
    Unneeded,
}

impl Opened {
    /// Whether nothing but node keys opens it.
    pub(crate) fn has_node_slots_alone(&self) -> bool {
        self.slots().all(|slot| slot.kind == SlotKind::Node)
    }

    /// Whether one of these node keys opens it. What a slot says of its key in clear anybody can have written: it must
    /// give this very data key.
    pub(crate) fn is_opened_by_node_key(&self, keys: &Keyring) -> bool {
        self.key_slots().any(|slot| {
            let key = keys.node().find(|key| slot.origin == KeyOrigin::Node(key.id));
            let data_key = key.and_then(|key| slot.unwrap(self.owner(), key));
            data_key.is_some_and(|data_key| data_key == *self.data_key())
        })
    }

    /// Puts a slot of the newest node key in the place of those of older ones that `keys` has, so that a site can
    /// retire these. One of a key that is not had here stays: another host may need it. A record that no node key of
    /// `keys` opens stays as it is: its data key may be known to whoever knows its passphrase.
    pub(crate) fn renew_node_slots(&mut self, keys: &Keyring) -> Change {
        let Some(newest) = keys.node().next() else { return Change::Unneeded };
        let is_had =
            |slot: SlotView| slot.kind == SlotKind::Node && keys.node().any(|key| slot.key == Some(key.id));
        let is_old = |slot: SlotView| is_had(slot) && slot.key != Some(newest.id);
        if !self.slots().any(is_old) || !self.is_opened_by_node_key(keys) {
            return Change::Unneeded;
        }
        let slot = KeySlot::wrap(self.data_key(), self.owner(), SealingKey::Node(newest));
        let Some(slot) = slot else { return Change::Unneeded };
        self.replace_slots(is_had, slot);
        Change::Made
    }
}

#[cfg(test)]
mod tests;
