use super::*;
use crate::scratch::Scratch;

/// 00, 01, … 1f, and the vectors computed from it with Python's hashlib and hmac alone.
const NODE: [u8; 32] = {
    let mut key = [0; 32];
    let mut at = 0;
    while at < 32 {
        key[at] = at as u8;
        at += 1;
    }
    key
};
const ID: &str = "aada221d6a508794";

struct Host(Scratch);

impl Host {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.directory(KEYS, 0o700);
        Self(scratch)
    }

    /// A key in good order, made in the given year.
    fn key(&self, year: u32, node: &[u8; 32]) -> String {
        let name = format!("{year:04}0102T030405-{}.key", hex(&key_id(node)));
        self.put(&name, KEY_MODE, node);
        name
    }

    fn put(&self, name: &str, mode: u32, contents: &[u8]) {
        self.0.file(&format!("{KEYS}/{name}"), mode, contents);
    }

    fn derive(&self) -> (Vec<UserKey>, Vec<KeyError>) {
        let mut complaints = Vec::new();
        let keys = derive(Some(&self.0.trusted()), 1000, |error| complaints.push(error));
        (keys, complaints)
    }

    /// With one good key, and `name` passed over because it is not…
    fn passes_over(&self, name: &str, not: &'static str) {
        self.key(2020, &NODE);
        let (keys, complaints) = self.derive();
        assert_eq!(keys.len(), 1, "{name}");
        assert_eq!(complaints, [KeyError::Key(name.to_owned(), Distrust::Not(not))]);
    }
}

fn user_key(node: &[u8; 32], uid: u32) -> (String, String) {
    let mut keys = Vec::new();
    push(&mut keys, key_id(node), node, uid);
    (hex(&keys[0].id), hex(&keys[0].key[..]))
}

#[test]
fn derivation_gives_the_independent_vectors() {
    for (node, uid, id, key) in [
        (&NODE, 1000, ID, "fb6d9a8b89c3ff6e0c91d90c15efdd61b289fbe8afe8ac4614ee60d1da678f3e"),
        (&NODE, 4_294_967_294, ID, "5859d60981ecdcfb7b101c3a38023bc493579c47914dc9b449cffbd6599ef58b"),
        (
            &[0xff; 32],
            1000,
            "7c14c86733fed289",
            "861e77c1f8aa4e1a5995c2c5f48f6d000bf0558adba849f5aeef1b82b28e9f87",
        ),
    ] {
        assert_eq!(user_key(node, uid), (id.to_owned(), key.to_owned()));
    }
}

#[test]
fn a_derived_key_is_not_printed() {
    let key = UserKey { id: [0xab; 8], key: Zeroizing::new([0xcd; 32]) };
    assert_eq!(format!("{key:?}"), "UserKey(abababababababab)");
}

#[test]
fn the_greatest_name_comes_first_and_eight_are_used() {
    let host = Host::new();
    for n in 1..=10_u8 {
        host.key(2000 + u32::from(n), &[n; 32]);
    }
    let (keys, complaints) = host.derive();
    let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
    assert_eq!(ids, (3..=10).rev().map(|n| key_id(&[n; 32])).collect::<Vec<_>>());
    assert_eq!(complaints, []);
}

#[test]
fn only_exact_names_are_read() {
    let host = Host::new();
    let name = host.key(2026, &NODE);
    for other in [
        format!("{name}~"),
        format!(".{name}"),
        name.replace(".key", ".KEY"),
        name.replace(ID, &ID.to_uppercase()),
        name.replace('T', "t"),
        name.replace('-', "_"),
        name.replace("2026", "202x"),
        format!("20260102T030405-{}.key", &ID[1..]),
        "20260102T030405-.key".to_owned(),
        "é".repeat(18),
    ] {
        host.put(&other, 0o666, b"never read");
    }
    let (keys, complaints) = host.derive();
    assert_eq!((keys.len(), complaints.len()), (1, 0));
}

#[test]
fn a_bad_key_is_passed_over_with_one_complaint() {
    let node = [7; 32];
    for mode in [0o600, 0o440, 0o404, 0o500] {
        let host = Host::new();
        let name = host.key(2026, &node);
        host.0.mode(&format!("{KEYS}/{name}"), mode);
        host.passes_over(&name, "of mode 0400");
    }
    for (contents, not) in [
        (&[7; 31][..], "of 32 bytes"),
        (&[7; 33], "of 32 bytes"),
        (&[], "of 32 bytes"),
        (&[8; 32], "the key that its name says"),
    ] {
        let host = Host::new();
        let name = format!("20260102T030405-{}.key", hex(&key_id(&node)));
        host.put(&name, KEY_MODE, contents);
        host.passes_over(&name, not);
    }
}

#[test]
fn a_link_a_fifo_or_a_directory_is_no_key_and_blocks_nobody() {
    let name = format!("20260102T030405-{}.key", hex(&key_id(&[7; 32])));
    let host = Host::new();
    host.put("elsewhere", KEY_MODE, &[7; 32]);
    host.0.link("elsewhere", &format!("{KEYS}/{name}"));
    host.passes_over(&name, "free of symbolic links");
    let host = Host::new();
    host.0.fifo(&format!("{KEYS}/{name}"));
    host.passes_over(&name, "a regular file");
    let host = Host::new();
    host.0.directory(&format!("{KEYS}/{name}"), 0o700);
    host.passes_over(&name, "a regular file");
}

#[test]
fn a_directory_that_others_can_write_gives_no_keys() {
    let host = Host::new();
    host.key(2026, &NODE);
    host.0.mode(KEYS, 0o730);
    let (keys, complaints) = host.derive();
    let unsafe_directory = Distrust::Not("owned by root and writable by root alone");
    assert_eq!((keys.len(), complaints), (0, vec![KeyError::Directory(unsafe_directory), KeyError::NoKeys]));
}

#[test]
fn without_keys_there_is_one_complaint() {
    let mut complaints = Vec::new();
    assert!(derive(None, 1000, |error| complaints.push(error)).is_empty());
    let empty = Scratch::new();
    assert!(derive(Some(&empty.trusted()), 1000, |error| complaints.push(error)).is_empty());
    assert!(Host::new().derive().0.is_empty());
    assert_eq!(complaints, [KeyError::NoKeys, KeyError::NoKeys]);
}

#[test]
fn a_directory_of_rubbish_costs_a_bounded_number_of_complaints() {
    let host = Host::new();
    for n in 0..40_u8 {
        host.put(&format!("20260102T0304{n:02}-{ID}.key"), 0o644, b"");
    }
    let (keys, complaints) = host.derive();
    assert_eq!((keys.len(), complaints.len()), (0, MAX_TRIED + 1));
}
