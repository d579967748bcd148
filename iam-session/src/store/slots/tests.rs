use std::path::Path;

use zeroize::Zeroizing;

use super::*;
use crate::secret::Secret;
use crate::store::crypto::KEY;
use crate::store::passphrase::tests::cheap;
use crate::store::record::tests::record;
use crate::store::{KeyId, PassphraseKey, UserKey};

const UID: u32 = 1000;

fn node(id: u8) -> UserKey {
    UserKey { id: KeyId([id; 8]), key: Zeroizing::new([id; KEY]) }
}

fn nodes(ids: &[u8]) -> Keyring {
    Keyring::new(ids.iter().copied().map(node).collect())
}

fn typed(salt: u8) -> PassphraseKey {
    cheap(salt).derive(&Secret::new("correct horse".into())).unwrap()
}

fn with_passphrase(mut keys: Keyring, salt: u8) -> Keyring {
    keys.unlock(vec![typed(salt)]);
    keys
}

fn path() -> &'static Path {
    Path::new("/home/alice/.local/state/iam-session/wlcg.cred")
}

/// Sealed under this node key, and opened.
fn opened(id: u8) -> Opened {
    Opened::create(record(), UID, SealingKey::Node(&node(id))).unwrap()
}

fn add(record: &mut Opened, key: SealingKey<'_>) {
    let slot = KeySlot::wrap(record.data_key(), record.owner(), key).unwrap();
    record.replace_slots(|_| false, slot);
}

fn opens(opened: &mut Opened, keys: &Keyring) -> bool {
    Opened::open(&opened.seal(path()).unwrap(), path(), UID, keys).is_ok()
}

fn shown(opened: &Opened) -> Vec<(SlotKind, u8)> {
    opened.slots().map(|slot| (slot.kind, slot.key.unwrap().0[0])).collect()
}

#[test]
fn a_newer_node_key_takes_the_place_of_an_older_one() {
    let mut record = opened(1);
    assert_eq!(record.renew_node_slots(&nodes(&[2, 1])), Change::Made);
    assert_eq!(shown(&record), [(SlotKind::Node, 2)]);
    assert!(opens(&mut record, &nodes(&[2])) && !opens(&mut record, &nodes(&[1])));
    assert_eq!(record.renew_node_slots(&nodes(&[2, 1])), Change::Unneeded);
}

#[test]
fn a_slot_of_a_key_that_is_not_here_stays() {
    let mut record = opened(1);
    // Another host's key.
    add(&mut record, SealingKey::Node(&node(3)));
    assert_eq!(record.renew_node_slots(&nodes(&[2, 1])), Change::Made);
    assert_eq!(shown(&record), [(SlotKind::Node, 3), (SlotKind::Node, 2)]);
    assert!(opens(&mut record, &nodes(&[3])));
}

#[test]
fn slots_of_a_passphrase_and_of_a_later_version_are_left_alone() {
    let mut record = opened(1);
    assert!(record.has_node_slots_alone());
    add(&mut record, SealingKey::Passphrase(&typed(1)));
    record.add_slot_of_later_version();
    assert_eq!(record.renew_node_slots(&nodes(&[2, 1])), Change::Made);
    let kinds: Vec<SlotKind> = record.slots().map(|slot| slot.kind).collect();
    assert_eq!(kinds, [SlotKind::Passphrase, SlotKind::Other, SlotKind::Node]);
    assert!(opens(&mut record, &with_passphrase(Keyring::default(), 1)));
    assert!(!record.has_node_slots_alone());
}

#[test]
fn what_was_sealed_under_a_passphrase_alone_gets_no_node_slot() {
    let mut record = Opened::create(record(), UID, SealingKey::Passphrase(&typed(1))).unwrap();
    let keys = with_passphrase(nodes(&[2, 1]), 1);
    assert_eq!(record.renew_node_slots(&keys), Change::Unneeded);
    assert_eq!(record.slots().count(), 1);
    assert!(!record.is_opened_by_node_key(&keys) && !record.has_node_slots_alone());
}

/// Whoever knows the passphrase knows the data key, and can write anything into the header.
#[test]
fn a_slot_that_only_claims_an_older_node_key_brings_no_newer_one() {
    let keys = with_passphrase(nodes(&[2, 1]), 1);
    for claimed in [1, 2] {
        let mut forged = Opened::create(record(), UID, SealingKey::Passphrase(&typed(1))).unwrap();
        let other = UserKey { id: KeyId([claimed; 8]), key: Zeroizing::new([0x5a; KEY]) };
        add(&mut forged, SealingKey::Node(&other));
        assert_eq!(forged.renew_node_slots(&keys), Change::Unneeded);
        assert!(!forged.is_opened_by_node_key(&keys));
        assert!(opens(&mut forged, &keys) && !opens(&mut forged, &nodes(&[2, 1])));
    }
    // A slot that a node key opens, and that is another data key's.
    let mut forged = Opened::create(record(), UID, SealingKey::Passphrase(&typed(1))).unwrap();
    let wrapped =
        KeySlot::wrap(&Zeroizing::new([7; KEY]), forged.owner(), SealingKey::Node(&node(1))).unwrap();
    forged.replace_slots(|_| false, wrapped);
    assert_eq!(forged.renew_node_slots(&keys), Change::Unneeded);
}
