//! One HTTP request to an issuer before it is sent, and the answer as it came. Touches nothing.

use std::fmt;

use ::url::Url;
use form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::body::BodyError;
use super::redact::{redact, redact_but, shorten};
use super::url::{self, UrlError};
use super::wire::{Client, ClientAuth, ErrorClass, IssuerError};
use crate::secret::Secret;

/// A form with the largest tokens fits, so that building it leaves no copies behind.
const FORM_CAPACITY: usize = 32 * 1024;
/// [`IssuerError::message`] is one line of at most this many characters.
const MAX_MESSAGE: usize = 300;

/// Which of our requests it is: what an answer means depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    Discovery,
    Registration,
    DeviceAuthorization,
    DevicePoll,
    Password,
    Refresh,
    Userinfo,
    Revocation,
    Deregistration,
    Management,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "the discovery",
            Self::Registration => "the registration",
            Self::DeviceAuthorization => "the device authorization",
            Self::DevicePoll => "the poll for a token",
            Self::Password => "the login by password",
            Self::Refresh => "the refresh",
            Self::Userinfo => "the question who it is",
            Self::Revocation => "the revocation",
            Self::Deregistration => "the deletion of the client",
            Self::Management => "the change of the client",
        })
    }
}

/// Method and body.
pub(super) enum Payload {
    Get,
    Delete,
    Form(Zeroizing<String>),
    Json(Zeroizing<Vec<u8>>),
    Put(Zeroizing<Vec<u8>>),
}

/// The Authorization header.
pub(super) enum AuthorizationHeader<'r> {
    None,
    Basic { user: String, password: Zeroizing<String> },
    Bearer(&'r Secret),
}

/// One request, ready to be sent.
pub(super) struct Call<'r> {
    pub(super) exchange: Exchange,
    pub(super) url: Url,
    pub(super) payload: Payload,
    pub(super) authorization: AuthorizationHeader<'r>,
    /// What must never come back in a message.
    secrets: Vec<&'r str>,
    /// Whose request it is, which may; empty where nobody's.
    client_id: &'r str,
}

/// What came back.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    /// Seconds since the epoch, where it came.
    pub(super) date: Option<u64>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl<'r> Call<'r> {
    /// A request without credentials.
    ///
    /// # Errors
    /// `url` is not an https URL.
    pub(super) fn new(exchange: Exchange, url: &str, payload: Payload) -> Result<Self, IssuerError> {
        let url = url::endpoint(url).map_err(|error| unusable_url(exchange, url, error))?;
        Ok(Self {
            exchange,
            url,
            payload,
            authorization: AuthorizationHeader::None,
            secrets: Vec::new(),
            client_id: "",
        })
    }

    /// A form POST of an authenticated client (RFC 6749 §2.3).
    ///
    /// # Errors
    /// `url` is not an https URL.
    pub(super) fn form(
        exchange: Exchange,
        url: &str,
        client: &'r Client,
        fields: &[(&str, &str)],
    ) -> Result<Self, IssuerError> {
        Self::form_by(client.auth, exchange, url, client, fields)
    }

    /// The same of a client that authenticates so, whatever it was registered for; a public one's password is empty.
    ///
    /// # Errors
    /// `url` is not an https URL.
    pub(super) fn form_by(
        auth: ClientAuth,
        exchange: Exchange,
        url: &str,
        client: &'r Client,
        fields: &[(&str, &str)],
    ) -> Result<Self, IssuerError> {
        let mut form = Serializer::new(String::with_capacity(FORM_CAPACITY));
        form.extend_pairs(fields);
        // IAM's device endpoint looks for client_id in the form only; RFC 8628 §3.1 wants it there if the
        // client does not authenticate.
        if auth != ClientAuth::Basic || exchange == Exchange::DeviceAuthorization {
            form.append_pair("client_id", &client.client_id);
        }
        let secret = client.client_secret.as_ref();
        if let (ClientAuth::Post, Some(secret)) = (auth, secret) {
            form.append_pair("client_secret", secret.expose());
        }
        let mut call = Self::new(exchange, url, Payload::Form(Zeroizing::new(form.finish())))?;
        if auth == ClientAuth::Basic {
            call.authorization = basic(&client.client_id, secret);
        }
        call.client_id = &client.client_id;
        Ok(secret.into_iter().fold(call, Self::hiding))
    }

    /// The same with `AuthorizationHeader: Bearer` (RFC 6750 §2.1).
    pub(super) fn bearer(mut self, token: &'r Secret) -> Self {
        self.authorization = AuthorizationHeader::Bearer(token);
        self.hiding(token)
    }

    /// The same with one more secret that no message may repeat.
    pub(super) fn hiding(mut self, secret: &'r Secret) -> Self {
        self.secrets.push(secret.expose());
        self
    }

    /// Who is asked, for messages.
    pub(super) fn host(&self) -> String {
        url::host(&self.url)
    }

    /// What the issuer says, as far as it may be shown.
    pub(super) fn quote(&self, text: &str) -> String {
        redact_but(text, &self.secrets, self.client_id)
    }

    /// An answer that cannot be used.
    pub(super) fn malformed(&self, status: u16, error: &BodyError) -> IssuerError {
        let message = match error {
            BodyError::AnotherIssuer(name) => {
                format!("{} says that it is the issuer '{}'", self.host(), self.quote(name))
            }
            BodyError::NotAnObject if self.exchange == Exchange::Discovery => return self.no_issuer(status),
            _ => format!("{} answered {} with {error}", self.host(), self.exchange),
        };
        failure(ErrorClass::Malformed, &message).with_status(status)
    }

    /// A discovery that found nothing.
    pub(super) fn no_issuer(&self, status: u16) -> IssuerError {
        let message = format!("there is no OpenID issuer at '{}' ({status})", url::issuer_of(&self.url));
        failure(ErrorClass::Malformed, &message).with_status(status)
    }
}

impl IssuerError {
    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }
}

/// An error without an HTTP status.
pub(super) fn failure(class: ErrorClass, message: &str) -> IssuerError {
    IssuerError { class, message: shorten(message, MAX_MESSAGE), status: None, retry_after: None }
}

fn unusable_url(exchange: Exchange, url: &str, error: UrlError) -> IssuerError {
    let url = shorten(&redact(url, &[]), 100);
    failure(ErrorClass::Refused, &format!("{exchange} was not attempted: '{url}' {error}"))
}

/// Both parts are form-urlencoded before they are joined (RFC 6749 §2.3.1).
fn basic<'r>(client_id: &str, secret: Option<&Secret>) -> AuthorizationHeader<'r> {
    let user = byte_serialize(client_id.as_bytes()).collect();
    let secret = secret.map(Secret::expose).unwrap_or_default();
    let password = Zeroizing::new(byte_serialize(secret.as_bytes()).collect());
    AuthorizationHeader::Basic { user, password }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::issuer) fn client(auth: ClientAuth) -> Client {
        Client {
            client_id: "id:1".into(),
            client_secret: (auth != ClientAuth::Public).then(|| Secret::new("s cr&t%".into())),
            auth,
            registration_client_uri: None,
            registration_access_token: None,
        }
    }

    pub(in crate::issuer) fn form_of(call: &Call<'_>) -> String {
        match &call.payload {
            Payload::Form(form) => form.to_string(),
            _ => panic!("not a form"),
        }
    }

    fn call(exchange: Exchange, client: &Client) -> Call<'_> {
        Call::form(exchange, "https://a.example/t", client, &[("x", "1 2")]).unwrap()
    }

    #[test]
    fn basic_encodes_both_parts_and_keeps_them_out_of_the_form() {
        let client = client(ClientAuth::Basic);
        let call = call(Exchange::Refresh, &client);
        assert_eq!(form_of(&call), "x=1+2");
        let AuthorizationHeader::Basic { user, password } = call.authorization else { panic!("not Basic") };
        assert_eq!((user.as_str(), password.as_str()), ("id%3A1", "s+cr%26t%25"));
    }

    #[test]
    fn post_and_public_clients_are_named_in_the_form() {
        let post = client(ClientAuth::Post);
        assert_eq!(
            form_of(&call(Exchange::Refresh, &post)),
            "x=1+2&client_id=id%3A1&client_secret=s+cr%26t%25"
        );
        let public = client(ClientAuth::Public);
        let call = call(Exchange::Refresh, &public);
        assert_eq!(form_of(&call), "x=1+2&client_id=id%3A1");
        assert!(matches!(call.authorization, AuthorizationHeader::None));
    }

    #[test]
    fn the_device_endpoint_always_finds_the_client_in_the_form() {
        let client = client(ClientAuth::Basic);
        let call = call(Exchange::DeviceAuthorization, &client);
        assert_eq!(form_of(&call), "x=1+2&client_id=id%3A1");
        assert!(matches!(call.authorization, AuthorizationHeader::Basic { .. }));
    }

    #[test]
    fn no_credential_is_sent_in_clear() {
        let client = client(ClientAuth::Basic);
        let error = Call::form(Exchange::Refresh, "http://a.example/t", &client, &[]).err().unwrap();
        assert_eq!(error.class, ErrorClass::Refused);
        assert!(error.message.contains("https://"), "{error}");
    }

    #[test]
    fn messages_have_a_limit() {
        assert_eq!(failure(ErrorClass::Refused, &"x".repeat(1000)).message.chars().count(), MAX_MESSAGE);
    }
}
