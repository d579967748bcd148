use std::path::Path;

use zeroize::Zeroizing;

use super::*;
use crate::secret::Secret;
use crate::store::crypto::KEY;
use crate::store::passphrase::tests::cheap;
use crate::store::record::tests::record;
use crate::store::{PassphraseKey, StoreError, UserKey};

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

/// Sealed under the first of these node keys, and opened.
fn opened(id: u8) -> Opened {
    Opened::create(record(), UID, SealingKey::Node(&node(id))).unwrap()
}

fn opens(opened: &mut Opened, keys: &Keyring) -> bool {
    Opened::open(&opened.seal(path()).unwrap(), path(), UID, keys).is_ok()
}

fn shown(opened: &Opened) -> Vec<(Kind, u8)> {
    opened.slots().map(|slot| (slot.kind, slot.key.unwrap().0[0])).collect()
}

#[test]
fn a_newer_node_key_takes_the_place_of_an_older_one() {
    let mut record = opened(1);
    assert_eq!(record.renew_node_slots(&nodes(&[2, 1])), Change::Made);
    assert_eq!(shown(&record), [(Kind::Node, 2)]);
    assert!(opens(&mut record, &nodes(&[2])) && !opens(&mut record, &nodes(&[1])));
    assert_eq!(record.renew_node_slots(&nodes(&[2, 1])), Change::Unneeded);
}

#[test]
fn a_slot_of_a_key_that_is_not_here_stays() {
    let mut record = opened(1);
    // Another host's key, which this one has had, too.
    record.put_slot(&nodes(&[3]), SealingKey::Node(&node(3)));
    assert_eq!(record.renew_node_slots(&nodes(&[2, 1])), Change::Made);
    assert_eq!(shown(&record), [(Kind::Node, 3), (Kind::Node, 2)]);
    assert!(opens(&mut record, &nodes(&[3])));
}

#[test]
fn what_was_sealed_under_a_passphrase_alone_gets_no_node_slot_by_itself() {
    let mut record = Opened::create(record(), UID, SealingKey::Passphrase(&typed(1))).unwrap();
    assert_eq!(record.renew_node_slots(&with_passphrase(nodes(&[2, 1]), 1)), Change::Unneeded);
    assert_eq!(record.slots().count(), 1);
}

#[test]
fn each_of_two_slots_opens_it() {
    let mut record = opened(1);
    assert_eq!(record.put_slot(&nodes(&[1]), SealingKey::Passphrase(&typed(1))), Change::Made);
    for keys in [nodes(&[1]), with_passphrase(Keyring::default(), 1)] {
        assert!(opens(&mut record, &keys));
    }
    assert_eq!(record.put_slot(&nodes(&[1]), SealingKey::Node(&node(1))), Change::Unneeded);
}

#[test]
fn a_new_passphrase_replaces_the_old_one() {
    let mut record = opened(1);
    record.put_slot(&nodes(&[1]), SealingKey::Passphrase(&typed(1)));
    record.put_slot(&nodes(&[1]), SealingKey::Passphrase(&typed(2)));
    assert_eq!(record.slots().count(), 2);
    assert!(opens(&mut record, &with_passphrase(Keyring::default(), 2)));
    assert!(!opens(&mut record, &with_passphrase(Keyring::default(), 1)));
}

#[test]
fn the_last_slot_stays() {
    let mut record = opened(1);
    let keys = nodes(&[1]);
    assert_eq!(record.remove_slots(&keys, Kind::Node), Err(KeepSlot::Last));
    assert_eq!(record.remove_slots(&keys, Kind::Passphrase), Err(KeepSlot::NotThere));
    record.put_slot(&keys, SealingKey::Passphrase(&typed(1)));
    // What is left would be a slot of a node key that nobody here has.
    let other = with_passphrase(nodes(&[7]), 1);
    assert_eq!(record.remove_slots(&other, Kind::Passphrase), Err(KeepSlot::Last));
    assert_eq!(record.remove_slots(&keys, Kind::Node), Ok(()));
    let file = record.seal(path()).unwrap();
    assert!(matches!(Opened::open(&file, path(), UID, &keys), Err(StoreError::Locked { .. })));
    assert!(opens(&mut record, &with_passphrase(Keyring::default(), 1)));
}

#[test]
fn slots_of_a_later_version_are_left_alone() {
    let mut record = opened(1);
    record.add_slot_of_later_version();
    record.put_slot(&nodes(&[1]), SealingKey::Passphrase(&typed(1)));
    record.remove_slots(&nodes(&[1]), Kind::Node).unwrap();
    let kinds: Vec<Kind> = record.slots().map(|slot| slot.kind).collect();
    assert_eq!(kinds, [Kind::Other, Kind::Passphrase]);
}

#[test]
fn a_record_takes_no_more_slots_than_its_format() {
    let mut record = opened(1);
    for id in 2..=8 {
        assert_eq!(record.put_slot(&nodes(&[id]), SealingKey::Node(&node(id))), Change::Made);
    }
    assert_eq!(record.put_slot(&nodes(&[9]), SealingKey::Node(&node(9))), Change::Unneeded);
    assert!(opens(&mut record, &nodes(&[1])));
}
