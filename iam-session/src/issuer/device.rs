//! The device flow (RFC 8628): its start and one poll. Pure; touches nothing.

use super::body::{BodyError, Object, is_visible};
use super::call::{Call, Exchange};
use super::token::Audience;
use super::url;
use super::wire::{Client, DeviceCode, ErrorClass, HelperAnswer, IssuerError, UserCode};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// RFC 8628 §3.4.
pub(super) const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The only one that anybody should use (RFC 7636 §4.2).
const CHALLENGE_METHOD: &str = "S256";

/// What IAM gives a code, and our value where the issuer leaves out what RFC 8628 §3.2 requires.
const DEFAULT_LIFE: u64 = 600;
/// Nobody sits before a code for longer.
const MAX_LIFE: u64 = 86400;
/// RFC 8628 §3.2, "If no value is provided, clients MUST use 5 as the default".
const DEFAULT_INTERVAL: u64 = 5;
/// An interval of a day would make the flow hang; a slower issuer answers `slow_down`.
const MAX_INTERVAL: u64 = 60;
/// Longest device code; a random string at every issuer we know.
const MAX_DEVICE_CODE: usize = 4096;
/// Longest user code: people type it.
const MAX_USER_CODE: usize = 64;

/// Asks for a code. An `audience` is not sent: IAM drops it here, and takes it with the poll. A challenge is always:
/// some servers demand one (EGI Check-in; Keycloak where a client says so), and RFC 6749 §3.1 has the others ignore it.
pub(super) fn call<'r>(
    endpoint: &str,
    client: &'r Client,
    scope: &ScopeSet,
    challenge: Option<&str>,
) -> Result<Call<'r>, IssuerError> {
    let scope = scope.to_string();
    let mut fields = vec![("scope", scope.as_str())];
    if let Some(challenge) = challenge {
        fields.extend([("code_challenge", challenge), ("code_challenge_method", CHALLENGE_METHOD)]);
    }
    Call::form(Exchange::DeviceAuthorization, endpoint, client, &fields)
}

/// The scopes without `offline_access`, where an issuer has refused a scope: some know it not (Google, GitLab), and give
/// a refresh token all the same.
pub(super) fn without_offline_access(scope: &ScopeSet, refused: &IssuerError) -> Option<ScopeSet> {
    let narrower = scope.without("offline_access");
    (refused.class == ErrorClass::ScopeRefused && narrower != *scope && !narrower.is_empty())
        .then_some(narrower)
}

/// One poll at the token endpoint (RFC 8628 §3.4).
pub(super) fn poll<'r>(
    endpoint: &str,
    client: &'r Client,
    device_code: &'r Secret,
    verifier: Option<&'r Secret>,
    audience: Audience<'r>,
) -> Result<Call<'r>, IssuerError> {
    let mut fields = vec![("grant_type", DEVICE_CODE_GRANT), ("device_code", device_code.expose())];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier.expose())));
    audience.add_to(&mut fields, Exchange::DevicePoll)?;
    let call = Call::form(Exchange::DevicePoll, endpoint, client, &fields)?.hiding(device_code);
    Ok(verifier.into_iter().fold(call, Call::hiding))
}

/// Reads what the user must be shown (RFC 8628 §3.2). All of it goes to a terminal and into a QR code.
pub(super) fn answer(body: &[u8]) -> Result<HelperAnswer, BodyError> {
    let mut fields = Object::parse(body)?;
    let device_code = Secret::new(fields.require_text("device_code")?);
    if !is_visible(device_code.expose(), MAX_DEVICE_CODE) {
        return Err(BodyError::Unusable("device_code", "is not one word of visible ASCII"));
    }
    let user_code = fields.require_text("user_code")?;
    if user_code.len() > MAX_USER_CODE || !user_code.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(BodyError::Unusable("user_code", "nobody can type"));
    }
    let verification_uri = match fields.take_text("verification_url") {
        // Google's name for it, from before RFC 8628.
        Some(url) if !fields.has("verification_uri") => url,
        _ => fields.require_text("verification_uri")?,
    };
    if !url::is_showable(&verification_uri) {
        return Err(BodyError::Unusable("verification_uri", "nobody can open"));
    }
    let verification_uri_complete =
        fields.take_text("verification_uri_complete").filter(|text| url::is_showable(text));
    let shown = UserCode {
        user_code,
        verification_uri,
        verification_uri_complete,
        expires_in: life(&fields)?,
        interval: interval(&fields),
    };
    Ok(HelperAnswer::DeviceAuthorization(DeviceCode { device_code, code_verifier: None, shown }))
}

fn life(fields: &Object) -> Result<u64, BodyError> {
    match fields.number("expires_in").map(u64::try_from) {
        None => Ok(DEFAULT_LIFE),
        Some(Ok(life @ 1..)) => Ok(life.min(MAX_LIFE)),
        Some(_) => Err(BodyError::Unusable("expires_in", "has already passed")),
    }
}

fn interval(fields: &Object) -> u64 {
    let asked =
        fields.number("interval").map_or(DEFAULT_INTERVAL, |seconds| u64::try_from(seconds).unwrap_or(1));
    asked.clamp(1, MAX_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::super::call::tests::{client, form_of};
    use super::super::wire::{AudienceMode, ClientAuth};
    use super::*;

    fn shown(extra: &str) -> Result<(u64, u64, Option<String>), BodyError> {
        let body = format!(
            r#"{{"device_code":"dc","user_code":"ABCD-EFGH","verification_uri":"https://iam.example.org/device"{extra}}}"#
        );
        match answer(body.as_bytes())? {
            HelperAnswer::DeviceAuthorization(DeviceCode { shown, .. }) => {
                Ok((shown.expires_in, shown.interval, shown.verification_uri_complete))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scope_and_code_are_sent() {
        let client = client(ClientAuth::Public);
        let scope = ScopeSet::parse("openid storage.read:/");
        let start = |challenge| form_of(&call("https://a.example/d", &client, &scope, challenge).unwrap());
        assert_eq!(start(None), "scope=openid+storage.read%3A%2F&client_id=id%3A1");
        assert_eq!(
            start(Some("c-1")),
            "scope=openid+storage.read%3A%2F&code_challenge=c-1&code_challenge_method=S256&client_id=id%3A1"
        );
        let code = Secret::new("device-code-1".into());
        let verifier = Secret::new("verifier-1".into());
        let poll = |names, verifier| {
            let audience = Audience { names, mode: AudienceMode::Audience };
            poll("https://a.example/t", &client, &code, verifier, audience).unwrap()
        };
        let polled = |names| poll(names, None);
        let grant =
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=device-code-1";
        assert_eq!(form_of(&polled("")), format!("{grant}&client_id=id%3A1"));
        assert_eq!(form_of(&polled("a b")), format!("{grant}&audience=a+b&client_id=id%3A1"));
        assert_eq!(polled("").quote("device-code-1"), "[redacted]");
        let proven = poll("", Some(&verifier));
        assert_eq!(form_of(&proven), format!("{grant}&code_verifier=verifier-1&client_id=id%3A1"));
        assert_eq!(proven.quote("verifier-1"), "[redacted]");
    }

    #[test]
    fn times_have_defaults_and_limits() {
        for (extra, times) in [
            ("", (600, 5)),
            (r#","expires_in":900,"interval":10"#, (900, 10)),
            (r#","expires_in":"900","interval":"7""#, (900, 7)),
            (r#","expires_in":1e99,"interval":0"#, (86400, 1)),
            (r#","interval":-3"#, (600, 1)),
            (r#","interval":86400"#, (600, 60)),
            (r#","expires_in":null,"interval":{}"#, (600, 5)),
        ] {
            let (life, interval, _) = shown(extra).unwrap();
            assert_eq!((life, interval), times, "{extra}");
        }
        for extra in [r#","expires_in":0"#, r#","expires_in":-1"#] {
            assert!(shown(extra).is_err(), "{extra}");
        }
    }

    #[test]
    fn a_complete_uri_that_nobody_can_open_is_left_out() {
        let complete = "https://iam.example.org/device?user_code=ABCD-EFGH";
        let (.., found) = shown(&format!(r#","verification_uri_complete":"{complete}""#)).unwrap();
        assert_eq!(found.as_deref(), Some(complete));
        let (.., found) = shown(r#","verification_uri_complete":"javascript:alert(1)""#).unwrap();
        assert_eq!(found, None);
    }

    #[test]
    fn the_older_name_of_the_uri_is_understood_and_counts_less() {
        for (fields, uri) in [
            (r#""verification_url":"https://a/old""#, "https://a/old"),
            (r#""verification_url":"https://a/old","verification_uri":"https://a/d""#, "https://a/d"),
        ] {
            let body = format!(r#"{{"device_code":"dc","user_code":"A",{fields}}}"#);
            let Ok(HelperAnswer::DeviceAuthorization(code)) = answer(body.as_bytes()) else {
                panic!("{body}")
            };
            assert_eq!(code.shown.verification_uri, uri);
        }
    }

    #[test]
    fn what_would_be_shown_must_be_harmless() {
        let long = "A".repeat(65);
        for (device, user, uri) in [
            ("", "A", "https://a/d"),
            ("a b", "A", "https://a/d"),
            ("dc", "", "https://a/d"),
            ("dc", "A\\u001b]0;x\\u0007", "https://a/d"),
            ("dc", &long, "https://a/d"),
            ("dc", "A", ""),
            ("dc", "A", "file:///etc/passwd"),
            ("dc", "A", "https://a/\\u001b[2J"),
            ("dc", "A", "https://iam.example.org@evil.example/"),
        ] {
            let body =
                format!(r#"{{"device_code":"{device}","user_code":"{user}","verification_uri":"{uri}"}}"#);
            assert!(answer(body.as_bytes()).is_err(), "{body}");
        }
    }
}
