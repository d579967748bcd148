//! Proof that who redeems a device code is who asked for it (RFC 7636). Pure but for the system's randomness.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// 43 characters, as RFC 7636 §4.1 recommends.
const LENGTH: usize = 32;

/// A new `code_verifier`; none without randomness, and then the flow is as it was before there was one.
pub(super) fn verifier() -> Option<Secret> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    getrandom::fill(&mut *bytes).ok()?;
    Some(Secret::new(BASE64URL_NOPAD.encode(&*bytes)))
}

/// The `code_challenge` of a verifier, by the method S256.
pub(super) fn challenge(verifier: &Secret) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(verifier.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn each_is_another_one_of_43_characters() {
        let (one, other) = (verifier().unwrap(), verifier().unwrap());
        assert!(one.expose().len() == 43 && one.expose() != other.expose());
    }
}
