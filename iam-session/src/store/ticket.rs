//! What a mint gives a command line to keep for the next mint: sealed under a key that records are sealed with, so that
//! nobody else can read or make one. Touches nothing.

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::crypto;
use super::keyring::{Keyring, SealingKey};
use super::keys::KeyId;
use crate::bytes::ByteReader;

const LABEL: &[u8] = b"iam-session/v1/ticket";

/// Seals `text` for who has `key`; `None` for a kernel without randomness. `bound` must be the same when it is opened.
pub(crate) fn seal(text: &[u8], key: SealingKey<'_>, bound: &[u8]) -> Option<String> {
    let (salt, nonce) = (crypto::random::<32>()?, crypto::random()?);
    let id = key.user_key().id.0;
    let sealed = crypto::seal(
        &crypto::derive(&key.user_key().key, Some(&salt), &[LABEL]),
        &nonce,
        text,
        &[LABEL, &id, bound].concat(),
    )?;
    Some(BASE64URL_NOPAD.encode(&[&id[..], &salt, &nonce, &sealed].concat()))
}

/// What is in a ticket that one of these keys has sealed.
pub(crate) fn open(ticket: &str, keys: &Keyring, bound: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = BASE64URL_NOPAD.decode(ticket.as_bytes()).ok()?;
    let mut reader = ByteReader::new(&bytes);
    let (id, salt, nonce) = (reader.array::<8>()?, reader.array::<32>()?, reader.array()?);
    let sealed = reader.take(reader.left())?;
    let key = keys.find(KeyId(id))?;
    crypto::open(
        &crypto::derive(&key.key, Some(&salt), &[LABEL]),
        &nonce,
        sealed,
        &[LABEL, &id, bound].concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::keys::UserKey;
    use super::*;

    fn keys(key: u8) -> Keyring {
        Keyring::new(vec![UserKey { id: KeyId([7; 8]), key: Zeroizing::new([key; 32]) }])
    }

    #[test]
    fn only_the_same_key_opens_a_ticket_and_nothing_of_it_can_be_changed() {
        let ticket = seal(b"canary", keys(1).sealing().unwrap(), b"alice").unwrap();
        assert_eq!(open(&ticket, &keys(1), b"alice").unwrap().as_slice(), b"canary");
        assert!(open(&ticket, &keys(2), b"alice").is_none() && open(&ticket, &keys(1), b"bob").is_none());
        for at in 0..ticket.len() {
            let mut bytes = ticket.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(open(&changed, &keys(1), b"alice").is_none(), "{at}");
        }
        for cut in ["", "AAAA", &ticket[1..], &ticket[..ticket.len() - 4]] {
            assert!(open(cut, &keys(1), b"alice").is_none(), "{cut}");
        }
    }
}
