//! Header and claims of a JWT, whose signature nobody looks at. Pure; touches nothing.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// A JWT (RFC 7519) in the compact serialization (RFC 7515 §7.1), without its signature.
pub(super) struct Jwt {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// Why there is nothing to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotReadable {
    /// It is no JWT.
    Opaque,
    /// It has the five parts of a JWE (RFC 7516 §7.1).
    Encrypted,
}

impl Jwt {
    pub(super) fn read(token: &str) -> Result<Self, NotReadable> {
        let parts: Vec<&str> = token.split('.').collect();
        match parts.as_slice() {
            [header, claims, _signature] => {
                let read = object(header).zip(object(claims));
                read.map(|(header, claims)| Self { header, claims }).ok_or(NotReadable::Opaque)
            }
            [header, _, _, _, _] if object(header).is_some() => Err(NotReadable::Encrypted),
            _ => Err(NotReadable::Opaque),
        }
    }

    pub(super) fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    // RFC 7515 §2 has no padding; some issuers do.
    let json = Zeroizing::new(BASE64URL_NOPAD.decode(part.trim_end_matches('=').as_bytes()).ok()?);
    match serde_json::from_slice(&json) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::commands::decode) fn token(header: &str, claims: &str, signature: &str) -> String {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        format!("{}.{}.{signature}", encode(header), encode(claims))
    }

    fn why(token: &str) -> Option<NotReadable> {
        Jwt::read(token).err()
    }

    #[test]
    fn header_and_claims_are_read_and_the_signature_is_not() {
        for signature in ["c2ln", "", "!!"] {
            let jwt =
                Jwt::read(&token(r#"{"alg":"RS256"}"#, r#"{"sub":"a","exp":5}"#, signature)).ok().unwrap();
            assert_eq!(
                (&jwt.header()["alg"], &jwt.claims()["exp"]),
                (&Value::from("RS256"), &Value::from(5))
            );
        }
    }

    #[test]
    fn what_is_no_jwt_is_opaque() {
        for text in
            ["opaque", "a.b.c", "..", "e30.e30", "e30.W10.", "e30.bnVsbA.x", "e30.e30.x.y", "a.b.c.d.e"]
        {
            assert_eq!(why(text), Some(NotReadable::Opaque), "{text}");
        }
        assert_eq!(why("e30.e30."), None);
        assert_eq!(why("e30.a.b.c.d"), Some(NotReadable::Encrypted));
    }
}
