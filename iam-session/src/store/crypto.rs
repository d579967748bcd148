//! The two primitives of the store, XChaCha20-Poly1305 and HKDF-SHA256, with our labels. Touches nothing.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Length of every key.
pub(crate) const KEY: usize = 32;
/// Length of an XChaCha20 nonce: long enough to be random (draft-irtf-cfrg-xchacha-03 §2.1).
pub(crate) const NONCE: usize = 24;
/// Length of a Poly1305 tag.
pub(crate) const TAG: usize = 16;

/// A key that wipes itself.
pub(crate) type SecretKey = Zeroizing<[u8; KEY]>;

/// HKDF with SHA-256 (RFC 5869), 32 bytes out.
pub(crate) fn derive(key: &[u8; KEY], salt: Option<&[u8]>, info: &[&[u8]]) -> SecretKey {
    let mut out = Zeroizing::new([0; KEY]);
    match Hkdf::<Sha256>::new(salt, key).expand_multi_info(info, out.as_mut_slice()) {
        Ok(()) => out,
        // RFC 5869 §2.3: only above 255 × 32 bytes. Never go on with a key of zeros.
        Err(_) => unreachable!("HKDF-SHA256 has 32 bytes to give"),
    }
}

/// `N` random bytes; `None` if the kernel has none, which getrandom(2) only says before it is seeded.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// Ciphertext and tag of `text`.
pub(crate) fn seal(key: &[u8; KEY], nonce: &[u8; NONCE], text: &[u8], bound: &[u8]) -> Option<Vec<u8>> {
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    cipher.encrypt(&XNonce::from(*nonce), Payload { msg: text, aad: bound }).ok()
}

/// The text, if `sealed` and `bound` are what was sealed.
pub(crate) fn open(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    sealed: &[u8],
    bound: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: bound }).ok().map(Zeroizing::new)
}
