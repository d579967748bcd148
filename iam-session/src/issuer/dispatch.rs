//! From a request to its answer: builds the call, has it sent, reads what came. Touches the network through
//! `transport` only, once per request and once more where the issuer wants it otherwise: whether and when to try again
//! is decided by who asked.

use super::body::BodyError;
use super::call::{Call, Exchange, Payload, Response};
use super::refusal::{refusal, refusal_in_success};
use super::token::{Audience, ExpectedToken};
use super::transport::{Connections, Deadline};
use super::wire::{ErrorClass, HelperAnswer, HelperRequest, IssuerError, Operation};
use super::{device, discovery, management, password, pkce, registration, revocation, token, userinfo};
use crate::secret::Secret;

/// Asks the issuer.
pub(super) fn perform(
    connections: &mut Connections,
    HelperRequest { operation: request, transport }: &HelperRequest,
    deadline: Deadline,
) -> Result<HelperAnswer, IssuerError> {
    if let Operation::WidenClient { client, scope, known } = request {
        return management::widen(client, scope, known, |call| connections.send(transport, call, deadline));
    }
    let is_proven = matches!(request, Operation::AuthorizeDevice { takes_verifier: true, .. });
    let verifier = is_proven.then(pkce::verifier).flatten();
    let challenge = verifier.as_ref().map(pkce::challenge);
    let challenge = challenge.as_deref();
    let call = call_for(request, challenge)?;
    let mut send = |call: &Call<'_>| connections.send(transport, call, deadline);
    let mut ask = |call: &Call<'_>| {
        let response = send(call)?;
        let answer = interpret(request, call, &response);
        // A client that is registered, and that nobody can use, is not left there.
        if let Some((uri, token)) = answer.is_err().then(|| useless(request, &response)).flatten() {
            let _ = registration::delete(&uri, &token).and_then(|call| send(&call));
        }
        answer
    };
    let mut answer = ask(&call);
    if let Some(call) = answer.as_ref().err().and_then(|error| another_try(request, challenge, error)) {
        answer = match ask(&call?) {
            Err(error) if says_nothing_more(request, &error) => answer,
            again => again,
        };
    }
    if let Ok(HelperAnswer::DeviceAuthorization(code)) = &mut answer {
        code.code_verifier = verifier;
    }
    answer.map_err(|error| with_nearest(request, error, send))
}

/// A client that was registered by an answer which cannot be used, as far as it can be deleted.
fn useless(request: &Operation, response: &Response) -> Option<(String, Secret)> {
    let Operation::Register { endpoint, .. } = request else { return None };
    (200..=299).contains(&response.status).then(|| registration::unusable(endpoint, &response.body)).flatten()
}

/// What an issuer that has refused a request may want instead.
fn another_try<'r>(
    request: &'r Operation,
    challenge: Option<&str>,
    refused: &IssuerError,
) -> Option<Result<Call<'r>, IssuerError>> {
    match request {
        Operation::Register { endpoint, client_name, scope, auth, initial_access_token, .. } => {
            let scope = registration::without_openid(scope, refused)?;
            Some(registration::call(endpoint, client_name, &scope, *auth, initial_access_token.as_ref()))
        }
        Operation::AuthorizeDevice { endpoint, client, scope, .. } => {
            let scope = device::without_offline_access(scope, refused)?;
            Some(device::call(endpoint, client, &scope, challenge))
        }
        Operation::Revoke { endpoint, client, refresh_token, .. } => {
            revocation::by_basic(endpoint, client, refresh_token, refused)
        }
        _ => None,
    }
}

/// Whether a refusal of another try is none of what was asked. A client that has not registered for Basic is refused by it,
/// and neither is the client gone nor the revocation refused.
fn says_nothing_more(request: &Operation, refused: &IssuerError) -> bool {
    matches!(request, Operation::Revoke { .. })
        && matches!(refused.class, ErrorClass::ClientGone | ErrorClass::Refused)
}

/// A discovery that found nothing, and one more, which may find where the issuer is.
fn with_nearest(
    request: &Operation,
    error: IssuerError,
    mut send: impl FnMut(&Call<'_>) -> Result<Response, IssuerError>,
) -> IssuerError {
    let mut found = || {
        let Operation::Discover { issuer, .. } = request else { return None };
        // What was found and is no issuer's, or is another's, has been told.
        error
            .status
            .filter(|_| error.class == ErrorClass::Malformed && error.message.starts_with("there is no"))?;
        let near = discovery::nearest(issuer)?;
        let response = send(&discovery::call(&near).ok()?).ok().filter(|response| response.status == 200)?;
        match discovery::answer(&near, &response.body) {
            Ok(HelperAnswer::Discovered { issuer, .. }) => Some(issuer),
            _ => None,
        }
    };
    match found() {
        Some(near) => {
            let message = format!("{}; '{near}' is one", error.message);
            IssuerError { message, ..error }
        }
        None => error,
    }
}

fn call_for<'r>(request: &'r Operation, challenge: Option<&str>) -> Result<Call<'r>, IssuerError> {
    match request {
        Operation::Discover { issuer } | Operation::Probe { issuer } => discovery::call(issuer),
        Operation::Register { endpoint, client_name, scope, auth, initial_access_token } => {
            let token = initial_access_token.as_ref();
            registration::call(endpoint, client_name, scope, *auth, token)
        }
        Operation::AuthorizeDevice { endpoint, client, scope, .. } => {
            device::call(endpoint, client, scope, challenge)
        }
        Operation::PollDevice { endpoint, client, device_code, code_verifier, audience, audience_mode } => {
            let audience = Audience { names: audience, mode: *audience_mode };
            device::poll(endpoint, client, device_code, code_verifier.as_ref(), audience)
        }
        Operation::Password { endpoint, client, username, password, scope, audience, audience_mode } => {
            let audience = Audience { names: audience, mode: *audience_mode };
            let login = password::PasswordLogin { username, password, scope, audience };
            password::call(endpoint, client, &login)
        }
        Operation::Refresh { endpoint, client, refresh_token, scope, audience, audience_mode } => {
            let audience = Audience { names: audience, mode: *audience_mode };
            token::refresh(endpoint, client, &ExpectedToken { refresh_token, scope, audience })
        }
        Operation::Adopt { endpoint, client, refresh_token } => token::adopt(endpoint, client, refresh_token),
        Operation::Userinfo { endpoint, access_token, .. } => userinfo::call(endpoint, access_token),
        Operation::Revoke { endpoint, client, refresh_token } => {
            revocation::call(endpoint, client, refresh_token)
        }
        // The first of its two, and not read here: `perform` sees to both.
        Operation::WidenClient { client, .. } => management::call(client, Payload::Get),
        Operation::Deregister { registration_client_uri, registration_access_token } => {
            registration::delete(registration_client_uri, registration_access_token)
        }
    }
}

/// Reads an answer; pure.
fn interpret(request: &Operation, call: &Call<'_>, response: &Response) -> Result<HelperAnswer, IssuerError> {
    let error = match (200..=299).contains(&response.status) {
        true => match (read(request, response), refusal_in_success(call, response)) {
            (Ok(HelperAnswer::Done | HelperAnswer::Claim { .. }) | Err(_), Some(error)) => error,
            (Ok(answer), _) => return Ok(answer),
            (Err(error), None) => call.malformed(response.status, &error),
        },
        false => refusal(call, response),
    };
    match (call.exchange, &error) {
        // A token that is dead (RFC 7009 §2.2).
        (Exchange::Revocation, error) if error.class == ErrorClass::CredentialDead => Ok(HelperAnswer::Done),
        // The registration token is not taken: the client is gone (RFC 7592 §2.3), or has another one by now.
        (Exchange::Deregistration, IssuerError { status: Some(401 | 404), .. }) => {
            Err(IssuerError { class: ErrorClass::ClientGone, ..error })
        }
        _ => salvage(request, &response.body, error),
    }
}

/// What of a useless answer to a refresh must not be lost, and what of one to a poll must be ended.
fn salvage(request: &Operation, body: &[u8], error: IssuerError) -> Result<HelperAnswer, IssuerError> {
    let may_have = match request {
        Operation::Refresh { .. } | Operation::Adopt { .. } => true,
        Operation::PollDevice { .. } => {
            !matches!(error.class, ErrorClass::AuthorizationPending | ErrorClass::SlowDown)
        }
        _ => false,
    };
    let saved = may_have.then(|| token::salvage(body)).flatten();
    let Some((refresh_token, refresh_token_expires_at)) = saved else { return Err(error) };
    Ok(HelperAnswer::Unusable { refresh_token, refresh_token_expires_at, error })
}

fn read(request: &Operation, response: &Response) -> Result<HelperAnswer, BodyError> {
    let body = &response.body;
    match request {
        // Who answers in somebody's place, as the page of a hotel's network does, has not been reached.
        Operation::Probe { issuer, .. } => {
            discovery::answer(issuer, body).map(|_| HelperAnswer::Reached { date: response.date })
        }
        Operation::Discover { issuer, .. } => discovery::answer(issuer, body),
        Operation::Register { endpoint, scope, auth, .. } => {
            registration::answer(endpoint, scope, *auth, body)
        }
        Operation::AuthorizeDevice { .. } => device::answer(body),
        Operation::PollDevice { .. }
        | Operation::Password { .. }
        | Operation::Refresh { .. }
        | Operation::Adopt { .. } => token::answer(body),
        Operation::Userinfo { claim, .. } => userinfo::answer(claim, body),
        // An issuer's own success says nothing (RFC 7009 §2.2); a page is of somebody in its place.
        Operation::Revoke { .. } if body.trim_ascii_start().starts_with(b"<") => Err(BodyError::NotAnObject),
        Operation::Revoke { .. } | Operation::Deregister { .. } | Operation::WidenClient { .. } => {
            Ok(HelperAnswer::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::super::call::tests::client;
    use super::super::wire::ClientAuth;
    use super::*;
    use crate::scope::ScopeSet;

    fn interpreted(request: &Operation, status: u16, body: &str) -> Result<HelperAnswer, IssuerError> {
        let call = call_for(request, None).unwrap();
        let response = Response {
            status,
            retry_after: None,
            date: None,
            body: Zeroizing::new(body.as_bytes().to_vec()),
        };
        interpret(request, &call, &response)
    }

    fn deregister() -> Operation {
        Operation::Deregister {
            registration_client_uri: "https://iam.example.org/c/1".into(),
            registration_access_token: Secret::new("rat".into()),
        }
    }

    fn revoke() -> Operation {
        Operation::Revoke {
            endpoint: "https://iam.example.org/revoke".into(),
            client: client(ClientAuth::Basic),
            refresh_token: Secret::new("rt".into()),
        }
    }

    #[test]
    fn what_is_gone_already_counts_as_done() {
        for (request, status, body) in [
            (deregister(), 204, ""),
            (deregister(), 200, "<html>"),
            (revoke(), 200, ""),
            (revoke(), 400, r#"{"error":"invalid_grant"}"#),
            (revoke(), 401, r#"{"error":"invalid_token"}"#),
        ] {
            assert!(matches!(interpreted(&request, status, body), Ok(HelperAnswer::Done)), "{status} {body}");
        }
        // It is gone, or has another registration token by now: who asked can tell.
        for status in [401, 404] {
            let error = interpreted(&deregister(), status, r#"{"error":"invalid_token"}"#).unwrap_err();
            assert_eq!(error.class, ErrorClass::ClientGone);
        }
    }

    #[test]
    fn what_was_not_ended_is_an_error() {
        for (request, status, body, class) in [
            (deregister(), 403, "", ErrorClass::Refused),
            (deregister(), 405, "", ErrorClass::Refused),
            (deregister(), 503, "", ErrorClass::Busy),
            (revoke(), 401, r#"{"error":"invalid_client"}"#, ErrorClass::ClientGone),
            (revoke(), 404, "", ErrorClass::Malformed),
            (revoke(), 200, "\n<html>", ErrorClass::Malformed),
            (revoke(), 500, "", ErrorClass::Busy),
        ] {
            assert_eq!(interpreted(&request, status, body).unwrap_err().class, class, "{status} {body}");
        }
    }

    #[test]
    fn a_page_in_place_of_a_token_says_so() {
        let error = interpreted(&poll(), 200, "<html>eyJsecret</html>").unwrap_err();
        assert_eq!((error.class, error.status), (ErrorClass::Malformed, Some(200)));
        assert_eq!(
            error.message,
            "iam.example.org answered the poll for a token with something that is not a JSON object"
        );
    }

    fn refresh() -> Operation {
        Operation::Adopt {
            endpoint: "https://iam.example.org/token".into(),
            client: client(ClientAuth::Basic),
            refresh_token: Secret::new("rt".into()),
        }
    }

    fn poll() -> Operation {
        Operation::PollDevice {
            endpoint: "https://iam.example.org/token".into(),
            client: client(ClientAuth::Public),
            device_code: Secret::new("dc".into()),
            code_verifier: None,
            audience: String::new(),
            audience_mode: Default::default(),
        }
    }

    #[test]
    fn an_error_without_a_token_is_an_error_whatever_status_and_shape() {
        use ErrorClass as Class;
        for (code, class) in [
            ("authorization_pending", Class::AuthorizationPending),
            ("access_denied", Class::AccessDenied),
            ("expired_token", Class::ExpiredToken),
            ("slow_down", Class::SlowDown),
            ("something_else", Class::Refused),
        ] {
            for body in [
                format!(r#"{{"error":"{code}","error_description":"so it is"}}"#),
                format!(r#"{{"error":{{"code":"{code}","message":"so it is"}}}}"#),
                format!(r#"{{"error":{{"code":403,"status":"{code}","message":"so it is"}}}}"#),
                format!("error={code}&error_description=so+it+is"),
            ] {
                for status in [200, 202, 400, 401] {
                    let error = interpreted(&poll(), status, &body).unwrap_err();
                    assert_eq!((error.class, error.status), (class, Some(status)), "{status} {body}");
                    assert!(error.message.contains(&format!("{code}: so it is")), "{error}");
                }
            }
        }
        let dead = r#"{"error":"invalid_grant"}"#;
        assert_eq!(interpreted(&refresh(), 200, dead).unwrap_err().class, Class::CredentialDead);
        let kept = r#"{"error":"invalid_scope","refresh_token":"rt-2"}"#;
        let Ok(HelperAnswer::Unusable { error, .. }) = interpreted(&refresh(), 200, kept) else { panic!() };
        assert_eq!(error.class, Class::ScopeRefused);
        let refused = r#"{"error":"unsupported_token_type"}"#;
        assert_eq!(interpreted(&revoke(), 200, refused).unwrap_err().class, Class::Refused);
        let token = r#"{"access_token":"at","error":"","error_description":null}"#;
        assert!(matches!(interpreted(&poll(), 200, token), Ok(HelperAnswer::Token(_))));
        let bound = r#"{"access_token":"at","token_type":"DPoP","refresh_token":"rt"}"#;
        let Ok(HelperAnswer::Unusable { error, .. }) = interpreted(&poll(), 200, bound) else { panic!() };
        assert_eq!(error.class, Class::Malformed);
    }

    #[test]
    fn a_page_that_speaks_of_an_error_is_none() {
        for page in ["<a href='?x&error=access_denied&y'>", "x\n&error=access_denied", "error=", "error"] {
            assert_eq!(interpreted(&poll(), 200, page).unwrap_err().class, ErrorClass::Malformed, "{page}");
        }
    }

    fn register(scope: &str) -> Operation {
        Operation::Register {
            endpoint: "https://kc.example.org/register".into(),
            client_name: "iam-session".into(),
            scope: ScopeSet::parse(scope),
            auth: ClientAuth::Basic,
            initial_access_token: None,
        }
    }

    /// What is sent after an answer, if anything is.
    fn sent_after(request: &Operation, status: u16, body: &str) -> Option<String> {
        let error = interpreted(request, status, body).unwrap_err();
        let call = another_try(request, None, &error)?.unwrap();
        Some(match call.payload {
            Payload::Json(body) => String::from_utf8(body.to_vec()).unwrap(),
            Payload::Form(form) => form.to_string(),
            _ => panic!(),
        })
    }

    #[test]
    fn a_registration_that_is_refused_for_its_scopes_is_tried_without_openid() {
        let policy = r#"{"error":"insufficient_scope","error_description":"Policy 'Allowed Client Scopes' rejected request to client-registration service. Details: Not permitted to use specified clientScope"}"#;
        let sent = sent_after(&register("openid wlcg"), 403, policy).unwrap();
        assert!(sent.contains(r#""scope":"wlcg""#), "{sent}");
        let standard = r#"{"error":"invalid_client_metadata","error_description":"Invalid scope: openid"}"#;
        assert!(sent_after(&register("openid wlcg"), 400, standard).is_some());
        for (scope, status, body) in [
            ("wlcg", 403, policy),
            ("openid", 401, r#"{"error":"invalid_token"}"#),
            ("openid", 400, r#"{"error":"Client registration is disabled"}"#),
            ("openid", 503, ""),
        ] {
            assert_eq!(sent_after(&register(scope), status, body), None, "{status} {body}");
        }
    }

    #[test]
    fn a_code_that_is_refused_for_its_scopes_is_asked_for_without_offline_access() {
        let authorize = |scope: &str| Operation::AuthorizeDevice {
            endpoint: "https://iam.example.org/devicecode".into(),
            client: client(ClientAuth::Public),
            scope: ScopeSet::parse(scope),
            takes_verifier: true,
        };
        let body = r#"{"error":"invalid_scope","error_description":"Some requested scopes were invalid"}"#;
        let sent = sent_after(&authorize("offline_access openid"), 400, body).unwrap();
        assert!(sent.starts_with("scope=openid&"), "{sent}");
        assert_eq!(sent_after(&authorize("openid"), 400, body), None);
        assert_eq!(
            sent_after(&authorize("openid offline_access"), 401, r#"{"error":"invalid_client"}"#),
            None
        );
    }

    #[test]
    fn another_issuers_document_names_both() {
        let request = Operation::Discover { issuer: "https://a.example".into() };
        let body = r#"{"issuer":"https://b.example/\u001b[2J","token_endpoint":"https://b.example/t"}"#;
        let error = interpreted(&request, 200, body).unwrap_err();
        assert_eq!(error.message, "a.example says that it is the issuer 'https://b.example/[2J'");
    }
}
