//! The slots of a record that is open: which there are, one more, one less, newer ones. Touches nothing.

use super::keys::{KeyId, Keyring, SealingKey};
use super::record::Opened;
use super::slot::{KeySlot, Origin, Slot};

/// Where the key of a slot comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A node key.
    Node,
    /// A passphrase.
    Passphrase,
    /// A later version knows.
    Other,
}

/// A slot, as its file tells in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotView {
    /// What kind.
    pub kind: Kind,
    /// Its key's id; `None` for what this version does not know.
    pub key: Option<KeyId>,
}

/// Whether a record has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its slots are others now.
    Made,
    /// They are as they were.
    Unneeded,
}

/// Why a slot cannot be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeepSlot {
    /// There is no such slot.
    #[error("it is not sealed so")]
    NotThere,
    /// It is the last that opens the record, as far as can be known here.
    #[error("nothing else opens it")]
    Last,
}

impl Slot {
    pub(super) fn view(&self) -> SlotView {
        match self.known().map(|slot| slot.origin) {
            Some(Origin::Node(key)) => SlotView { kind: Kind::Node, key: Some(key) },
            Some(origin @ Origin::Passphrase(_)) => {
                SlotView { kind: Kind::Passphrase, key: Some(origin.key_id()) }
            }
            None => SlotView { kind: Kind::Other, key: None },
        }
    }
}

impl Opened {
    /// Puts a slot of the newest node key in the place of those of older ones that `keys` has, so that a site can
    /// retire these. One of a key that is not had here stays: another host may need it. So does a record without any.
    pub fn renew_node_slots(&mut self, keys: &Keyring) -> Change {
        let newest = keys.node().next();
        let Some(newest) = newest.filter(|newest| self.older_node_slots(keys, newest.id).next().is_some())
        else {
            return Change::Unneeded;
        };
        self.put_slot(keys, SealingKey::Node(newest))
    }

    fn older_node_slots<'k>(&'k self, keys: &'k Keyring, newest: KeyId) -> impl Iterator<Item = KeyId> + 'k {
        let node = self.slots().filter(|slot| slot.kind == Kind::Node).filter_map(|slot| slot.key);
        node.filter(move |id| *id != newest && keys.node().any(|key| key.id == *id))
    }

    /// Adds a slot of `key`. It replaces what it makes superfluous: slots of older node keys that `keys` has, or those
    /// of another passphrase.
    pub fn put_slot(&mut self, keys: &Keyring, key: SealingKey<'_>) -> Change {
        let (kind, id) = match key {
            SealingKey::Node(key) => (Kind::Node, key.id),
            SealingKey::Passphrase(key) => (Kind::Passphrase, key.key.id),
        };
        let superfluous = |slot: SlotView| {
            slot.kind == kind
                && slot.key != Some(id)
                && (kind == Kind::Passphrase || keys.node().any(|had| Some(had.id) == slot.key))
        };
        let is_there = self.slots().any(|slot| slot.kind == kind && slot.key == Some(id));
        if is_there && !self.slots().any(superfluous) {
            return Change::Unneeded;
        }
        let Some(slot) = self.wrap(key).filter(|_| !is_there) else {
            return if is_there { self.drop_slots(superfluous) } else { Change::Unneeded };
        };
        self.drop_slots(superfluous);
        self.add_slot(slot)
    }

    /// Takes the slots of this kind away, of node keys only those that `keys` has; not if nothing that opens the record
    /// would be left, be it by a key that is at hand or by a passphrase.
    ///
    /// # Errors
    /// [`KeepSlot`].
    pub fn remove_slots(&mut self, keys: &Keyring, kind: Kind) -> Result<(), KeepSlot> {
        let is_meant = |slot: SlotView| {
            slot.kind == kind && (kind == Kind::Passphrase || keys.node().any(|had| Some(had.id) == slot.key))
        };
        if !self.slots().any(is_meant) {
            return Err(KeepSlot::NotThere);
        }
        let opens = |slot: SlotView| {
            slot.kind == Kind::Passphrase || slot.key.is_some_and(|id| keys.find(id).is_some())
        };
        if !self.slots().any(|slot| !is_meant(slot) && opens(slot)) {
            return Err(KeepSlot::Last);
        }
        self.drop_slots(is_meant);
        Ok(())
    }

    fn wrap(&self, key: SealingKey<'_>) -> Option<KeySlot> {
        KeySlot::wrap(self.data_key(), self.owner(), key)
    }
}

#[cfg(test)]
mod tests;
