//! What the fuzzers check of a record, and what is measured of it. Touches nothing.

use std::path::Path;
use std::sync::LazyLock;

use super::*;
use crate::store::crypto::KEY;
use crate::store::format::MAX_FILE;
use crate::store::{SessionToken, UserKey};

const UID: u32 = 1000;
const RECORD: &str = r#"{"issuer":"https://iam.example/","endpoints":{"token":"https://iam.example/token"},
    "client":{"client_id":"client","client_secret":"canary-of-the-client","auth":"client_secret_basic"},
    "refresh_token":"canary-of-the-refresh-token","scope":"openid storage.read:/","enrolled_at":1}"#;

fn path() -> &'static Path {
    Path::new("wlcg.cred")
}

fn key() -> UserKey {
    UserKey { id: KeyId([1; 8]), key: Zeroizing::new([1; KEY]) }
}

fn open(file: &[u8]) -> Result<Opened, StoreError> {
    Opened::open(file, path(), UID, &Keyring::new(vec![key()]))
}

/// A record that is sealed under the key, and its file.
static GENUINE: LazyLock<Option<(Opened, Vec<u8>)>> = LazyLock::new(|| {
    let record = serde_json::from_str(RECORD).ok()?;
    let mut opened = Opened::create(record, UID, SealingKey::Node(&key())).ok()?;
    let file = opened.seal(path()).ok()?;
    Some((opened, file))
});

fn genuine() -> &'static (Opened, Vec<u8>) {
    let Some(genuine) = GENUINE.as_ref() else { panic!("the record of the fuzzers does not seal") };
    genuine
}

/// A file of anybody's: what is read of it is what would be written, and it does not open.
pub fn file(data: &[u8]) {
    if let Ok(parsed) = format::parse(data, path()) {
        assert_eq!(parsed.header.to_bytes().as_deref(), Some(parsed.header_bytes));
        let again =
            format::assemble(parsed.header_bytes, &parsed.commitment, &parsed.nonce, parsed.ciphertext);
        assert_eq!(again.as_deref(), (data.len() <= MAX_FILE).then_some(data));
        let cover = Cover::of(&parsed.header);
        assert!(cover.derivations.len() <= cover.keys.len());
    }
    let Err(error) = open(data) else { panic!("what nobody sealed opens") };
    assert!(!error.to_string().contains(|c: char| c.is_control()), "{error}");
    assert!(SessionToken::open(data, &genuine().0).is_none());
}

/// A genuine file with one stretch changed, at the place that the first two bytes name: it does not open.
pub fn changed(data: &[u8]) {
    let Some((at, change)) = data.split_first_chunk() else { return };
    let (opened, file) = genuine();
    let at = usize::from(u16::from_be_bytes(*at)) % file.len();
    let mut other = file.clone();
    for (byte, new) in other.iter_mut().skip(at).zip(change) {
        *byte = *new;
    }
    match open(&other) {
        Ok(again) => {
            assert_eq!(&other, file);
            assert_eq!(again.record.refresh_token.expose(), opened.record.refresh_token.expose());
        }
        Err(error) => {
            assert_ne!(&other, file);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}

/// Any plaintext in a file that was sealed under the right key: what opens is sealed again to the same.
pub fn plaintext(data: &[u8]) {
    let (opened, _) = genuine();
    let sealed = || {
        let header = opened.header.to_bytes()?;
        let nonce = crypto::random()?;
        let ciphertext = crypto::seal(&opened.derive(LABEL_RECORD), &nonce, data, &header)?;
        format::assemble(&header, &opened.derive(LABEL_COMMITMENT), &nonce, &ciphertext)
    };
    let Some(file) = sealed() else { return };
    let Ok(mut opened) = open(&file) else { return };
    let text = serde_json::to_vec(&opened.record).ok();
    // A record that is larger when it is written than it was when it was read is told, and stays.
    let Ok(file) = opened.seal(path()) else { return };
    let again = open(&file).ok();
    assert!(again.as_ref().is_some_and(|again| again.generation() == opened.generation()));
    assert_eq!(again.and_then(|again| serde_json::to_vec(&again.record).ok()), text);
}

/// A genuine record is opened, as for each token that is minted; gives the length of its refresh token.
pub fn unseal() -> Option<usize> {
    let (_, file) = genuine();
    Some(open(file).ok()?.record.refresh_token.expose().len())
}
