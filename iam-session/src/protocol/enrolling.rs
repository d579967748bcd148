//! Requests of an enrolment: a device flow that the mint does, a step a request, and a refresh token from elsewhere.
//! Touches nothing.

use serde::{Deserialize, Serialize};

use super::Failure;
use crate::issuer::wire::{Client, ClientAuth, IssuerError, UserCode};
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_option_to, expose_to};

/// What to do where a consent brings no refresh token.
pub(crate) const NO_OFFLINE_ACCESS: &str = "approve offline access on the consent page; if you did, the client or you may have \
                                     no refresh tokens: ask the issuer's administrators";

/// With whom, and as which account.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Target {
    /// The account that is to come of it; it may be there already.
    pub(crate) account: String,
    /// The issuer's URL.
    pub(crate) issuer: String,
    /// Certificates to trust where the provider's file names no directory of them: `X509_CERT_DIR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_dir: Option<String>,
}

/// A device flow that is to begin.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Beginning {
    /// Names it; chosen by who asks: 32 hexadecimal digits.
    pub(crate) flow: String,
    /// What is enrolled.
    #[serde(flatten)]
    pub(crate) target: Target,
    /// What to ask for. Absent: nothing is begun, and the answer says what the issuer offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<ScopeSet>,
    /// The account whose client is to be used, if it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_of: Option<String>,
    /// Else this client; else one is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<NamedClient>,
    /// Some issuers want one before they register a client.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
    pub(crate) initial_access_token: Option<Secret>,
}

/// A client that somebody has registered before.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NamedClient {
    /// `client_id`.
    pub(crate) client_id: String,
    /// `client_secret`; a public client has none.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
    pub(crate) client_secret: Option<Secret>,
    /// How it authenticates, where somebody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<ClientAuth>,
}

impl NamedClient {
    /// The client as it is presented to an issuer that takes these methods.
    pub(crate) fn client(&self, methods: &[ClientAuth]) -> Client {
        let confidential = || {
            let posts = methods.contains(&ClientAuth::Post) && !methods.contains(&ClientAuth::Basic);
            if posts { ClientAuth::Post } else { ClientAuth::Basic }
        };
        let auth = match (self.auth, &self.client_secret) {
            (Some(auth), _) => auth,
            (None, Some(_)) => confidential(),
            (None, None) => ClientAuth::Public,
        };
        Client {
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.as_ref().map(Secret::duplicate),
            auth,
            registration_client_uri: None,
            registration_access_token: None,
        }
    }
}

/// The answer to `enroll`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Begun {
    /// No scope was named.
    Offered {
        /// The issuer as it spells itself.
        issuer: String,
        /// `scopes_supported`; often incomplete.
        scope: ScopeSet,
    },
    /// The issuer wants to see a token before it registers a client, or another one.
    RegistrationClosed {
        /// What it says.
        error: IssuerError,
    },
    /// The user must be shown this.
    Code(Code),
}

/// A device flow that has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    /// Sealed for the mint alone, which is given it back with each poll.
    pub(crate) ticket: String,
    /// For the user.
    #[serde(flatten)]
    pub(crate) shown: UserCode,
    /// What was asked for: of what was wanted, as much as the client may ask for.
    pub(crate) scope: ScopeSet,
    /// Who asks.
    pub(crate) client_id: String,
    /// The name that the consent page shows, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_name: Option<String>,
    /// Whether the client was registered for this.
    #[serde(default)]
    pub(crate) is_new: bool,
    /// Why the client of `client_of` is not used, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unusable: Option<String>,
}

/// The answer to `poll`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Polled {
    /// There is no token. The class of the error tells whether to poll on.
    NoToken {
        /// What the issuer says.
        error: IssuerError,
    },
    /// Approved, and sealed.
    Enrolled(Enrolled),
}

/// The answer to `cancel`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cancelled {
    /// What is left at the issuer for now, and why, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// A refresh token that was obtained elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Import {
    /// What is enrolled.
    #[serde(flatten)]
    pub(crate) target: Target,
    /// The client that it was issued to.
    pub(crate) client: NamedClient,
    /// The refresh token.
    #[serde(serialize_with = "expose_to")]
    pub(crate) refresh_token: Secret,
    /// What is wanted of it; all if empty.
    #[serde(default)]
    pub(crate) scope: ScopeSet,
}

/// An enrolment that is sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Enrolled {
    /// The account's name.
    pub(crate) account: String,
    /// The issuer as it spells itself.
    pub(crate) issuer: String,
    /// What was granted, as far as it is kept.
    pub(crate) scope: ScopeSet,
    /// What the session token carries.
    pub(crate) session_scope: ScopeSet,
    /// When it ends, where the issuer says so, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ends_at: Option<u64>,
    /// Absolute path of the token file.
    pub(crate) token_file: String,
    /// The account whose token is in the file, where that is known; an agent of an earlier build does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_account: Option<String>,
    /// Why there is no token in the file yet, if there is none: the enrolment itself is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<Failure>,
}
