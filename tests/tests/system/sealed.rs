//! The sealed store as PROTOCOL.md, section 5, says it, for somebody who holds passphrases and keys: opens files and
//! forges them. Shares no code with the programs.

use std::collections::HashMap;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

const NODE: u8 = 1;
const PASSPHRASE: u8 = 2;
const LABEL_SLOT: &[u8] = b"iam-session/v1/slot\0";
/// The cheapest that there is: memory, passes, lanes.
const CHEAP: [u32; 3] = [8, 1, 1];

type Bytes = [u8; 32];

fn hkdf(key: &[u8], salt: Option<&[u8]>, info: &[&[u8]]) -> Bytes {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(salt, key).expand(&info.concat(), &mut out).unwrap();
    out
}

fn seal(key: &Bytes, nonce: &[u8; 24], msg: &[u8], aad: &[u8]) -> Vec<u8> {
    XChaCha20Poly1305::new(&Key::from(*key)).encrypt(&XNonce::from(*nonce), Payload { msg, aad }).unwrap()
}

fn unseal(key: &Bytes, nonce: &[u8], msg: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let nonce = XNonce::from(<[u8; 24]>::try_from(nonce).ok()?);
    XChaCha20Poly1305::new(&Key::from(*key)).decrypt(&nonce, Payload { msg, aad }).ok()
}

/// `parameters`: salt, memory, passes, lanes, as a slot holds them.
fn argon2(passphrase: &str, parameters: &[u8]) -> Bytes {
    let number = |at: usize| u32::from_be_bytes(parameters[at..at + 4].try_into().unwrap());
    let params = Params::new(number(16), number(20), number(24), Some(32)).unwrap();
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &parameters[..16], &mut key)
        .unwrap();
    key
}

fn parameters(salt: u8, numbers: [u32; 3]) -> Vec<u8> {
    [vec![salt; 16], numbers.map(u32::to_be_bytes).concat()].concat()
}

/// The id of a node key, and the key that a user has of it.
pub(crate) fn user_key(node_key: &[u8], uid: u32) -> ([u8; 8], Bytes) {
    let digest = Sha256::new().chain_update(b"iam-session/v1/key-id").chain_update(node_key).finalize();
    let id: [u8; 8] = digest[..8].try_into().unwrap();
    (id, hkdf(node_key, None, &[b"iam-session/v1/user\0", &id, &uid.to_be_bytes()]))
}

/// Reads one field after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn counted(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(bytes)?;
        self.take(length)
    }
}

/// A record's file, taken apart.
struct Record<'a> {
    header: &'a [u8],
    record_id: &'a [u8],
    uid: &'a [u8],
    /// Where the number of slots stands.
    slots_at: usize,
    slots: Vec<(u8, &'a [u8])>,
    nonce: &'a [u8],
    ciphertext: &'a [u8],
}

impl<'a> Record<'a> {
    fn parse(file: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(file);
        (fields.take(12)? == b"IAMCRED\0\0\x01\0\x01").then_some(())?;
        let header = file.get(..fields.number(4)?)?;
        let (record_id, uid, _generation) = (fields.take(16)?, fields.take(4)?, fields.take(8)?);
        let (_issuer, _client_id) = (fields.counted(2)?, fields.counted(2)?);
        let slots_at = file.len() - fields.0.len();
        let count = fields.number(1)?;
        let slot = |_| Some((u8::try_from(fields.number(1)?).ok()?, fields.counted(2)?));
        let slots = (0..count).map(slot).collect::<Option<_>>()?;
        let (_commitment, nonce) = (fields.take(32)?, fields.take(24)?);
        Some(Self { header, record_id, uid, slots_at, slots, nonce, ciphertext: fields.counted(4)? })
    }

    /// The data key, if `key` wraps it in a slot of this kind.
    fn unwrap(&self, kind: u8, body: &[u8], key: &Bytes) -> Option<Bytes> {
        let (origin, rest) = body.split_at_checked(if kind == NODE { 8 } else { 36 })?;
        let mut fields = Fields(rest);
        let (salt, nonce, wrapped) = (fields.take(32)?, fields.take(24)?, fields.take(48)?);
        let kek = hkdf(key, Some(salt), &[LABEL_SLOT, self.record_id]);
        let bound = [LABEL_SLOT, self.record_id, self.uid, &[kind], origin, salt].concat();
        unseal(&kek, nonce, wrapped, &bound)?.try_into().ok()
    }

    fn text(&self, data_key: &Bytes) -> Option<Vec<u8>> {
        let key = hkdf(data_key, Some(self.record_id), &[b"iam-session/v1/record"]);
        unseal(&key, self.nonce, self.ciphertext, self.header)
    }
}

/// A record as an earlier version left it: opened by `key`, a user key of its node slot, and by a passphrase, too.
pub(crate) fn with_passphrase(file: &[u8], key: &Bytes, passphrase: &str) -> Vec<u8> {
    let record = Record::parse(file).unwrap();
    let data_key = record.slots.iter().find_map(|(kind, body)| record.unwrap(*kind, body, key)).unwrap();
    let parameters = parameters(7, CHEAP);
    let id =
        Sha256::new().chain_update(b"iam-session/v1/passphrase-id\0").chain_update(&parameters).finalize();
    let origin = [&id[..8], &parameters].concat();
    let (salt, nonce) = ([3; 32], [5; 24]);
    let kek = hkdf(&argon2(passphrase, &parameters), Some(&salt), &[LABEL_SLOT, record.record_id]);
    let bound = [LABEL_SLOT, record.record_id, record.uid, &[PASSPHRASE], &origin, &salt].concat();
    let body = [&origin[..], &salt, &nonce, &seal(&kek, &nonce, &data_key, &bound)].concat();
    let slot = [&[PASSPHRASE][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), &body].concat();

    let mut header = [record.header, &slot].concat();
    header[record.slots_at] += 1;
    let length = u32::try_from(header.len()).unwrap();
    header[12..16].copy_from_slice(&length.to_be_bytes());
    let key = |label: &[u8]| hkdf(&data_key, Some(record.record_id), &[label]);
    let text = record.text(&data_key).unwrap();
    let sealed = seal(&key(b"iam-session/v1/record"), &nonce, &text, &header);
    let length = u32::try_from(sealed.len()).unwrap().to_be_bytes();
    [&header[..], &key(b"iam-session/v1/commitment"), &nonce, &length, &sealed].concat()
}

/// A record that who knows `data_key` makes around the node slot of an earlier one, of which it is known: with the issuer
/// and the client that `like` names in clear, and `text` inside.
pub(crate) fn around_a_slot(
    like: &[u8],
    (id, key): &([u8; 8], Bytes),
    data_key: &Bytes,
    text: &[u8],
) -> Vec<u8> {
    made(like, (NODE, id, key), data_key, text)
}

/// A record of the same issuer and client, as it is sealed by an agent without a node key.
pub(crate) fn under_a_passphrase(like: &[u8], passphrase: &str, text: &[u8]) -> Vec<u8> {
    let parameters = parameters(6, CHEAP);
    let id =
        Sha256::new().chain_update(b"iam-session/v1/passphrase-id\0").chain_update(&parameters).finalize();
    let origin = [&id[..8], &parameters].concat();
    made(like, (PASSPHRASE, &origin, &argon2(passphrase, &parameters)), &[0x5e; 32], text)
}

fn made(like: &[u8], (kind, origin, key): (u8, &[u8], &Bytes), data_key: &Bytes, text: &[u8]) -> Vec<u8> {
    let record = Record::parse(like).unwrap();
    let (record_id, salt, nonce) = ([0xee; 16], [3; 32], [5; 24]);
    let kek = hkdf(key, Some(&salt), &[LABEL_SLOT, &record_id]);
    let bound = [LABEL_SLOT, &record_id, record.uid, &[kind], origin, &salt].concat();
    let body = [origin, &salt, &nonce, &seal(&kek, &nonce, data_key, &bound)].concat();
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let slots = [&[1, kind][..], &length, &body].concat();
    let mut header = [&record.header[..16], &record_id, &record.header[32..record.slots_at], &slots].concat();
    let length = u32::try_from(header.len()).unwrap();
    header[12..16].copy_from_slice(&length.to_be_bytes());
    let derive = |label: &[u8]| hkdf(data_key, Some(&record_id), &[label]);
    let sealed = seal(&derive(b"iam-session/v1/record"), &nonce, text, &header);
    let length = u32::try_from(sealed.len()).unwrap().to_be_bytes();
    [&header[..], &derive(b"iam-session/v1/commitment"), &nonce, &length, &sealed].concat()
}

/// What is in a record, for who knows its data key.
pub(crate) fn text_under(data_key: &Bytes, file: &[u8]) -> Option<Vec<u8>> {
    Record::parse(file)?.text(data_key)
}

/// A lock as version 1 wrote it: under `passphrase`, with one user key that is said to be of the node key `id`.
pub(crate) fn lock_with_a_key(passphrase: &str, uid: u32, (id, key): &([u8; 8], Bytes)) -> Vec<u8> {
    let (lock_id, nonce, parameters) = ([0xd0; 16], [9; 24], parameters(8, CHEAP));
    let head =
        [b"IAMLOCK\0\0\x01\0\x01", &lock_id[..], &uid.to_be_bytes(), &parameters, &[1, NODE], id].concat();
    let typed = argon2(passphrase, &parameters);
    let derive = |label: &[u8]| hkdf(&typed, Some(&lock_id), &[label]);
    let sealed = seal(&derive(b"iam-session/v1/lock"), &nonce, key, &head);
    let length = u32::try_from(sealed.len()).unwrap().to_be_bytes();
    [&head[..], &derive(b"iam-session/v1/lock-commitment"), &nonce, &length, &sealed].concat()
}

/// Somebody who knows passphrases and keys, and tries them on every file.
pub(crate) struct Thief {
    passphrases: Vec<String>,
    keys: Vec<Bytes>,
    derived: HashMap<(String, Vec<u8>), Bytes>,
}

impl Thief {
    pub(crate) fn knowing(passphrases: &[&str], keys: &[Bytes]) -> Self {
        let passphrases = passphrases.iter().map(|&text| text.to_owned()).collect();
        Self { passphrases, keys: keys.to_vec(), derived: HashMap::new() }
    }

    /// What can be read of these files: records in clear. A lock's keys are tried on all of them.
    pub(crate) fn opens(&mut self, files: &[Vec<u8>]) -> Vec<Vec<u8>> {
        for file in files {
            let found = self.keys_of_lock(file).unwrap_or_default();
            self.keys.extend(found);
        }
        files.iter().filter_map(|file| self.text_of_record(file)).collect()
    }

    fn text_of_record(&mut self, file: &[u8]) -> Option<Vec<u8>> {
        let record = Record::parse(file)?;
        record.slots.iter().find_map(|(kind, body)| {
            let keys = match *kind {
                NODE => self.keys.clone(),
                _ => [self.keys.clone(), self.typed(body.get(8..36)?)].concat(),
            };
            let data_key = keys.iter().find_map(|key| record.unwrap(*kind, body, key))?;
            record.text(&data_key)
        })
    }

    fn keys_of_lock(&mut self, file: &[u8]) -> Option<Vec<Bytes>> {
        let mut fields = Fields(file);
        (fields.take(12)? == b"IAMLOCK\0\0\x01\0\x01").then_some(())?;
        let (lock_id, _uid, parameters) = (fields.take(16)?, fields.take(4)?, fields.take(28)?);
        let count = fields.number(1)?;
        let kinds: Vec<u8> = fields.take(9 * count)?.chunks(9).map(|key| key[0]).collect();
        let head = &file[..file.len() - fields.0.len()];
        let (_commitment, nonce, sealed) = (fields.take(32)?, fields.take(24)?, fields.counted(4)?);
        let text = self.typed(parameters).into_iter().find_map(|typed| {
            unseal(&hkdf(&typed, Some(lock_id), &[b"iam-session/v1/lock"]), nonce, sealed, head)
        })?;
        let mut text = Fields(&text);
        let key = |kind: &u8| {
            text.take(if *kind == NODE { 0 } else { 28 })?;
            text.take(32)?.try_into().ok()
        };
        kinds.iter().map(key).collect()
    }

    /// What each passphrase gives by these parameters.
    fn typed(&mut self, parameters: &[u8]) -> Vec<Bytes> {
        let derived = &mut self.derived;
        let derive = |passphrase: &String| {
            let named = (passphrase.clone(), parameters.to_owned());
            *derived.entry(named).or_insert_with(|| argon2(passphrase, parameters))
        };
        self.passphrases.iter().map(derive).collect()
    }
}

/// Else to open nothing would say nothing.
#[test]
fn who_holds_the_key_opens_what_is_on_the_page() {
    let page = include_str!("../../../PROTOCOL.md");
    let block = |name: &str| {
        let (_, rest) = page.split_once(&format!("```text {name}\n")).unwrap();
        let rows = rest.split_once("```").unwrap().0.lines().map(|row| row.get(24..).unwrap());
        data_encoding::HEXLOWER.decode(rows.collect::<String>().as_bytes()).unwrap()
    };
    let record = block("record");
    let node_key: Vec<u8> = (0..32).collect();
    let (id, key) = user_key(&node_key, 1000);
    assert!(
        String::from_utf8(Thief::knowing(&[], &[key]).opens(std::slice::from_ref(&record)).remove(0))
            .unwrap()
            .contains("refresh-me")
    );
    assert!(
        Thief::knowing(&["correct horse battery"], &[[1; 32]])
            .opens(std::slice::from_ref(&record))
            .is_empty()
    );
    let both = with_passphrase(&record, &key, "correct horse battery");
    assert_eq!(Thief::knowing(&["correct horse battery"], &[]).opens(&[both]).len(), 1);
    let lock = lock_with_a_key("correct horse battery", 1000, &(id, key));
    assert_eq!(Thief::knowing(&["correct horse battery"], &[]).opens(&[record, lock]).len(), 1);
}
