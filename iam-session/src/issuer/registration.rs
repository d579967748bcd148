//! Dynamic client registration and its undoing (RFC 7591, RFC 7592). Pure; touches nothing.

use serde_json::json;
use zeroize::Zeroizing;

use super::body::{BodyError, Object, is_visible};
use super::call::{Call, Exchange, Payload};
use super::device::DEVICE_CODE_GRANT;
use super::url;
use super::wire::{Client, ClientAuth, HelperAnswer, IssuerError};
use crate::origin::is_of_same_server;
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// Longer identifiers and secrets than any issuer makes; they travel in headers.
pub(super) const MAX_CREDENTIAL: usize = 4096;
/// What makes a request one of OpenID Connect (Core §3.1.2.1).
pub(super) const OPENID: &str = "openid";

/// The client's metadata (RFC 7591 §2), POSTed as JSON. Keycloak refuses members that it does not know.
pub(super) fn call<'r>(
    endpoint: &str,
    client_name: &str,
    scope: &ScopeSet,
    auth: ClientAuth,
    initial_access_token: Option<&'r Secret>,
) -> Result<Call<'r>, IssuerError> {
    let metadata = json!({
        "client_name": client_name,
        "grant_types": [DEVICE_CODE_GRANT, "refresh_token"],
        // Neither: the device flow does not come back to us, and an absent response_types means "code".
        "response_types": [],
        "redirect_uris": [],
        "scope": scope.to_string(),
        "token_endpoint_auth_method": auth.name(),
    });
    let body = Zeroizing::new(metadata.to_string().into_bytes());
    let call = Call::new(Exchange::Registration, endpoint, Payload::Json(body))?;
    Ok(match initial_access_token {
        Some(token) => call.bearer(token),
        None => call,
    })
}

/// The scopes without `openid`, where they may be the reason of a refusal: IAM wants `openid` in a registration, and
/// for Keycloak it is no scope of a client's.
pub(super) fn without_openid(scope: &ScopeSet, refused: &IssuerError) -> Option<ScopeSet> {
    let is_about_scopes = matches!(refused.status, Some(400 | 403)) && refused.message.contains("cope");
    (is_about_scopes && scope.allows(OPENID)).then(|| scope.without(OPENID))
}

/// `told` by an issuer, and `openid` where it was asked for: every client of OpenID Connect may ask for it, listed or not.
pub(super) fn askable(mut told: ScopeSet, asked: &ScopeSet) -> ScopeSet {
    if asked.allows(OPENID) {
        told.insert(OPENID);
    }
    told
}

/// Reads the client that was registered at `endpoint` (RFC 7591 §3.2.1).
pub(super) fn answer(
    endpoint: &str,
    asked: &ScopeSet,
    auth: ClientAuth,
    body: &[u8],
) -> Result<HelperAnswer, BodyError> {
    let mut fields = Object::parse(body)?;
    let scope = askable(fields.scope("scope").unwrap_or_else(|| asked.clone()), asked);
    let auth = match fields.take_text("token_endpoint_auth_method") {
        Some(name) => ClientAuth::from_name(&name)
            .ok_or(BodyError::Unusable("token_endpoint_auth_method", "this program does not know"))?,
        None => auth,
    };
    let client_id = fields.require_text("client_id")?;
    if !is_visible(&client_id, MAX_CREDENTIAL) {
        return Err(BodyError::Unusable("client_id", "is not one word of visible ASCII"));
    }
    let client_secret = match auth {
        ClientAuth::Public => None,
        ClientAuth::Basic | ClientAuth::Post => Some(client_secret(&mut fields)?),
    };
    let (registration_client_uri, registration_access_token) = managed(&mut fields, endpoint).unzip();
    let client =
        Client { client_id, client_secret, auth, registration_client_uri, registration_access_token };
    Ok(HelperAnswer::Registered { client, scope })
}

/// Where a client is deleted, and with what. Another server than the one that registers clients is not told the token.
fn managed(fields: &mut Object, endpoint: &str) -> Option<(String, Secret)> {
    let uri = fields.take_text("registration_client_uri");
    let token = fields.take_text("registration_access_token")?;
    management(uri.filter(|uri| is_of_same_server(uri, endpoint)), token)
}

/// The client of an answer that is of no use otherwise, to be deleted.
pub(super) fn unusable(endpoint: &str, body: &[u8]) -> Option<(String, Secret)> {
    managed(&mut Object::parse(body).ok()?, endpoint)
}

fn client_secret(fields: &mut Object) -> Result<Secret, BodyError> {
    let secret = Secret::new(fields.require_text("client_secret")?);
    if is_visible(secret.expose(), MAX_CREDENTIAL) {
        Ok(secret)
    } else {
        Err(BodyError::Unusable("client_secret", "is not one word of visible ASCII"))
    }
}

/// URI and token are only of use together; without them the client cannot be deleted by us, which is no
/// reason to refuse it.
pub(super) fn management(uri: Option<String>, token: String) -> Option<(String, Secret)> {
    let token = Secret::new(token);
    let uri = uri.filter(|text| url::endpoint(text).is_ok())?;
    is_visible(token.expose(), MAX_CREDENTIAL * 4).then_some((uri, token))
}

/// `DELETE` with the registration token (RFC 7592 §2.3).
pub(super) fn delete<'r>(uri: &str, token: &'r Secret) -> Result<Call<'r>, IssuerError> {
    Ok(Call::new(Exchange::Deregistration, uri, Payload::Delete)?.bearer(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "https://iam.example.org/register";

    fn registered(body: &str) -> Result<(Client, ScopeSet), BodyError> {
        match answer(ENDPOINT, &ScopeSet::parse("openid storage.read:/"), ClientAuth::Basic, body.as_bytes())?
        {
            HelperAnswer::Registered { client, scope } => Ok((client, scope)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_metadata_are_what_issuers_take() {
        let token = Secret::new("initial-token".into());
        let scope = ScopeSet::parse("openid wlcg");
        let call =
            call("https://a.example/r", "iam-session:x:y", &scope, ClientAuth::Public, Some(&token)).unwrap();
        let Payload::Json(body) = &call.payload else { panic!() };
        let sent: serde_json::Value = serde_json::from_slice(body).unwrap();
        let members: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
        let standard = [
            "client_name",
            "grant_types",
            "redirect_uris",
            "response_types",
            "scope",
            "token_endpoint_auth_method",
        ];
        assert_eq!(members, standard, "Keycloak refuses a member that it does not know");
        assert_eq!(sent["scope"], "openid wlcg");
        assert_eq!(sent["token_endpoint_auth_method"], "none");
        assert_eq!(sent["grant_types"][0], "urn:ietf:params:oauth:grant-type:device_code");
        assert_eq!(sent["response_types"], serde_json::json!([]));
        assert!(sent.get("client_id").is_none() && sent.get("client_secret").is_none());
        assert_eq!(call.quote("initial-token?"), "[redacted]?");
    }

    #[test]
    fn an_answer_of_iam_is_read() {
        let (client, scope) = registered(
            r#"{"client_id":"5b0e6a6a-0000-4000-8000-000000000001","client_secret":"SECRET","scope":"openid",
                "created_at":1700000000000,"registration_client_uri":"https://iam.example.org/iam/api/client-registration/5b",
                "registration_access_token":"eyJr.eyJ4.c2ln","client_secret_expires_at":null,"contacts":[]}"#,
        )
        .unwrap();
        assert_eq!(client.auth, ClientAuth::Basic);
        assert_eq!(client.client_secret.unwrap().expose(), "SECRET");
        assert_eq!(client.registration_access_token.unwrap().expose(), "eyJr.eyJ4.c2ln");
        assert_eq!(scope, ScopeSet::parse("openid"), "what the issuer removed is missing");
    }

    #[test]
    fn openid_may_be_asked_for_whatever_the_answer_lists() {
        let body = r#"{"client_id":"a","client_secret":"s","scope":"storage.read:/ email"}"#;
        assert_eq!(registered(body).unwrap().1, ScopeSet::parse("email openid storage.read:/"));
        let unasked =
            answer(ENDPOINT, &ScopeSet::parse("email"), ClientAuth::Basic, body.as_bytes()).unwrap();
        let HelperAnswer::Registered { scope, .. } = unasked else { panic!() };
        assert_eq!(scope, ScopeSet::parse("email storage.read:/"));
    }

    #[test]
    fn the_issuers_choice_of_authentication_counts() {
        let (client, _) =
            registered(r#"{"client_id":"a","client_secret":"s","token_endpoint_auth_method":"none"}"#)
                .unwrap();
        assert!(client.auth == ClientAuth::Public && client.client_secret.is_none());
        let (client, scope) = registered(
            r#"{"client_id":"a","client_secret":"s","token_endpoint_auth_method":"client_secret_post"}"#,
        )
        .unwrap();
        assert_eq!(client.auth, ClientAuth::Post);
        assert_eq!(scope, ScopeSet::parse("openid storage.read:/"), "as asked where the issuer does not say");
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for body in [
            "{}",
            "<html>",
            r#"{"client_id":"a"}"#,
            r#"{"client_id":7,"client_secret":"s"}"#,
            r#"{"client_id":"","client_secret":"s"}"#,
            r#"{"client_id":"a\r\nX: y","client_secret":"s"}"#,
            r#"{"client_id":"a","client_secret":"s\n"}"#,
            r#"{"client_id":"a","client_secret":"s","token_endpoint_auth_method":"private_key_jwt"}"#,
        ] {
            assert!(registered(body).is_err(), "{body}");
        }
    }

    #[test]
    fn management_over_http_or_without_a_token_is_dropped() {
        for body in [
            r#"{"client_id":"a","client_secret":"s","registration_client_uri":"http://a/c","registration_access_token":"t"}"#,
            r#"{"client_id":"a","client_secret":"s","registration_client_uri":"https://a/c"}"#,
            r#"{"client_id":"a","client_secret":"s","registration_access_token":"t"}"#,
            r#"{"client_id":"a","client_secret":"s","registration_client_uri":"https://evil.example/c","registration_access_token":"t"}"#,
        ] {
            let (client, _) = registered(body).unwrap();
            assert!(client.registration_client_uri.is_none() && client.registration_access_token.is_none());
        }
    }
}
