//! What a token says about itself, for the words of a warning: nothing is decided by it. Pure; touches nothing.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// A token's payload, where the token is a JWT (RFC 7519).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Claims {
    /// When it ends, in seconds since the epoch.
    pub(crate) exp: Option<u64>,
    /// Who issued it.
    pub(crate) iss: Option<String>,
    /// Who it is for.
    pub(crate) aud: Audience,
    /// What it is good for.
    pub(crate) scope: Option<String>,
}

/// One, or several (RFC 7519 §4.1.3).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Audience {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

impl Claims {
    /// Those of a token; `None` if it is no JWT.
    pub(crate) fn of(token: &[u8]) -> Option<Self> {
        let payload = token.trim_ascii().split(|byte| *byte == b'.').nth(1)?;
        let claims = Zeroizing::new(BASE64URL_NOPAD.decode(payload).ok()?);
        serde_json::from_slice(&claims).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_one_or_several() {
        let audience = |claims: &str| {
            let token = format!("e30.{}.x\n", BASE64URL_NOPAD.encode(claims.as_bytes()));
            let claims = Claims::of(token.as_bytes()).unwrap();
            claims.aud.iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(audience(r#"{"aud":"a"}"#), ["a"]);
        assert_eq!(audience(r#"{"aud":["a","b"],"other":{}}"#), ["a", "b"]);
        assert_eq!(audience("{}"), [""; 0]);
        assert!(Claims::of(b"opaque").is_none() && Claims::of(b"a.!.c").is_none());
    }
}
