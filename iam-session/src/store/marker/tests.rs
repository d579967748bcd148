use super::*;
use crate::secret::Secret;
use crate::store::passphrase::tests::cheap;
use crate::vectors;

const UID: u32 = 1000;
const PATH: &str = "/home/alice/.local/state/iam-session/login1.locked";

fn node(id: u8) -> UserKey {
    UserKey { id: KeyId([id; 8]), key: Zeroizing::new([0x80 | id; KEY]) }
}

fn derived(salt: u8, passphrase: &str) -> PassphraseKey {
    cheap(salt).derive(&Secret::new(passphrase.into())).unwrap()
}

fn keys() -> Keyring {
    let mut keys = Keyring::new(vec![node(1), node(2)]);
    keys.unlock(vec![derived(3, "of a record")]);
    keys
}

fn parse(file: &[u8]) -> Result<Marker, StoreError> {
    Marker::parse(file, Path::new(PATH), UID)
}

fn contents(keys: &Keyring) -> Vec<(KeyId, Vec<u8>)> {
    let passphrase = keys.passphrase().map(|key| &key.key);
    keys.node().chain(passphrase).map(|key| (key.id, key.key.to_vec())).collect()
}

#[test]
fn the_passphrase_gives_back_every_key_in_order() {
    let marker = Marker::create(UID, &keys(), &derived(9, "lock")).unwrap();
    let read = parse(&marker.to_bytes()).unwrap();
    assert_eq!(read.id(), marker.id());
    let opened = read.open(&read.derivation().derive(&Secret::new("lock".into())).unwrap()).unwrap();
    assert_eq!(contents(&opened), contents(&keys()));
    assert_eq!(opened.passphrase().next().unwrap().derivation, cheap(3));
    assert!(read.open(&derived(9, "Lock")).is_none() && read.open(&derived(8, "lock")).is_none());
    assert!(read.covers(&keys()) && !read.covers(&Keyring::new(vec![node(1), node(4)])));
}

#[test]
fn a_lock_of_an_agent_without_keys_is_one() {
    let marker = Marker::create(UID, &Keyring::default(), &derived(9, "lock")).unwrap();
    let opened = parse(&marker.to_bytes()).unwrap().open(&derived(9, "lock")).unwrap();
    assert!(contents(&opened).is_empty());
}

#[test]
fn nothing_of_it_can_be_changed() {
    let key = derived(9, "lock");
    let file = Marker::create(UID, &keys(), &key).unwrap().to_bytes();
    let opens = |file: &[u8]| parse(file).ok().and_then(|marker| marker.open(&key)).is_some();
    assert!(opens(&file));
    for at in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        assert!(!opens(&flipped), "bit {at}");
    }
    for length in 0..file.len() {
        assert!(parse(&file[..length]).is_err(), "{length}");
    }
    assert!(parse(&[&file[..], &[0]].concat()).is_err());
    assert!(matches!(
        Marker::parse(&file, Path::new(PATH), UID + 1),
        Err(StoreError::ForeignUser { uid: UID, .. })
    ));
}

#[test]
fn no_key_is_in_it_in_clear() {
    let file = Marker::create(UID, &keys(), &derived(9, "lock")).unwrap().to_bytes();
    for (_, key) in contents(&keys()) {
        assert!(!file.windows(KEY).any(|window| window == key));
    }
}

#[test]
fn an_extended_lock_is_the_same_one() {
    let key = derived(9, "lock");
    let first = Marker::create(UID, &Keyring::new(vec![node(1)]), &key).unwrap();
    let more = first.extended(&keys(), &key).unwrap();
    assert_eq!(more.id(), first.id());
    assert_eq!(contents(&parse(&more.to_bytes()).unwrap().open(&key).unwrap()), contents(&keys()));
    assert!(Marker::create(UID, &Keyring::new((0..33).map(node).collect()), &key).is_none());
}

#[test]
fn the_lock_of_the_protocol_opens_and_is_what_is_written() {
    let file = vectors::block("lock");
    let marker = parse(&file).unwrap();
    let passphrase = String::from_utf8(vectors::row("passphrase", "passphrase")).unwrap();
    let key = marker.derivation().derive(&Secret::new(passphrase)).unwrap();
    let keys = marker.open(&key).unwrap();
    let node = keys.node().next().unwrap();
    assert_eq!(node.id.0.to_vec(), vectors::row("keys", "key id"));
    assert_eq!(node.key.to_vec(), vectors::row("keys", "user key"));
    let of_passphrase = keys.passphrase().next().unwrap();
    assert_eq!(of_passphrase.key.key.to_vec(), vectors::row("passphrase", "user key"));
    let nonce = vectors::row("lock", "nonce").try_into().unwrap();
    let again = Marker::seal(marker.head.id, UID, &keys, &key, nonce).unwrap();
    assert_eq!(again.to_bytes(), file);
}

#[test]
fn a_hosts_name_is_a_file_name() {
    for (host, name) in [
        ("login1.example.org", "login1.example.org"),
        ("..", "host"),
        ("", "host"),
        ("a/b c", "a_b_c"),
        (".x", "x"),
        ("é", "_"),
    ] {
        assert_eq!(file_name(host), name);
    }
    assert_eq!(file_name(&"x".repeat(300)).len(), MAX_HOST);
}
