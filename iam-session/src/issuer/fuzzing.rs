//! What the fuzzers hold the readers of an issuer's answers to. Pure; touches nothing.

use zeroize::Zeroizing;

use super::body::BodyError;
use super::call::{Call, Response};
use super::redact::redact;
use super::refusal::refusal as refused;
use super::token::{Audience, ExpectedToken};
use super::wire::{AudienceMode, Client, ClientAuth, HelperAnswer, HelperReply, IssuerError, TokenAnswer};
use super::{device, discovery, management, registration, retry_after, token, url, userinfo, wire};
use crate::jwt::Jwt;
use crate::line;
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// What we have sent, and no message may repeat. It stands in an answer where the fuzzer writes `~`.
const SECRET: &str = "zQ7-canary-xW4-of-what-was-sent";
/// As `redact` promises: of a secret nothing longer.
const FRAGMENT: usize = 8;
const MAX_MESSAGE: usize = 300;
const ISSUER: &str = "https://iam.example/";

fn quoting(body: &[u8]) -> Vec<u8> {
    let stretches: Vec<&[u8]> = body.split(|byte| *byte == b'~').collect();
    stretches.join(SECRET.as_bytes())
}

fn with_call(check: impl FnOnce(&Call<'_>)) {
    let secret = Secret::new(SECRET.into());
    let client = Client {
        client_id: "client".into(),
        client_secret: Some(secret.duplicate()),
        auth: ClientAuth::Basic,
        registration_client_uri: None,
        registration_access_token: None,
    };
    let scope = ScopeSet::parse("openid");
    let audience = Audience { names: "", mode: AudienceMode::Audience };
    let wanted = ExpectedToken { refresh_token: &secret, scope: &scope, audience };
    match token::refresh("https://iam.example/token", &client, &wanted) {
        Ok(call) => check(&call),
        Err(error) => panic!("{error}"),
    }
}

fn can_be_shown(text: &str) {
    assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
    let repeats = SECRET
        .as_bytes()
        .windows(FRAGMENT)
        .any(|part| text.as_bytes().windows(FRAGMENT).any(|window| window == part));
    assert!(!repeats, "{text:?}");
}

fn crosses_the_pipe(reply: &HelperReply) {
    let Ok(line) = line::encode(reply, wire::MAX_LINE) else { panic!("{reply:?} is too long") };
    let again: Result<HelperReply, _> = serde_json::from_slice(&line);
    let again = again.ok().and_then(|again| line::encode(&again, wire::MAX_LINE).ok());
    assert_eq!(again.as_deref(), Some(&*line));
}

fn is_in_order(answer: &TokenAnswer) {
    let text = answer.access_token.expose();
    assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!((1..=365 * 86400).contains(&answer.expires_in));
}

/// A body of a good answer, to the request that the first byte says.
pub fn answer(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let body = quoting(body);
    let read = match kind % 5 {
        0 => discovery::answer(ISSUER, &body),
        1 => registration::answer(ISSUER, &ScopeSet::parse("openid"), ClientAuth::Basic, &body),
        2 => device::answer(&body),
        3 => token::answer(&body),
        _ => userinfo::answer("groups", &body),
    };
    match read {
        Ok(answer) => {
            if let HelperAnswer::Token(answer) = &answer {
                is_in_order(answer);
            }
            crosses_the_pipe(&HelperReply::Ok(answer));
        }
        Err(error) => unusable(&error, &body),
    }
}

/// A body of what an issuer says of a client that it has registered (RFC 7592): what is kept of it, and what is sent
/// back.
pub fn client(data: &[u8]) {
    let client = Client {
        client_id: "client".into(),
        client_secret: Some(Secret::new(SECRET.into())),
        auth: ClientAuth::Basic,
        registration_client_uri: Some("https://iam.example/register/client".into()),
        registration_access_token: Some(Secret::new(SECRET.into())),
    };
    let body = quoting(data);
    match management::told(&body, &client, &ScopeSet::parse("storage.read:/")) {
        Ok((answer, update)) => {
            is_still_ours(&answer);
            crosses_the_pipe(&HelperReply::Ok(answer));
            let sent: serde_json::Value = serde_json::from_slice(&update).unwrap_or_default();
            assert_eq!(sent["client_id"], "client");
            let scope = sent["scope"].as_str().unwrap_or_default();
            assert!(scope.split(' ').any(|scope| scope == "storage.read:/"), "{scope:?}");
            assert!(sent.get("registration_access_token").is_none());
        }
        Err(error) => unusable(&error, &body),
    }
}

/// Whoever changes it goes to the host that registered it, and with something to show there.
fn is_still_ours(answer: &HelperAnswer) {
    let HelperAnswer::Client { client, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(client.client_id, "client");
    assert!(client.client_secret.as_ref().is_some_and(|secret| !secret.expose().is_empty()));
    assert!(client.registration_access_token.as_ref().is_some_and(|token| !token.expose().is_empty()));
    let uri = client.registration_client_uri.as_deref().unwrap_or_default();
    assert!(url::endpoint(uri).is_ok_and(|uri| uri.host_str() == Some("iam.example")), "{uri:?}");
}

fn unusable(error: &BodyError, body: &[u8]) {
    with_call(|call| {
        let error = call.malformed(200, error);
        presentable(&error);
        if let Some((refresh_token, refresh_token_expires_at)) = token::salvage(body) {
            crosses_the_pipe(&HelperReply::Ok(HelperAnswer::Unusable {
                refresh_token,
                refresh_token_expires_at,
                error,
            }));
        }
    });
}

fn presentable(error: &IssuerError) {
    can_be_shown(&error.message);
    assert!(error.message.chars().count() <= MAX_MESSAGE, "{error}");
}

/// A body of an answer that is none, of the status that the first two bytes say.
pub fn refusal(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk() else { return };
    let status = 300 + u16::from_be_bytes(*status) % 300;
    let body = Zeroizing::new(quoting(body));
    with_call(|call| {
        let error = refused(call, &Response { status, retry_after: None, date: None, body });
        presentable(&error);
        crosses_the_pipe(&HelperReply::Error(error));
    });
}

/// Texts of an issuer: tokens, descriptions, headers, URLs.
pub fn text(data: &[u8]) {
    let text = String::from_utf8_lossy(&quoting(data)).into_owned();
    let payload = data_encoding::BASE64URL_NOPAD.encode(data);
    for token in [&text, &format!("e30.{payload}.")] {
        let Ok(jwt) = Jwt::read(token.as_bytes()) else { continue };
        for claim in ["sub", "jti"].into_iter().filter_map(|claim| token::name(&jwt, claim)) {
            assert!(claim.chars().count() <= 256 && !claim.contains(|c: char| c.is_control()), "{claim:?}");
        }
    }
    can_be_shown(&redact(&text, &[SECRET]));
    assert!(retry_after::seconds(&text, 1_800_000_000).is_none_or(|seconds| seconds <= 3600));
    if let Ok(url) = url::endpoint(&text) {
        assert_eq!(url.scheme(), "https");
    }
}
