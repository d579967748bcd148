//! Slots: the ways to a record's data key. Touches nothing.

use super::crypto::{self, KEY, NONCE, SecretKey, TAG};
use super::keyring::SealingKey;
use super::keys::{KeyId, UserKey};
use super::passphrase::Derivation;
use crate::bytes::ByteReader;
use crate::protocol::SlotKind;

pub(crate) const LABEL: &[u8] = b"iam-session/v1/slot\0";
const NODE: u8 = 1;
const PASSPHRASE: u8 = 2;
/// A sealed data key with its tag.
const WRAPPED: usize = KEY + TAG;

/// One way to the data key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Wrapped under a key that comes from a user key.
    Key(KeySlot),
    /// Of a later version: kept as it is.
    Other { kind: u8, body: Vec<u8> },
}

/// Where a user key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyOrigin {
    Node(KeyId),
    Passphrase(Derivation),
}

/// A data key wrapped under a key that comes from a user key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeySlot {
    pub(crate) origin: KeyOrigin,
    salt: [u8; 32],
    nonce: [u8; NONCE],
    wrapped: [u8; WRAPPED],
}

/// A slot, as its file tells in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotView {
    pub(crate) kind: SlotKind,
    /// Its key's id; `None` for what this version does not know.
    pub(crate) key: Option<KeyId>,
}

/// What a slot is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) record_id: &'a [u8; 16],
    pub(crate) uid: u32,
}

impl KeyOrigin {
    fn of(key: SealingKey<'_>) -> Self {
        match key {
            SealingKey::Node(key) => Self::Node(key.id),
            SealingKey::Passphrase(key) => Self::Passphrase(key.derivation),
        }
    }

    pub(crate) fn key_id(self) -> KeyId {
        match self {
            Self::Node(id) => id,
            Self::Passphrase(derivation) => derivation.key_id(),
        }
    }

    fn kind(self) -> u8 {
        match self {
            Self::Node(_) => NODE,
            Self::Passphrase(_) => PASSPHRASE,
        }
    }

    /// The beginning of the slot's body.
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.key_id().0.to_vec();
        if let Self::Passphrase(derivation) = self {
            bytes.extend(derivation.to_bytes());
        }
        bytes
    }

    fn parse(kind: u8, reader: &mut ByteReader<'_>) -> Option<Self> {
        let id = KeyId(reader.array()?);
        if kind == NODE {
            return Some(Self::Node(id));
        }
        // Out of range, or named wrongly: damaged, and nothing that memory should be spent on.
        let derivation = Derivation::parse(reader)?;
        (derivation.key_id() == id).then_some(Self::Passphrase(derivation))
    }
}

impl Slot {
    pub(crate) fn put(&self, bytes: &mut Vec<u8>) -> Option<()> {
        let (kind, body) = match self {
            Self::Key(slot) => (slot.origin.kind(), slot.to_body()),
            Self::Other { kind, body } => (*kind, body.clone()),
        };
        bytes.push(kind);
        bytes.extend(u16::try_from(body.len()).ok()?.to_be_bytes());
        bytes.extend(body);
        Some(())
    }

    pub(crate) fn parse(reader: &mut ByteReader<'_>) -> Option<Self> {
        let kind = reader.u8()?;
        let length = reader.u16()?.into();
        let body = reader.take(length)?;
        match kind {
            NODE | PASSPHRASE => KeySlot::parse(kind, body).map(Self::Key),
            _ => Some(Self::Other { kind, body: body.to_owned() }),
        }
    }

    pub(super) fn view(&self) -> SlotView {
        match self.known().map(|slot| slot.origin) {
            Some(KeyOrigin::Node(key)) => SlotView { kind: SlotKind::Node, key: Some(key) },
            Some(origin @ KeyOrigin::Passphrase(_)) => {
                SlotView { kind: SlotKind::Passphrase, key: Some(origin.key_id()) }
            }
            None => SlotView { kind: SlotKind::Other, key: None },
        }
    }

    /// One that this version can open, if it is given the key.
    pub(crate) fn known(&self) -> Option<&KeySlot> {
        match self {
            Self::Key(slot) => Some(slot),
            Self::Other { .. } => None,
        }
    }
}

impl KeySlot {
    /// Wraps a data key; `None` for a kernel without randomness.
    pub(crate) fn wrap(data_key: &SecretKey, owner: Owner<'_>, key: SealingKey<'_>) -> Option<Self> {
        Self::wrap_with(data_key, owner, key, crypto::random()?, crypto::random()?)
    }

    fn wrap_with(
        data_key: &SecretKey,
        owner: Owner<'_>,
        key: SealingKey<'_>,
        salt: [u8; 32],
        nonce: [u8; NONCE],
    ) -> Option<Self> {
        let origin = KeyOrigin::of(key);
        let kek = crypto::derive(&key.user_key().key, Some(&salt), &[LABEL, owner.record_id]);
        let bound = bound(owner, origin, &salt);
        let wrapped = crypto::seal(&kek, &nonce, data_key.as_slice(), &bound)?.try_into().ok()?;
        Some(Self { origin, salt, nonce, wrapped })
    }

    /// The data key, if `key` is the one.
    pub(crate) fn unwrap(&self, owner: Owner<'_>, key: &UserKey) -> Option<SecretKey> {
        let kek = crypto::derive(&key.key, Some(&self.salt), &[LABEL, owner.record_id]);
        let bound = bound(owner, self.origin, &self.salt);
        let data_key = crypto::open(&kek, &self.nonce, &self.wrapped, &bound)?;
        <[u8; KEY]>::try_from(data_key.as_slice()).ok().map(SecretKey::new)
    }

    fn to_body(&self) -> Vec<u8> {
        [&self.origin.to_bytes()[..], &self.salt, &self.nonce, &self.wrapped].concat()
    }

    fn parse(kind: u8, body: &[u8]) -> Option<Self> {
        let mut reader = ByteReader::new(body);
        let slot = Self {
            origin: KeyOrigin::parse(kind, &mut reader)?,
            salt: reader.array()?,
            nonce: reader.array()?,
            wrapped: reader.array()?,
        };
        (reader.left() == 0).then_some(slot)
    }
}

/// PROTOCOL.md, "slot": the record, the type, and all of the body that is not the wrapping itself.
fn bound(owner: Owner<'_>, origin: KeyOrigin, salt: &[u8; 32]) -> Vec<u8> {
    let uid = owner.uid.to_be_bytes();
    [LABEL, owner.record_id, &uid, &[origin.kind()], &origin.to_bytes(), salt].concat()
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::secret::Secret;
    use crate::store::PassphraseKey;
    use crate::store::passphrase::tests::cheap;
    use crate::vectors;

    fn row<const N: usize>(name: &str) -> [u8; N] {
        vectors::row("passphrase", name).try_into().unwrap()
    }

    #[test]
    fn the_slot_of_the_protocol_opens_and_is_what_is_written() {
        let record_id = row::<16>("record id");
        let owner = Owner { record_id: &record_id, uid: 1000 };
        let body = vectors::row("passphrase", "body of the slot");
        let slot = KeySlot::parse(PASSPHRASE, &body).unwrap();
        let KeyOrigin::Passphrase(derivation) = slot.origin else { panic!("{slot:?}") };
        let passphrase = String::from_utf8(vectors::row("passphrase", "passphrase")).unwrap();
        let key = derivation.derive(&Secret::new(passphrase)).unwrap();
        let data_key = slot.unwrap(owner, &key.key).unwrap();
        assert_eq!(*data_key, row("data key"));
        let sealing = SealingKey::Passphrase(&key);
        let again = KeySlot::wrap_with(&data_key, owner, sealing, row("salt"), row("nonce")).unwrap();
        assert_eq!(again.to_body(), body);
    }

    fn wrapped(key: &PassphraseKey) -> KeySlot {
        let owner = Owner { record_id: &[1; 16], uid: 1000 };
        KeySlot::wrap(&Zeroizing::new([9; KEY]), owner, SealingKey::Passphrase(key)).unwrap()
    }

    #[test]
    fn nothing_of_a_passphrase_slot_can_be_changed() {
        let key = cheap(1).derive(&Secret::new("correct".into())).unwrap();
        let owner = Owner { record_id: &[1; 16], uid: 1000 };
        let body = wrapped(&key).to_body();
        let opens = |body: &[u8], owner| {
            KeySlot::parse(PASSPHRASE, body).and_then(|slot| slot.unwrap(owner, &key.key)).is_some()
        };
        assert!(opens(&body, owner));
        for at in 0..body.len() * 8 {
            let mut flipped = body.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(!opens(&flipped, owner), "bit {at}");
        }
        assert!(!opens(&body, Owner { uid: 1001, ..owner }));
        assert!(!opens(&body, Owner { record_id: &[2; 16], ..owner }));
        assert!(!opens(&body[..body.len() - 1], owner));
        assert!(!opens(&[&body[..], &[0]].concat(), owner));
    }

    #[test]
    fn another_passphrase_opens_nothing() {
        let slot = wrapped(&cheap(1).derive(&Secret::new("correct".into())).unwrap());
        let wrong = cheap(1).derive(&Secret::new("Correct".into())).unwrap();
        assert!(slot.unwrap(Owner { record_id: &[1; 16], uid: 1000 }, &wrong.key).is_none());
    }

    #[test]
    fn a_node_slot_is_no_passphrase_slot() {
        let body = wrapped(&cheap(1).derive(&Secret::new("correct".into())).unwrap()).to_body();
        assert!(KeySlot::parse(NODE, &body).is_none());
    }
}
