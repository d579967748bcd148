//! Reads what a JWT says of itself. Pure; touches nothing.
//!
//! Nobody verifies the signature, because we are not the token's audience. Claims serve `status`, warnings, the audit
//! line, and the times at which a token ends. Nothing is granted or trusted because of one. `scope` and `aud` are
//! compared with what was asked, because readers of the token go by them.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::json::{self, whole, wipe};

/// A JWT (RFC 7519) in the compact serialization (RFC 7515 §7.1), without its signature. It is wiped: the claims of an
/// unsigned refresh token, as IAM's are, are the token.
pub(crate) struct Jwt {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// Why there is nothing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReadable {
    /// It is no JWT.
    Opaque,
    /// It has the five parts of a JWE (RFC 7516 §7.1).
    Encrypted,
}

impl Jwt {
    /// Reads a token, with or without white space around it.
    pub(crate) fn read(token: &[u8]) -> Result<Self, NotReadable> {
        let parts: Vec<&[u8]> = token.trim_ascii().split(|byte| *byte == b'.').collect();
        match parts.as_slice() {
            [header, claims, signature] if signature.iter().all(u8::is_ascii_graphic) => {
                let mut jwt = Self { header: Map::new(), claims: Map::new() };
                jwt.header = object(header).ok_or(NotReadable::Opaque)?;
                jwt.claims = object(claims).ok_or(NotReadable::Opaque)?;
                Ok(jwt)
            }
            [header, _, _, _, _] if object(header).is_some() => Err(NotReadable::Encrypted),
            _ => Err(NotReadable::Opaque),
        }
    }

    pub(crate) fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    pub(crate) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// `exp`. Keycloak's offline tokens had a 0 that means "no end".
    pub(crate) fn expires_at(&self) -> Option<u64> {
        self.date("exp").filter(|&end| end != 0)
    }

    /// A claim that is a NumericDate.
    pub(crate) fn date(&self, claim: &str) -> Option<u64> {
        self.claims.get(claim).and_then(numeric_date)
    }

    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// `aud`: one text or several (RFC 7519 §4.1.3).
    pub(crate) fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            Some(one) => one.as_str().into_iter().collect(),
            None => Vec::new(),
        }
    }
}

impl Drop for Jwt {
    fn drop(&mut self) {
        self.header.values_mut().chain(self.claims.values_mut()).for_each(wipe);
    }
}

fn object(part: &[u8]) -> Option<Map<String, Value>> {
    // RFC 7515 §2 has no padding; some issuers do.
    let padding = part.iter().rev().take_while(|byte| **byte == b'=').count();
    let json = Zeroizing::new(BASE64URL_NOPAD.decode(part.get(..part.len() - padding)?).ok()?);
    json::object(&json)
}

/// Whole seconds since the epoch of a NumericDate, which may have a fraction (RFC 7519 §2). Some issuers write it as a
/// text.
pub(crate) fn numeric_date(value: &Value) -> Option<u64> {
    whole(value).and_then(|date| u64::try_from(date).ok())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A token of these parts.
    pub(crate) fn jwt_of(header: &str, claims: &str, signature: &str) -> String {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        format!("{}.{}.{signature}", encode(header), encode(claims))
    }

    fn claiming(claims: &str) -> Jwt {
        Jwt::read(jwt_of("{}", claims, "s").as_bytes()).ok().unwrap()
    }

    #[test]
    fn header_and_claims_are_read_and_the_signature_is_not() {
        for signature in ["c2ln", "", "!!", "c2ln\n"] {
            let token = jwt_of(r#"{"alg":"RS256"}"#, r#"{"sub":"a","exp":5}"#, signature);
            let jwt = Jwt::read(token.as_bytes()).ok().unwrap();
            assert_eq!(
                (&jwt.header()["alg"], &jwt.claims()["exp"]),
                (&Value::from("RS256"), &Value::from(5))
            );
        }
    }

    #[test]
    fn what_is_no_jwt_is_opaque() {
        let why = |text: &str| Jwt::read(text.as_bytes()).err();
        let list = jwt_of("{}", r#"["https://a.example/",5]"#, "");
        for text in [
            "",
            "opaque",
            "a.b",
            "a.b.c",
            "..",
            "a.!!.c",
            "a.e30",
            "e30.e30",
            "e30.W10.",
            "e30.bnVsbA.x",
            "e30.e30.x.y",
            "a.b.c.d.e",
            // A token is one word.
            "e30.e30.x\nmore",
            &list,
        ] {
            assert_eq!(why(text), Some(NotReadable::Opaque), "{text}");
        }
        assert_eq!(why("e30.e30."), None);
        assert_eq!(why("e30=.e30==."), None);
        assert_eq!(why("e30.a.b.c.d"), Some(NotReadable::Encrypted));
    }

    #[test]
    fn a_date_may_have_a_fraction_or_be_a_text() {
        let jwt = claiming(r#"{"exp":1900000000.5,"iat":"1800000000"}"#);
        assert_eq!((jwt.expires_at(), jwt.date("iat")), (Some(1_900_000_000), Some(1_800_000_000)));
        for nonsense in ["-5", "[]", "null", "true", "\"soon\"", "\"inf\"", "\"nan\""] {
            let jwt = claiming(&format!(r#"{{"exp":{nonsense},"iat":{nonsense}}}"#));
            assert_eq!((jwt.expires_at(), jwt.date("iat")), (None, None), "{nonsense}");
        }
    }

    #[test]
    fn an_end_of_zero_is_none() {
        assert_eq!(claiming(r#"{"exp":0,"iat":0}"#).expires_at(), None);
    }

    #[test]
    fn an_audience_is_one_or_several() {
        assert_eq!(claiming(r#"{"aud":"a"}"#).audiences(), ["a"]);
        assert_eq!(claiming(r#"{"aud":["a",1,"b"],"other":{}}"#).audiences(), ["a", "b"]);
        assert_eq!(claiming("{}").audiences(), [""; 0]);
        // A claim that is wrong takes no other away.
        let jwt = claiming(r#"{"aud":{},"scope":[],"exp":5}"#);
        assert_eq!((jwt.audiences().len(), jwt.text("scope"), jwt.expires_at()), (0, None, Some(5)));
    }
}
