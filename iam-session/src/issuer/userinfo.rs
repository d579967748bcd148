//! Who an access token stands for, as the issuer says (OpenID Connect Core §5.3). Pure; touches nothing.

use super::body::{BodyError, Object};
use super::call::{Call, Exchange, Payload};
use super::wire::{HelperAnswer, IssuerError};
use crate::secret::Secret;

/// More of a claim than this is read by nobody: it crosses a pipe in one line.
const MAX_CLAIM: usize = 64 * 1024;

/// `GET` with the access token.
pub(super) fn call<'r>(endpoint: &str, access_token: &'r Secret) -> Result<Call<'r>, IssuerError> {
    Ok(Call::new(Exchange::Userinfo, endpoint, Payload::Get)?.bearer(access_token))
}

/// Reads one claim. A signed answer (application/jwt) is no object: nobody asked for one at registration.
pub(super) fn answer(claim: &str, body: &[u8]) -> Result<HelperAnswer, BodyError> {
    let mut fields = Object::parse(body)?;
    let mut values = fields.values(claim);
    let mut room = MAX_CLAIM;
    values.retain(|value| match room.checked_sub(value.len()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    });
    // §5.3.2: sub is always there; what has none is some other page.
    fields.require_text("sub")?;
    Ok(HelperAnswer::Claim { values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(claim: &str, body: &str) -> Result<Vec<String>, BodyError> {
        match answer(claim, body.as_bytes())? {
            HelperAnswer::Claim { values } => Ok(values),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_claim_is_a_text_or_a_list_of_them() {
        let body =
            r#"{"sub":"5a1c","preferred_username":"alice","groups":["/a","/b",{}],"uid":1000,"x":null}"#;
        for (claim, said) in [
            ("sub", vec!["5a1c"]),
            ("preferred_username", vec!["alice"]),
            ("groups", vec!["/a", "/b"]),
            ("uid", vec!["1000"]),
            ("x", vec![]),
            ("email", vec![]),
        ] {
            assert_eq!(values(claim, body).unwrap(), said, "{claim}");
        }
    }

    #[test]
    fn a_claim_without_end_is_cut() {
        let body = format!(r#"{{"sub":"5a1c","groups":["/a","{}","/b"]}}"#, "x".repeat(MAX_CLAIM));
        assert_eq!(values("groups", &body).unwrap(), ["/a", "/b"]);
    }

    #[test]
    fn what_tells_nobody_is_refused() {
        for body in ["", "eyJh.eyJz.c2ln", "[]", r#"{"preferred_username":"alice"}"#, r#"{"sub":""}"#] {
            assert!(values("preferred_username", body).is_err(), "{body}");
        }
    }

    #[test]
    fn the_access_token_is_not_repeated() {
        let token = Secret::new("access-1".into());
        assert_eq!(call("https://a.example/userinfo", &token).unwrap().quote("access-1"), "[redacted]");
        assert!(call("http://a.example/userinfo", &token).is_err());
    }
}
