use zeroize::Zeroizing;

use super::super::call::{Payload, tests::client};
use super::super::wire::{Client, ClientAuth};
use super::*;
use crate::secret::Secret;

const CANARY: &str = "eyJhbGciOiJub25lIn0.eyJqdGkiOiJDQU5BUlkifQ.";

fn response(status: u16, body: &str) -> Response {
    Response { status, retry_after: None, date: None, body: Zeroizing::new(body.as_bytes().to_vec()) }
}

fn refused(exchange: Exchange, status: u16, body: &str) -> IssuerError {
    let secret = Secret::new(CANARY.to_owned());
    let call = Call::new(exchange, "https://iam.example.org/x", Payload::Get).unwrap().hiding(&secret);
    let error = refusal(&call, &response(status, body));
    assert_eq!(error.status, Some(status));
    assert!(error.message.contains("iam.example.org"), "{error}");
    assert!(error.message.chars().count() <= 300 && !error.message.contains("eyJ"), "{error}");
    assert!(error.message.chars().all(|c| !c.is_control()), "{error}");
    error
}

fn check(rows: &[(Exchange, u16, &str, ErrorClass)]) {
    for (exchange, status, body, class) in rows {
        let error = refused(*exchange, *status, body);
        assert_eq!(error.class, *class, "{exchange} {status} {body}: {error}");
    }
}

#[test]
fn what_indigo_iam_answers() {
    use ErrorClass as Class;
    use Exchange::{DeviceAuthorization, DevicePoll, Refresh, Registration};
    let dead =
        format!(r#"{{"error":"invalid_token","error_description":"Invalid refresh token: {CANARY}"}}"#);
    check(&[
        (
            Refresh,
            401,
            r#"{"error":"unauthorized","error_description":"Bad credentials"}"#,
            Class::ClientGone,
        ),
        (
            Refresh,
            401,
            r#"{"error":"invalid_client","error_description":"Bad credentials"}"#,
            Class::ClientGone,
        ),
        (Refresh, 401, &dead, Class::CredentialDead),
        (
            Refresh,
            400,
            r#"{"error":"invalid_grant","error_description":"User test needs to sign AUP for this organization in order to proceed."}"#,
            Class::AupUnsigned,
        ),
        (
            Refresh,
            401,
            r#"{"error":"unauthorized","error_description":"User test is not active."}"#,
            Class::UserSuspended,
        ),
        (
            Refresh,
            401,
            r#"{"error":"invalid_client","error_description":"Client is suspended"}"#,
            Class::ClientSuspended,
        ),
        (
            Refresh,
            400,
            r#"{"error":"invalid_scope","error_description":"Up-scoping is not allowed."}"#,
            Class::ScopeRefused,
        ),
        (Refresh, 400, r#"{"error":"invalid_target"}"#, Class::AudienceRefused),
        (
            Refresh,
            500,
            r#"{"error":"server_error","error_description":"could not execute statement"}"#,
            Class::Busy,
        ),
        (DeviceAuthorization, 400, r#"{"error":"invalid_scope"}"#, Class::ScopeRefused),
        (
            DeviceAuthorization,
            401,
            r#"{"error":"invalid_client","error_description":"Unauthorized grant type"}"#,
            Class::Refused,
        ),
        (DeviceAuthorization, 404, "", Class::ClientGone),
        (DevicePoll, 400, r#"{"error":"authorization_pending"}"#, Class::AuthorizationPending),
        (DevicePoll, 400, r#"{"error":"expired_token"}"#, Class::ExpiredToken),
        (DevicePoll, 400, r#"{"error":"invalid_grant"}"#, Class::ExpiredToken),
        (
            DevicePoll,
            400,
            r#"{"error":"invalid_grant","error_description":"User test needs to sign AUP for this organization in order to proceed."}"#,
            Class::AupUnsigned,
        ),
        (Registration, 400, r#"{"error":"Grant type not allowed: password"}"#, Class::Refused),
        (Registration, 400, r#"{"error":"Client registration is disabled"}"#, Class::RegistrationClosed),
        (Registration, 400, "", Class::Refused),
        (Registration, 403, "", Class::RegistrationClosed),
        (Registration, 401, r#"{"error":"invalid_token"}"#, Class::RegistrationClosed),
    ]);
}

#[test]
fn what_others_answer() {
    use ErrorClass as Class;
    use Exchange::{DeviceAuthorization, DevicePoll, Refresh, Registration, Revocation};
    check(&[
        (
            Refresh,
            400,
            r#"{"error":"invalid_grant","error_description":"grant request is invalid"}"#,
            Class::CredentialDead,
        ),
        (
            Refresh,
            400,
            r#"{"error":"invalid_grant","error_description":"Token is not active"}"#,
            Class::CredentialDead,
        ),
        (
            Refresh,
            400,
            r#"{"error":"invalid_grant","error_description":"User disabled"}"#,
            Class::UserSuspended,
        ),
        (
            Refresh,
            401,
            r#"{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}"#,
            Class::ClientGone,
        ),
        (Refresh, 400, r#"{"error":"unauthorized_client"}"#, Class::Refused),
        (Refresh, 400, r#"{"error":"temporarily_unavailable"}"#, Class::Busy),
        // CILogon: nothing there is out of order.
        (Refresh, 400, r#"{"error":"server_error"}"#, Class::Refused),
        (DevicePoll, 403, r#"{"error":"server_error"}"#, Class::Refused),
        (Revocation, 400, r#"{"error":"server_error"}"#, Class::Busy),
        (Refresh, 400, r#"{"error":"use_dpop_nonce"}"#, Class::Refused),
        (DeviceAuthorization, 400, r#"{"error":"unauthorized_client"}"#, Class::Refused),
        (DevicePoll, 400, r#"{"error":"slow_down"}"#, Class::SlowDown),
        (DevicePoll, 429, "", Class::SlowDown),
        (DevicePoll, 401, r#"{"error":"access_denied"}"#, Class::AccessDenied),
        (DevicePoll, 403, r#"{"error":"access_denied"}"#, Class::AccessDenied),
        (DevicePoll, 503, "<html>", Class::Busy),
        (Registration, 400, r#"{"error":"invalid_client_metadata"}"#, Class::Refused),
        (Registration, 403, r#"{"error":"insufficient_scope"}"#, Class::RegistrationClosed),
        (Registration, 404, "<html>", Class::RegistrationClosed),
        (Revocation, 400, r#"{"error":"invalid_grant"}"#, Class::CredentialDead),
        (Revocation, 400, r#"{"error":"unsupported_token_type"}"#, Class::Refused),
    ]);
}

#[test]
fn a_login_by_password_is_refused_for_many_reasons() {
    use Exchange::Password;
    let aup = r#"{"error":"invalid_grant","error_description":"User test needs to sign AUP for this organization in order to proceed."}"#;
    check(&[
        (
            Password,
            400,
            r#"{"error":"invalid_grant","error_description":"Bad credentials"}"#,
            ErrorClass::Refused,
        ),
        (
            Password,
            401,
            r#"{"error":"unauthorized","error_description":"Bad credentials"}"#,
            ErrorClass::ClientGone,
        ),
        (
            Password,
            401,
            r#"{"error":"invalid_client","error_description":"Unauthorized grant type"}"#,
            ErrorClass::Refused,
        ),
        (Password, 400, r#"{"error":"unsupported_grant_type"}"#, ErrorClass::Refused),
        (Password, 400, r#"{"error":"invalid_scope"}"#, ErrorClass::ScopeRefused),
        (Password, 400, aup, ErrorClass::AupUnsigned),
        (Password, 503, "", ErrorClass::Busy),
    ]);
    let body = r#"{"error":"invalid_grant","error_description":"Bad credentials"}"#;
    assert_eq!(
        refused(Password, 400, body).message,
        "iam.example.org refused the login by password (400): invalid_grant: Bad credentials"
    );
}

#[test]
fn where_a_policy_is_signed_is_told() {
    let aup = r#"{"error":"invalid_grant","error_description":"User test needs to sign AUP for this organization"}"#;
    for exchange in [Exchange::Password, Exchange::DevicePoll, Exchange::Refresh] {
        let message = refused(exchange, 400, aup).message;
        assert!(message.contains("to be signed, at https://iam.example.org/:"), "{message}");
    }
}

#[test]
fn overload_is_no_refusal_whatever_the_body_says() {
    let dead = r#"{"error":"invalid_grant"}"#;
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        for body in ["", "<html><h1>Oops</h1></html>", dead] {
            assert_eq!(refused(Exchange::Refresh, status, body).class, ErrorClass::Busy, "{status} {body}");
        }
    }
}

#[test]
fn a_refresh_is_not_given_up_for_a_proxys_answer() {
    let spring = r#"{"timestamp":"2024-01-01","status":404,"error":"Not Found","path":"/token"}"#;
    for status in [401, 403, 404, 405, 410] {
        for body in [
            "",
            " \n",
            "<html><body>Forbidden</body></html>",
            "{}",
            "null",
            "[\"invalid_grant\"]",
            "{\"error\":7}",
            "{\"error\":{\"code\":7}}",
        ] {
            assert_eq!(
                refused(Exchange::Refresh, status, body).class,
                ErrorClass::Malformed,
                "{status} {body}"
            );
        }
    }
    assert_eq!(refused(Exchange::Refresh, 404, spring).class, ErrorClass::Malformed);
    assert_eq!(refused(Exchange::DevicePoll, 404, "").class, ErrorClass::Malformed);
    assert_eq!(refused(Exchange::DeviceAuthorization, 404, "<html>").class, ErrorClass::Malformed);
}

#[test]
fn a_redirect_or_an_unknown_status_is_malformed() {
    for status in [100, 304, 399] {
        assert_eq!(refused(Exchange::Refresh, status, "").class, ErrorClass::Malformed);
    }
}

#[test]
fn the_issuers_words_are_quoted_without_secrets() {
    let body =
        format!(r#"{{"error":"invalid_token","error_description":"Invalid refresh token: {CANARY}"}}"#);
    assert_eq!(
        refused(Exchange::Refresh, 401, &body).message,
        "iam.example.org no longer accepts the refresh token: invalid_token: Invalid refresh token: [redacted]"
    );
    let endless =
        format!(r#"{{"error":"x\u001b[31m","error_description":"{}"}}"#, "long story ".repeat(1000));
    assert!(refused(Exchange::Refresh, 400, &endless).message.ends_with('…'));
}

#[test]
fn the_reason_of_a_refused_registration_is_shown() {
    let body = r#"{"error":"invalid_request","error_description":"Unrecognized field \"x_own\" (class org.keycloak.representations.oidc.OIDCClientRepresentation), not marked as ignorable"}"#;
    let message = refused(Exchange::Registration, 400, body).message;
    assert!(message.contains("Unrecognized field \"x_own\" (class org.keycloak"), "{message}");
    assert!(!message.contains("redacted"), "{message}");
}

#[test]
fn a_changed_secret_is_told_from_a_client_that_is_not_known() {
    let message = |code: &str| refused(Exchange::Refresh, 401, &format!(r#"{{"error":"{code}"}}"#)).message;
    let (unknown, secret) = (message("invalid_client"), message("unauthorized_client"));
    assert!(unknown.contains("does not know this client, or has disabled it"), "{unknown}");
    assert!(secret.contains("the secret of this client") && !secret.contains("know"), "{secret}");
}

#[test]
fn who_may_have_no_offline_access_is_told_whom_to_ask() {
    let body =
        r#"{"error":"not_allowed","error_description":"Offline tokens not allowed for the user or client"}"#;
    let error = refused(Exchange::DevicePoll, 400, body);
    assert_eq!(error.class, ErrorClass::Refused);
    assert!(error.message.contains("offline access: ask its administrators"), "{error}");
}

#[test]
fn a_clients_own_name_is_shown() {
    let id = "5b0e6a6a-1234-4000-8000-0000000000a1";
    let client = Client { client_id: id.into(), ..client(ClientAuth::Public) };
    let call = Call::form(Exchange::Refresh, "https://iam.example.org/token", &client, &[]).unwrap();
    let body = format!(
        r#"{{"error":"invalid_client","error_description":"Client is suspended: {id}, 6c0e6a6a-1234-4000-8000-0000000000a1"}}"#
    );
    let message = refusal(&call, &response(401, &body)).message;
    assert!(message.ends_with(&format!("Client is suspended: {id}, [redacted]")), "{message}");
}

#[test]
fn a_refused_scope_is_named_where_the_issuer_names_it() {
    let body = r#"{"error":"invalid_scope","error_description":"missing requested scope","scope":"storage.create:/"}"#;
    assert!(
        refused(Exchange::Refresh, 400, body).message.ends_with("missing requested scope: storage.create:/")
    );
}

#[test]
fn retry_after_is_passed_on() {
    let call = Call::new(Exchange::Refresh, "https://iam.example.org/x", Payload::Get).unwrap();
    let response = Response { retry_after: Some(7), ..response(503, "") };
    assert_eq!(refusal(&call, &response).retry_after, Some(7));
}
