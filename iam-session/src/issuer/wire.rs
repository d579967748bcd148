//! The helper's requests and replies, one JSON object a line. Touches nothing.
//!
//! Whoever starts a helper writes a [`HelperRequest`] and reads a [`HelperReply`]: `agent mint`, root's `end-grants`, and the
//! command line for `token --once` and `doctor`. Every reply comes within [`DEADLINE`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scope::{ScopeSet, is_identity};
use crate::secret::{Secret, expose_option_to, expose_to};

/// No request to an issuer takes longer, connecting and reading included. A busy IAM needs 5 to 20 s; the
/// holder of the mint lock is waited for at most 60 s.
pub const DEADLINE: Duration = Duration::from_secs(45);
/// How a message begins to say what is wrong with an issuer's certificate; waiting does not help then.
pub const UNTRUSTED: &str = "its certificate";
/// Longest line in either direction.
pub const MAX_LINE: usize = 256 * 1024;

/// How the issuer is reached; part of a provider's configuration and kept in the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transport {
    /// PEM bundle trusted besides the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Directory of PEM certificates (`*.pem`, `*.crt`, `*.0`) trusted besides the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_dir: Option<String>,
    /// `http://host:port` of a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

/// How an audience is asked for; differs by issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudienceMode {
    /// `audience`, space-separated, as INDIGO IAM takes it.
    #[default]
    Audience,
    /// `resource`, one absolute URL a parameter (RFC 8707).
    Resource,
    /// The issuer takes neither.
    None,
}

/// How a client authenticates at the token endpoint (RFC 6749 §2.3, OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAuth {
    /// HTTP Basic, both parts form-urlencoded first (RFC 6749 §2.3.1).
    #[default]
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// In the form.
    #[serde(rename = "client_secret_post")]
    Post,
    /// A public client.
    #[serde(rename = "none")]
    Public,
}

/// A client as registered (RFC 7591 §3.2.1).
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Client {
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`; a public client has none.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
    pub client_secret: Option<Secret>,
    /// `token_endpoint_auth_method`.
    #[serde(default)]
    pub auth: ClientAuth,
    /// `registration_client_uri` (RFC 7592); only for a client that we registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_client_uri: Option<String>,
    /// `registration_access_token` (RFC 7592).
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
    pub registration_access_token: Option<Secret>,
}

impl Client {
    /// A second copy: each request carries the client that makes it.
    pub fn duplicate(&self) -> Self {
        Self {
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.as_ref().map(Secret::duplicate),
            auth: self.auth,
            registration_client_uri: self.registration_client_uri.clone(),
            registration_access_token: self.registration_access_token.as_ref().map(Secret::duplicate),
        }
    }
}

/// The endpoints of one issuer, pinned at enrolment (OpenID Connect Discovery §3, RFC 8414, RFC 8628 §4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// `token_endpoint`.
    pub token: String,
    /// `device_authorization_endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_authorization: Option<String>,
    /// `registration_endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
    /// `revocation_endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<String>,
}

/// One request to the helper.
#[derive(Debug, Serialize, Deserialize)]
pub struct HelperRequest {
    /// What the issuer is asked.
    #[serde(flatten)]
    pub operation: Operation,
    /// How to reach it.
    #[serde(default)]
    pub transport: Transport,
}

/// What an issuer is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Operation {
    /// `GET <issuer>/.well-known/openid-configuration` → [`HelperAnswer::Discovered`].
    Discover {
        /// The issuer's URL, with or without its trailing slash.
        issuer: String,
    },
    /// The same, to see whether the issuer can be reached and what time it is there → [`HelperAnswer::Reached`].
    Probe {
        /// The issuer's URL.
        issuer: String,
    },
    /// Dynamic registration (RFC 7591) → [`HelperAnswer::Registered`].
    Register {
        /// The registration endpoint.
        endpoint: String,
        /// Shown on the issuer's consent page.
        client_name: String,
        /// Scopes the client wants to be able to ask for.
        scope: ScopeSet,
        /// What to ask for; the answer may differ.
        auth: ClientAuth,
        /// Some issuers want one.
        #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
        initial_access_token: Option<Secret>,
    },
    /// Start of the device flow (RFC 8628 §3.1) → [`HelperAnswer::DeviceAuthorization`].
    AuthorizeDevice {
        /// The device authorization endpoint.
        endpoint: String,
        /// Who asks.
        client: Client,
        /// For what.
        scope: ScopeSet,
        /// Whether who asks gives the `code_verifier` back with each poll. Versions before there was one do not, and some
        /// issuers refuse the polls of a challenge without it.
        #[serde(default)]
        takes_verifier: bool,
    },
    /// One poll of the device flow (RFC 8628 §3.4) → [`HelperAnswer::Token`], or an error of a class
    /// `authorization_pending`, `slow_down`, `access_denied` or `expired_token`.
    PollDevice {
        /// The token endpoint.
        endpoint: String,
        /// Who asks.
        client: Client,
        /// From the device authorization.
        #[serde(serialize_with = "expose_to")]
        device_code: Secret,
        /// From there, too.
        #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
        code_verifier: Option<Secret>,
        /// Space-separated; empty for the issuer's default. IAM takes it here and not with the device authorization.
        #[serde(default)]
        audience: String,
        /// How this issuer takes an audience.
        #[serde(default)]
        audience_mode: AudienceMode,
    },
    /// A token for a user name and a password (RFC 6749 §4.3) → [`HelperAnswer::Token`].
    Password {
        /// The token endpoint.
        endpoint: String,
        /// Who asks.
        client: Client,
        /// The user's name at the issuer.
        username: String,
        /// The password.
        #[serde(serialize_with = "expose_to")]
        password: Secret,
        /// Always named, never empty: no scope would mean all that the client may have.
        scope: ScopeSet,
        /// Space-separated; empty for the issuer's default.
        #[serde(default)]
        audience: String,
        /// How this issuer takes an audience.
        #[serde(default)]
        audience_mode: AudienceMode,
    },
    /// A refresh (RFC 6749 §6) → [`HelperAnswer::Token`].
    Refresh {
        /// The token endpoint.
        endpoint: String,
        /// Whose refresh token it is.
        client: Client,
        /// The refresh token.
        #[serde(serialize_with = "expose_to")]
        refresh_token: Secret,
        /// Always named, never empty: no scope would mean all that was granted.
        scope: ScopeSet,
        /// Space-separated; empty for the issuer's default.
        #[serde(default)]
        audience: String,
        /// How this issuer takes an audience.
        #[serde(default)]
        audience_mode: AudienceMode,
    },
    /// A refresh of a token that was obtained elsewhere, which names no scope and so tells all that was granted
    /// (RFC 6749 §6) → [`HelperAnswer::Token`]. What is wide about the access token is for nobody to keep.
    Adopt {
        /// The token endpoint.
        endpoint: String,
        /// Whose refresh token it is.
        client: Client,
        /// The refresh token.
        #[serde(serialize_with = "expose_to")]
        refresh_token: Secret,
    },
    /// One claim of the userinfo endpoint (OpenID Connect Core §5.3) → [`HelperAnswer::Claim`].
    Userinfo {
        /// The userinfo endpoint.
        endpoint: String,
        /// Of whoever is asked about.
        #[serde(serialize_with = "expose_to")]
        access_token: Secret,
        /// The claim's name.
        claim: String,
    },
    /// Revocation of a refresh token (RFC 7009) → [`HelperAnswer::Done`].
    Revoke {
        /// The revocation endpoint.
        endpoint: String,
        /// Whose refresh token it is.
        client: Client,
        /// The refresh token.
        #[serde(serialize_with = "expose_to")]
        refresh_token: Secret,
    },
    /// Has a client that we registered be allowed to ask for more (RFC 7592 §2.2) → [`HelperAnswer::Client`].
    WidenClient {
        /// The client.
        client: Client,
        /// What it should be able to ask for too.
        scope: ScopeSet,
        /// What it may ask for already as far as we know, where the issuer does not tell.
        #[serde(default)]
        known: ScopeSet,
    },
    /// Deletion of a client that we registered (RFC 7592 §2.3) → [`HelperAnswer::Done`].
    Deregister {
        /// The client's own `registration_client_uri`.
        registration_client_uri: String,
        /// Its `registration_access_token`.
        #[serde(serialize_with = "expose_to")]
        registration_access_token: Secret,
    },
}

impl Operation {
    /// The request to the helper.
    pub fn over(self, transport: &Transport) -> HelperRequest {
        HelperRequest { operation: self, transport: transport.clone() }
    }
}

/// One reply of the helper.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HelperReply {
    /// The issuer did what was asked.
    Ok(HelperAnswer),
    /// It did not, or could not be asked.
    Error(IssuerError),
}

/// What the issuer answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum HelperAnswer {
    /// The discovery document, as far as we use it.
    Discovered {
        /// As the issuer spells itself; equal to what was asked modulo one trailing slash.
        issuer: String,
        /// Its endpoints, all of them https.
        endpoints: Endpoints,
        /// `scopes_supported`; often incomplete.
        scopes_supported: ScopeSet,
        /// `token_endpoint_auth_methods_supported`, those that we know.
        auth_methods: Vec<ClientAuth>,
        /// `userinfo_endpoint`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        userinfo: Option<String>,
    },
    /// The issuer answered, and is the one that was asked.
    Reached {
        /// `Date` of its answer (RFC 9110 §6.6.1), in seconds since the epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        date: Option<u64>,
    },
    /// The registered client.
    Registered {
        /// The client.
        client: Client,
        /// The scopes it may ask for; an issuer removes restricted ones silently. As asked, where the issuer
        /// does not say.
        scope: ScopeSet,
    },
    /// The client as it is registered now. What is new in it must be kept, also where it was not widened.
    Client {
        /// The client.
        client: Client,
        /// The scopes it may ask for.
        scope: ScopeSet,
        /// Why it was not widened, if it was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<IssuerError>,
    },
    /// What the user must be shown (RFC 8628 §3.2).
    DeviceAuthorization(DeviceCode),
    /// A token response (RFC 6749 §5.1).
    Token(TokenAnswer),
    /// A token response of no use but for the refresh token in it: after a refresh it may have replaced the one before,
    /// and after a poll it is to be ended.
    Unusable {
        /// The refresh token.
        #[serde(serialize_with = "expose_to")]
        refresh_token: Secret,
        /// Its `exp`, as in [`TokenAnswer`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refresh_token_expires_at: Option<u64>,
        /// What is wrong with the rest.
        error: IssuerError,
    },
    /// What the issuer says in a claim: one text, several, or none.
    Claim {
        /// As they are; numbers in decimal.
        values: Vec<String>,
    },
    /// Nothing more to say.
    Done,
}

/// A device authorization (RFC 8628 §3.2).
#[derive(Debug, Serialize, Deserialize)]
pub struct DeviceCode {
    /// For the polls.
    #[serde(serialize_with = "expose_to")]
    pub device_code: Secret,
    /// For the polls: proves that they come from who asked (RFC 7636 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
    pub code_verifier: Option<Secret>,
    /// For the user.
    #[serde(flatten)]
    pub shown: UserCode,
}

/// What the user must be shown of a device code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCode {
    /// For the user to type.
    pub user_code: String,
    /// For the user to open.
    pub verification_uri: String,
    /// The same with the code in it, where the issuer has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<String>,
    /// Seconds until the code ends; 600 where the issuer does not say.
    pub expires_in: u64,
    /// Seconds between polls; 5 where the issuer does not say (RFC 8628 §3.2).
    pub interval: u64,
}

/// A token response (RFC 6749 §5.1).
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// The access token: a JWT or opaque; one line of visible ASCII.
    #[serde(serialize_with = "expose_to")]
    pub access_token: Secret,
    /// Seconds of life from now; always positive, at most a year.
    pub expires_in: u64,
    /// What was granted: the response's `scope`. `None` where the issuer left it out, which RFC 6749 §5.1 lets
    /// it do when it granted what was asked, and IAM does when policy removed everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSet>,
    /// A refresh token, if the issuer sent one; it may be a new one on any refresh.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
    pub refresh_token: Option<Secret>,
    /// `exp` of the refresh token, in seconds since the epoch, where it is a JWT that has one. Advisory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_expires_at: Option<u64>,
    /// `sub` of the ID token, else of the access token. Advisory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `jti` of the access token, for the audit line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// `scope` of the access token itself, where it is a JWT that has one. Who reads the token goes by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_scope: Option<ScopeSet>,
    /// `aud` of the access token, where it is a JWT; of one without it, no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Vec<String>>,
}

impl TokenAnswer {
    /// What the access token lets who has it do, as far as anybody says: by its own `scope` where it has one, for the
    /// response's may be wider (Keycloak's names all that was ever granted) or lack a part. What says who somebody is
    /// stands in no token that is for storage, and is taken from the response.
    pub fn rights(&self) -> Option<ScopeSet> {
        let Some(own) = &self.own_scope else { return self.scope.clone() };
        let stated = self.scope.iter().flat_map(ScopeSet::iter);
        let identity: ScopeSet =
            stated.filter(|scope| is_identity(scope) || *scope == "offline_access").collect();
        Some(own.union(&identity))
    }

    /// Whom of `wanted`, space-separated, the access token is not for, where that can be read.
    pub fn missing_audience(&self, wanted: &str) -> Vec<String> {
        let Some(audience) = &self.audience else { return Vec::new() };
        let missing = wanted.split_whitespace().filter(|name| !audience.iter().any(|one| one == name));
        missing.map(str::to_owned).collect()
    }
}

/// Why the issuer did not do what was asked, as a class that decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// No answer: name, connection, TLS, time-out. Back off; what is cached goes on being served.
    Unreachable,
    /// 429 or 5xx. Back off, honour `retry_after`.
    Busy,
    /// An answer that is not what the standards or this issuer's habits allow. Back off.
    Malformed,
    /// The refresh token is dead (400 invalid_grant; IAM: 401 invalid_token). Enrol again.
    CredentialDead,
    /// The client is gone or its secret wrong. Enrol again.
    ClientGone,
    /// The issuer has suspended the client. Keep the credential.
    ClientSuspended,
    /// The issuer has suspended the user. Keep the credential.
    UserSuspended,
    /// The user must sign the issuer's AUP on its page. Keep the credential.
    AupUnsigned,
    /// 400 invalid_scope.
    ScopeRefused,
    /// 400 invalid_target (RFC 8707 §2).
    AudienceRefused,
    /// Device flow: the user has not decided yet.
    AuthorizationPending,
    /// Device flow: poll less often (RFC 8628 §3.5); also 429 during the flow.
    SlowDown,
    /// Device flow: the user said no.
    AccessDenied,
    /// Device flow: the code has ended.
    ExpiredToken,
    /// The issuer wants a token before it registers a client (401 or 403 at registration).
    RegistrationClosed,
    /// Any other refusal; the message says more.
    Refused,
}

/// An [`ErrorClass`] with what the user is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct IssuerError {
    /// What happens next.
    pub class: ErrorClass,
    /// One line, at most 300 characters, printable, without any secret: what failed, at which host. It may
    /// quote the issuer's `error_description` after redaction.
    pub message: String,
    /// HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Seconds from now, from Retry-After in either form; at most an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}
