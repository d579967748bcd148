//! Reads the claims of a JWT without checking its signature. Pure; touches nothing.
//!
//! We are not the token's audience: nothing is trusted because of a claim. Most are advisory, for `status`, warnings
//! and the audit line; `scope` and `aud` are what readers of the token go by, and are compared with what was asked.

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::body::Object;
use crate::scope::ScopeSet;

/// Longest token that is looked into; the token file holds 4096 bytes at most, refresh tokens are longer.
const MAX_TOKEN: usize = 16 * 1024;
/// OpenID Connect Core §2: `sub` has at most 255 characters.
const MAX_TEXT: usize = 256;

/// What we want to know of a token; all `None` where it is not a JWT.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// `exp`, seconds since the epoch.
    pub(super) expires_at: Option<u64>,
    /// `iat`, seconds since the epoch.
    pub(super) issued_at: Option<u64>,
    /// `sub`.
    pub(super) subject: Option<String>,
    /// `jti`.
    pub(super) id: Option<String>,
    /// `scope`.
    pub(super) scope: Option<ScopeSet>,
    /// `aud`, one or several.
    pub(super) audience: Option<Vec<String>>,
}

/// The claims of `token`. An unsigned one (`"alg":"none"`, nothing after the second dot), as IAM's refresh
/// tokens are, is as good as any.
pub(super) fn claims(token: &str) -> Claims {
    payload(token).map(read).unwrap_or_default()
}

fn payload(token: &str) -> Option<Object> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None; // an encrypted one (RFC 7516) has five parts
    }
    let json = Zeroizing::new(BASE64URL_NOPAD.decode(payload.trim_end_matches('=').as_bytes()).ok()?);
    Object::parse(&json).ok()
}

fn read(mut fields: Object) -> Claims {
    let date = |field| fields.number(field).and_then(|date| u64::try_from(date).ok());
    Claims {
        // Keycloak's offline tokens had a 0 that means "no end".
        expires_at: date("exp").filter(|&end| end != 0),
        issued_at: date("iat"),
        subject: fields.take_text("sub").filter(|text| is_printable(text)),
        id: fields.take_text("jti").filter(|text| is_printable(text)),
        scope: fields.scope("scope"),
        audience: Some(fields.values("aud")),
    }
}

/// Shown on terminals and written into logs: no control character, no bidirectional override, not endless.
fn is_printable(text: &str) -> bool {
    text.chars().count() <= MAX_TEXT
        && text.chars().all(|c| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str, signature: &str) -> String {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        format!("{}.{}.{signature}", encode(header), encode(payload))
    }

    #[test]
    fn an_unsigned_refresh_token_is_read() {
        let token = token(r#"{"alg":"none"}"#, r#"{"jti":"a-1","exp":1900000000.5,"iat":"1800000000"}"#, "");
        let read = Claims {
            expires_at: Some(1_900_000_000),
            issued_at: Some(1_800_000_000),
            id: Some("a-1".into()),
            audience: Some(Vec::new()),
            ..Claims::default()
        };
        assert_eq!(claims(&token), read);
    }

    #[test]
    fn an_end_of_zero_is_none() {
        assert_eq!(claims(&token("{}", r#"{"exp":0}"#, "s")).expires_at, None);
    }

    #[test]
    fn hostile_texts_are_dropped() {
        let long = "x".repeat(MAX_TEXT + 1);
        for sub in ["a\\u001b[2Jb", "a\\nb", "\\u202eevil", "a\\u0000", &long] {
            let token = token("{}", &format!(r#"{{"sub":"{sub}","exp":5}}"#), "s");
            assert_eq!((claims(&token).expires_at, claims(&token).subject), (Some(5), None), "{sub:.12}");
        }
        let name = token("{}", r#"{"sub":"Jürgen 漢"}"#, "s");
        assert_eq!(claims(&name).subject.as_deref(), Some("Jürgen 漢"));
    }

    #[test]
    fn what_is_no_jwt_has_no_claims() {
        let huge = token("{}", &format!(r#"{{"exp":5,"x":"{}"}}"#, "x".repeat(MAX_TOKEN)), "s");
        let five = format!("{}.x.y", token("{}", r#"{"exp":5}"#, "s"));
        let list = token("{}", "[1]", "s");
        for text in ["", "opaque", "a.b", "..", "a.!!.c", "a.e30", &huge, &five, &list] {
            assert_eq!(claims(text), Claims::default(), "{text:.20}");
        }
        let odd = claims(&token("{}", r#"{"exp":-5,"iat":[],"sub":1}"#, "s"));
        assert_eq!(odd, Claims { audience: Some(Vec::new()), ..Claims::default() });
    }
}
