//! What an answer means that is no success: status and body → class and message. Pure; touches nothing.
//!
//! The classes that stop renewal (a dead credential, a client that is gone, a suspension) are only ever
//! concluded from an OAuth error that says so. A proxy's 401, 403 or 404 without one passes again by itself.

use super::body::Object;
use super::call::{Call, Exchange, Response, failure};
use super::redact::shorten;
use super::wire::{ErrorClass, IssuerError};

/// Longest quotation of an issuer in a message.
const MAX_QUOTE: usize = 200;

/// Where an error that is an object has what RFC 6749 calls `error`.
const CODES: [&str; 4] = ["error", "code", "type", "status"];
/// And what it calls `error_description`.
const DESCRIPTIONS: [&str; 3] = ["error_description", "message", "description"];

/// The OAuth error of a body (RFC 6749 §5.2); all texts empty where there is none.
#[derive(Default)]
struct OAuthError {
    code: String,
    description: String,
    /// Of `invalid_scope`, where the issuer says which.
    scope: String,
}

/// Classifies an answer that is not 2xx.
pub(super) fn refusal(call: &Call<'_>, response: &Response) -> IssuerError {
    classified(call, response, &OAuthError::read(&response.body))
}

/// The error that a 2xx names: there are issuers that answer every refusal with 200.
pub(super) fn refusal_in_success(call: &Call<'_>, response: &Response) -> Option<IssuerError> {
    let error = OAuthError::read(&response.body);
    (!error.code.is_empty()).then(|| classified(call, response, &error))
}

fn classified(call: &Call<'_>, response: &Response, error: &OAuthError) -> IssuerError {
    let class = classify(call.exchange, response, error);
    if class == ErrorClass::Malformed && call.exchange == Exchange::Discovery {
        return call.no_issuer(response.status);
    }
    let message = format!("{}{}", sentence(class, call, response.status, error), quotation(call, error));
    IssuerError { retry_after: response.retry_after, ..failure(class, &message).with_status(response.status) }
}

impl OAuthError {
    fn read(body: &[u8]) -> Self {
        let Ok(mut fields) = Object::parse(body) else { return Self::of_form(body) };
        let scope = fields.scope("scope").unwrap_or_default().to_string();
        // Some put the error into an object of its own.
        let mut inner = fields.take_object("error").unwrap_or_default();
        let code = fields.take_text("error").or_else(|| inner.take_first_text(&CODES));
        let description = fields.take_text("error_description");
        let description = description.or_else(|| inner.take_first_text(&DESCRIPTIONS));
        Self { code: code.unwrap_or_default(), description: description.unwrap_or_default(), scope }
    }

    /// A form in place of JSON, as the first drafts of OAuth had it. A page is none.
    fn of_form(body: &[u8]) -> Self {
        if !body.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'<') {
            return Self::default();
        }
        let mut error = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            match name.as_ref() {
                "error" => error.code = value.into_owned(),
                "error_description" => error.description = value.into_owned(),
                _ => {}
            }
        }
        error
    }

    fn says(&self, words: &str) -> bool {
        self.description.to_ascii_lowercase().contains(words)
    }

    /// "User x needs to sign AUP for this organization in order to proceed."
    fn wants_aup(&self) -> bool {
        self.description
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word.eq_ignore_ascii_case("aup"))
    }

    /// IAM: "User x is not active."; Keycloak: "User disabled".
    fn names_inactive_user(&self) -> bool {
        self.says("user") && (self.says("is not active") || self.says("disabled"))
    }
}

fn classify(exchange: Exchange, response: &Response, error: &OAuthError) -> ErrorClass {
    match response.status {
        429 if exchange == Exchange::DevicePoll => ErrorClass::SlowDown,
        408 | 425 | 429 | 500.. => ErrorClass::Busy,
        // Nobody is refused a document that everybody may read: it is not there.
        _ if exchange == Exchange::Discovery => ErrorClass::Malformed,
        status @ (200..=299 | 400..=499) => {
            let by_code = by_code(exchange, status, error);
            by_code
                .unwrap_or_else(|| by_status(exchange, status, response.body.trim_ascii().is_empty(), error))
        }
        _ => ErrorClass::Malformed,
    }
}

/// What a standard error code means; IAM answers `invalid_token` and `unauthorized` where RFC 6749 §5.2 has
/// `invalid_grant` and `invalid_client`.
fn by_code(exchange: Exchange, status: u16, error: &OAuthError) -> Option<ErrorClass> {
    use ErrorClass as Class;
    Some(match (error.code.as_str(), exchange) {
        ("invalid_grant" | "unauthorized", _) if error.names_inactive_user() => Class::UserSuspended,
        ("invalid_grant", _) if error.wants_aup() => Class::AupUnsigned,
        ("invalid_client" | "unauthorized_client", _) if error.says("suspended") => Class::ClientSuspended,
        ("temporarily_unavailable", _) => Class::Busy,
        // Of a refresh it is an answer like another (CILogon). What is to be ended is not given up for it.
        ("server_error", Exchange::Revocation | Exchange::Deregistration) => Class::Busy,

        ("invalid_client" | "unauthorized" | "invalid_token", Exchange::Registration) => {
            Class::RegistrationClosed
        }
        // The registration token is not taken (RFC 7592 §2.1); the client itself may live on.
        ("invalid_client" | "unauthorized" | "invalid_token", Exchange::Management) => Class::Refused,

        ("authorization_pending", Exchange::DevicePoll) => Class::AuthorizationPending,
        ("slow_down", Exchange::DevicePoll) => Class::SlowDown,
        ("access_denied", Exchange::DevicePoll) => Class::AccessDenied,
        // A code that is unknown, used or another client's: polling on is of no use.
        ("expired_token" | "invalid_grant", Exchange::DevicePoll) => Class::ExpiredToken,
        ("invalid_grant" | "invalid_token", Exchange::Refresh | Exchange::Revocation) => {
            Class::CredentialDead
        }

        // The client exists, but may not use this grant; IAM says so with 401 invalid_client.
        ("invalid_client", _) if error.says("unauthorized grant type") => Class::Refused,
        ("invalid_client" | "unauthorized", _) => Class::ClientGone,
        // Keycloak answers a wrong secret so; with 400 it is about the grant type (RFC 6749 §5.2).
        ("unauthorized_client", _) if status == 401 => Class::ClientGone,
        ("invalid_scope", _) => Class::ScopeRefused,
        ("invalid_target", _) => Class::AudienceRefused,
        (
            "invalid_request"
            | "unauthorized_client"
            | "server_error"
            | "unsupported_grant_type"
            | "unsupported_token_type"
            | "access_denied"
            | "invalid_grant"
            | "insufficient_scope"
            | "invalid_client_metadata"
            | "invalid_redirect_uri",
            _,
        ) if exchange != Exchange::Registration || !matches!(status, 401..=499) => Class::Refused,
        _ => return None,
    })
}

/// What is left: free text in place of a code (IAM's registration), an empty body, a proxy's page.
fn by_status(exchange: Exchange, status: u16, empty: bool, error: &OAuthError) -> ErrorClass {
    match (exchange, status) {
        // IAM, where a site has switched it off.
        (Exchange::Registration, _)
            if error.code.to_ascii_lowercase().contains("registration is disabled") =>
        {
            ErrorClass::RegistrationClosed
        }
        (Exchange::Registration, 401 | 403 | 404 | 405) => ErrorClass::RegistrationClosed,
        // IAM's answer to an authentication method that it does not know: no word of it.
        (Exchange::Registration, 400) => ErrorClass::Refused,
        // IAM's answer to a client_id that it does not know.
        (Exchange::DeviceAuthorization, 404) if empty => ErrorClass::ClientGone,
        (Exchange::Deregistration | Exchange::Management, _) => ErrorClass::Refused,
        (_, 200..=299 | 400 | 401) if !error.code.is_empty() => ErrorClass::Refused,
        _ => ErrorClass::Malformed,
    }
}

fn sentence(class: ErrorClass, call: &Call<'_>, status: u16, error: &OAuthError) -> String {
    let (host, exchange) = (call.host(), call.exchange);
    match class {
        ErrorClass::Busy if status == 429 => format!("{host} asks for fewer requests (429)"),
        ErrorClass::Busy => format!("{host} is out of order or overloaded ({status})"),
        ErrorClass::CredentialDead => format!("{host} no longer accepts the refresh token"),
        // Keycloak tells a wrong secret apart; of a client that it does not know it says what it says of a disabled one.
        ErrorClass::ClientGone if error.code == "unauthorized_client" => {
            format!("{host} does not accept the secret of this client: it has changed")
        }
        ErrorClass::ClientGone => {
            format!("{host} does not know this client, or has disabled it, or its secret has changed")
        }
        ErrorClass::ClientSuspended => format!("{host} has suspended this client"),
        ErrorClass::UserSuspended => format!("{host} has suspended this user"),
        // Its pages show the policy to whoever logs in there.
        ErrorClass::AupUnsigned => {
            let pages = call.url.origin().ascii_serialization();
            format!("{host} wants its acceptable use policy to be signed, at {pages}/")
        }
        ErrorClass::ScopeRefused => format!("{host} refused a scope"),
        ErrorClass::AudienceRefused => format!("{host} refused the audience"),
        ErrorClass::AuthorizationPending => format!("{host} waits for the user"),
        ErrorClass::SlowDown => format!("{host} asks for fewer polls"),
        ErrorClass::AccessDenied => format!("at {host} the request was denied"),
        ErrorClass::ExpiredToken => format!("{host} no longer accepts the device code"),
        ErrorClass::RegistrationClosed => {
            format!("{host} does not register clients for everybody ({status})")
        }
        // Keycloak, of who lacks the role 'offline_access', after the user has said yes.
        ErrorClass::Refused if error.code == "not_allowed" && error.says("offline") => {
            format!("{host} lets this user, or client, have no offline access: ask its administrators")
        }
        ErrorClass::Refused => format!("{host} refused {exchange} ({status})"),
        ErrorClass::Malformed | ErrorClass::Unreachable => {
            format!("{host} answered {exchange} with {status} and no reason")
        }
    }
}

fn quotation(call: &Call<'_>, error: &OAuthError) -> String {
    let said = [error.code.as_str(), error.description.as_str(), error.scope.as_str()];
    let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
    let quote = call.quote(&said.join(": "));
    if quote.is_empty() { String::new() } else { format!(": {}", shorten(&quote, MAX_QUOTE)) }
}

#[cfg(test)]
mod tests;
