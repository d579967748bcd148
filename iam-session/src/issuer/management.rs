//! Widens what a registered client may ask for (RFC 7592 §2.1, §2.2). Pure but for `send`, which asks the issuer.
//!
//! An update replaces all of a client's metadata, so they are read first and sent back whole.

use zeroize::Zeroizing;

use super::body::{BodyError, Object, is_visible};
use super::call::{Call, Exchange, Payload, Response, failure};
use super::refusal::refusal;
use super::registration::{MAX_CREDENTIAL, OPENID, askable, management};
use super::url;
use super::wire::{Client, ErrorClass, HelperAnswer, IssuerError};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// What the issuer sets and an update must not carry (RFC 7592 §2.2).
const OF_THE_ISSUER: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

/// The client as the issuer has it now.
struct Registered {
    client: Client,
    scope: ScopeSet,
}

/// Has the issuer let `client` ask for `scope` too. Two requests at most, one if it may already.
///
/// Where the issuer does not tell what the client may ask for, it is `known`: an update that lacked it would take it away.
/// What the first one says of the client is kept in any case: an issuer may give a new registration token with it.
pub(super) fn widen(
    client: &Client,
    scope: &ScopeSet,
    known: &ScopeSet,
    mut send: impl FnMut(&Call<'_>) -> Result<Response, IssuerError>,
) -> Result<HelperAnswer, IssuerError> {
    let read = call(client, Payload::Get)?;
    let (mut metadata, now) = understood(&read, &send(&read)?, client, known)?;
    let answer = |registered, error| answer(registered, scope, error);
    // Whether or not it is listed, a client may ask for `openid`; Keycloak takes it in no registration.
    let needed = scope.without(OPENID);
    if now.scope.missing(&needed).is_empty() {
        return Ok(answer(now, None));
    }
    let wanted = now.scope.union(&needed);
    let updated = (|| {
        let write = call(&now.client, Payload::Put(update(&mut metadata, &now.client, &wanted)))?;
        understood(&write, &send(&write)?, &now.client, &wanted)
    })();
    match updated {
        Ok((_, updated)) => Ok(answer(updated, None)),
        Err(error) => Ok(answer(now, Some(error))),
    }
}

fn answer(registered: Registered, asked: &ScopeSet, error: Option<IssuerError>) -> HelperAnswer {
    HelperAnswer::Client { client: registered.client, scope: askable(registered.scope, asked), error }
}

pub(super) fn call(client: &Client, payload: Payload) -> Result<Call<'_>, IssuerError> {
    let managed = client.registration_client_uri.as_ref().zip(client.registration_access_token.as_ref());
    let (uri, token) = managed.ok_or_else(|| {
        failure(ErrorClass::Refused, "the client cannot be changed: its issuer gave nothing to do it with")
    })?;
    let call = Call::new(Exchange::Management, uri, payload)?.bearer(token);
    Ok(client.client_secret.iter().fold(call, Call::hiding))
}

fn understood(
    call: &Call<'_>,
    response: &Response,
    before: &Client,
    unless_told: &ScopeSet,
) -> Result<(Object, Registered), IssuerError> {
    if !(200..=299).contains(&response.status) {
        return Err(refusal(call, response));
    }
    read(&response.body, before, unless_told).map_err(|error| call.malformed(response.status, &error))
}

/// What an answer says of a client (for the fuzzers: nothing is sent).
#[cfg(feature = "fuzzing")]
pub(super) fn told(
    body: &[u8],
    before: &Client,
    scope: &ScopeSet,
) -> Result<(HelperAnswer, Zeroizing<Vec<u8>>), BodyError> {
    let (mut metadata, now) = read(body, before, &ScopeSet::default())?;
    let update = update(&mut metadata, &now.client, &now.scope.union(scope));
    Ok((answer(now, scope, None), update))
}

/// What the issuer leaves out is as it was before: IAM sends no registration token back.
fn read(body: &[u8], before: &Client, unless_told: &ScopeSet) -> Result<(Object, Registered), BodyError> {
    let mut fields = Object::parse(body)?;
    if fields.text("client_id") != Some(&before.client_id) {
        return Err(BodyError::Unusable("client_id", "is another client's"));
    }
    let scope = fields.scope("scope").unwrap_or_else(|| unless_told.clone());
    let mut client = before.duplicate();
    if client.client_secret.is_some()
        && let Some(secret) = fields.text("client_secret").filter(|text| is_secret(text))
    {
        client.client_secret = Some(Secret::new(secret.to_owned()));
    }
    let uri = client.registration_client_uri.clone();
    let token = fields.text("registration_access_token").map(str::to_owned);
    // Pinned at registration: what comes later may name another path, and sends secret and token nowhere else.
    let moved = fields.take_text("registration_client_uri").filter(|new| is_same_origin(uri.as_ref(), new));
    if let Some(new) = token.and_then(|token| management(moved.or(uri), token)) {
        (client.registration_client_uri, client.registration_access_token) = (Some(new.0), Some(new.1));
    }
    Ok((fields, Registered { client, scope }))
}

/// Some issuers show asterisks, or a part of the secret followed by them, to whoever reads a client.
fn is_secret(text: &str) -> bool {
    is_visible(text, MAX_CREDENTIAL) && !text.contains("***")
}

fn is_same_origin(pinned: Option<&String>, new: &str) -> bool {
    let origin = |text: &str| url::endpoint(text).ok().map(|url| url.origin());
    pinned.and_then(|pinned| origin(pinned)).is_some_and(|pinned| origin(new) == Some(pinned))
}

/// The whole object back, but for what is not the client's to say. A secret in it must be the current one (RFC 7592
/// §2.2), whatever the issuer showed in its place.
fn update(metadata: &mut Object, client: &Client, scope: &ScopeSet) -> Zeroizing<Vec<u8>> {
    OF_THE_ISSUER.iter().for_each(|field| metadata.remove(field));
    metadata.set("client_id", &client.client_id);
    if let Some(secret) = client.client_secret.as_ref().filter(|_| metadata.has("client_secret")) {
        metadata.set("client_secret", secret.expose());
    }
    metadata.set("scope", &scope.to_string());
    metadata.to_bytes()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::{Value, json};

    use super::super::call::{AuthorizationHeader, tests::client};
    use super::super::wire::ClientAuth;
    use super::*;

    const URI: &str = "https://a.example/c/1";

    fn managed() -> Client {
        Client {
            registration_client_uri: Some(URI.into()),
            registration_access_token: Some(Secret::new("token-1".into())),
            ..client(ClientAuth::Basic)
        }
    }

    /// What an issuer that answers so is asked, with which token, and what comes of it.
    fn widened(answers: &[(u16, Value)]) -> (Vec<(Value, String)>, Result<HelperAnswer, IssuerError>) {
        let asked = RefCell::new(Vec::new());
        let send = |call: &Call<'_>| {
            let (status, body) = &answers[asked.borrow().len()];
            let sent = match &call.payload {
                Payload::Put(body) => serde_json::from_slice(body).unwrap(),
                _ => Value::Null,
            };
            let AuthorizationHeader::Bearer(token) = &call.authorization else { panic!("no token") };
            asked.borrow_mut().push((sent, token.expose().to_owned()));
            Ok(Response {
                status: *status,
                retry_after: None,
                date: None,
                body: Zeroizing::new(body.to_string().into()),
            })
        };
        let answer = widen(
            &managed(),
            &ScopeSet::parse("openid storage.modify:/"),
            &ScopeSet::parse("openid storage.read:/"),
            send,
        );
        (asked.into_inner(), answer)
    }

    fn registered(scope: &str) -> Value {
        json!({"client_id": "id:1", "client_secret": "s cr&t%", "scope": scope, "contacts": [], "x_own": 7})
    }

    fn told(answer: Result<HelperAnswer, IssuerError>) -> (String, String, Option<ErrorClass>) {
        let Ok(HelperAnswer::Client { client, scope, error }) = answer else { panic!("{answer:?}") };
        let token = client.registration_access_token.unwrap().expose().to_owned();
        (token, scope.to_string(), error.map(|error| error.class))
    }

    #[test]
    fn the_whole_object_goes_back_with_the_wider_scope_and_without_what_is_the_issuers() {
        let mut before = registered("openid");
        before["registration_access_token"] = "token-2".into();
        before["registration_client_uri"] = URI.into();
        before["client_id_issued_at"] = 1.into();
        let (asked, answer) = widened(&[(200, before), (200, registered("openid storage.modify:/"))]);
        assert_eq!(asked[0], (Value::Null, "token-1".into()));
        assert_eq!(asked[1], (registered("openid storage.modify:/"), "token-2".into()));
        assert_eq!(told(answer), ("token-2".into(), "openid storage.modify:/".into(), None));
    }

    #[test]
    fn a_uri_of_another_origin_is_not_gone_to() {
        for (uri, kept) in [
            ("https://b.example/c/1", URI),
            ("https://a.example:8443/c/1", URI),
            ("https://a.example/c/2", "https://a.example/c/2"),
        ] {
            let mut now = registered("openid storage.modify:/");
            now["registration_client_uri"] = uri.into();
            now["registration_access_token"] = "token-2".into();
            let (_, answer) = widened(&[(200, now)]);
            let Ok(HelperAnswer::Client { client, .. }) = answer else { panic!() };
            assert_eq!(client.registration_client_uri.as_deref(), Some(kept), "{uri}");
            assert_eq!(client.registration_access_token.unwrap().expose(), "token-2");
        }
    }

    #[test]
    fn openid_is_never_added_and_never_missing() {
        let (asked, answer) =
            widened(&[(200, registered("email")), (200, registered("email storage.modify:/"))]);
        assert_eq!(asked[1].0["scope"], "email storage.modify:/");
        assert_eq!(told(answer).1, "email openid storage.modify:/");
        let (asked, answer) = widened(&[(200, registered("storage.modify:/"))]);
        assert_eq!((asked.len(), told(answer).1), (1, "openid storage.modify:/".into()));
    }

    #[test]
    fn a_client_that_may_already_is_not_changed() {
        let (asked, answer) = widened(&[(200, registered("openid storage.modify:/ wlcg"))]);
        assert_eq!((asked.len(), told(answer).1), (1, "openid storage.modify:/ wlcg".into()));
    }

    #[test]
    fn a_new_secret_is_kept_and_what_is_not_told_stays() {
        let mut after = registered("");
        after["client_secret"] = "another".into();
        after.as_object_mut().unwrap().remove("scope");
        let (_, answer) = widened(&[(200, registered("openid")), (200, after)]);
        let Ok(HelperAnswer::Client { client, scope, .. }) = answer else { panic!() };
        assert_eq!(client.client_secret.unwrap().expose(), "another");
        assert_eq!(client.registration_access_token.unwrap().expose(), "token-1");
        assert_eq!(scope.to_string(), "openid storage.modify:/");
    }

    #[test]
    fn where_no_scope_is_told_what_is_known_is_asked_for_too() {
        let (mut before, all) = (registered(""), "openid storage.modify:/ storage.read:/");
        before.as_object_mut().unwrap().remove("scope");
        let (asked, answer) = widened(&[(200, before), (200, registered(all))]);
        assert_eq!(asked[1].0["scope"], all);
        assert_eq!(told(answer).1, all);
    }

    #[test]
    fn a_secret_that_is_hidden_from_us_is_neither_kept_nor_sent() {
        for hidden in ["********", "s cr****", "\u{2022}\u{2022}\u{2022}\u{2022}"] {
            let (mut before, mut after) = (registered("openid"), registered("openid storage.modify:/"));
            for metadata in [&mut before, &mut after] {
                metadata["client_secret"] = hidden.into();
            }
            let (asked, answer) = widened(&[(200, before), (200, after)]);
            assert_eq!(asked[1].0["client_secret"], "s cr&t%", "{hidden}");
            let Ok(HelperAnswer::Client { client, .. }) = answer else { panic!("{hidden}") };
            assert_eq!(client.client_secret.unwrap().expose(), "s cr&t%", "{hidden}");
        }
    }

    #[test]
    fn a_refused_update_tells_why_and_keeps_the_new_registration_token() {
        let mut before = registered("openid");
        before["registration_access_token"] = "token-2".into();
        let refused = json!({"error": "invalid_client_metadata"});
        let (_, answer) = widened(&[(200, before), (400, refused)]);
        assert_eq!(told(answer), ("token-2".into(), "openid".into(), Some(ErrorClass::Refused)));
    }

    #[test]
    fn a_client_that_is_gone_another_one_or_a_page_is_an_error() {
        for (status, body) in [
            (401, json!({"error": "invalid_token"})),
            (404, json!(null)),
            (200, json!({"client_id": "other"})),
            (200, json!("page")),
        ] {
            assert!(widened(&[(status, body.clone())]).1.is_err(), "{status} {body}");
        }
    }
}
