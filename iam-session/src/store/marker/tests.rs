use super::*;
use crate::secret::Secret;
use crate::store::passphrase::tests::cheap;
use crate::vectors;

const UID: u32 = 1000;
const PATH: &str = "/home/alice/.local/state/iam-session/login1.locked";

fn derived(salt: u8, passphrase: &str) -> PassphraseKey {
    cheap(salt).derive(&Secret::new(passphrase.into())).unwrap()
}

fn parse(file: &[u8]) -> Result<Marker, StoreError> {
    Marker::parse(file, Path::new(PATH), UID)
}

#[test]
fn its_passphrase_opens_it_and_no_other() {
    let marker = Marker::create(UID, &derived(9, "lock")).unwrap();
    let read = parse(&marker.to_bytes()).unwrap();
    assert_eq!(read, marker);
    assert!(read.is_opened_by(&read.derivation().derive(&Secret::new("lock".into())).unwrap()));
    assert!(!read.is_opened_by(&derived(9, "Lock")) && !read.is_opened_by(&derived(8, "lock")));
}

#[test]
fn nothing_of_it_can_be_changed() {
    let passphrase = Secret::new("lock".into());
    let file = Marker::create(UID, &derived(9, "lock")).unwrap().to_bytes();
    let opens = |file: &[u8]| {
        parse(file).is_ok_and(|marker| {
            marker.derivation().derive(&passphrase).is_some_and(|key| marker.is_opened_by(&key))
        })
    };
    assert!(opens(&file));
    // The salt too, for the key is derived anew; not the costs, of which some bits would take minutes.
    for at in (0..32 + 16).chain(60..file.len()).flat_map(|byte| byte * 8..byte * 8 + 8) {
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
fn a_lock_of_version_1_is_the_same_one_without_its_keys() {
    let key = derived(9, "lock");
    let marker = Marker::create(UID, &key).unwrap();
    let file = marker.to_bytes();
    let (head, verifier) = file.split_at(file.len() - KEY);
    let mut head = head.to_vec();
    head[9] = 1;
    let keys = [&[2][..], &[7; 2 * KEY_NAME]].concat();
    let old = [&head[..], &keys, verifier, &[9; 100]].concat();
    let read = parse(&old).unwrap();
    assert!(read.is_opened_by(&key) && !read.is_opened_by(&derived(9, "Lock")));
    assert_eq!(read.to_bytes(), file, "written again it is of this version");
}

#[test]
fn the_lock_of_the_protocol_opens_and_is_what_is_written() {
    let file = vectors::block("lock");
    let marker = parse(&file).unwrap();
    let passphrase = String::from_utf8(vectors::row("passphrase", "passphrase")).unwrap();
    assert!(marker.is_opened_by(&marker.derivation().derive(&Secret::new(passphrase)).unwrap()));
    assert_eq!(marker.to_bytes(), file);
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
