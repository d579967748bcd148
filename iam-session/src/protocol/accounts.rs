//! Requests about an account as a whole, and their answers: a new consent with a client that is there, `use`, `keep`,
//! `rename`, and the end of an account. Touches nothing.

use serde::{Deserialize, Serialize};

use super::{Enrolled, Failure};
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_option_to, expose_to};

/// What is ended of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// At the issuer, then here; here alone where nothing opens it.
    Forget,
    /// At the issuer, then here; what nothing opens is kept, for it can still be revoked.
    Revoke,
    /// Here alone, without opening it.
    Remove,
}

/// For what, and with which client, a device flow is begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Authorization {
    /// The account that is to come of it; it may be there already.
    pub(crate) account: String,
    /// The account whose client is to be used.
    pub(crate) client_of: String,
    /// What to ask for.
    pub(crate) scope: ScopeSet,
}

/// The answer to `authorize`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Authorized {
    /// What the user must be shown (RFC 8628 §3.2).
    Code(DeviceCode),
    /// The client is gone, or may not ask for this much and cannot be changed: another one is needed.
    NoClient {
        /// One line: why.
        error: String,
    },
}

impl Authorized {
    /// A second copy: one for each of two pipes.
    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::NoClient { error } => Self::NoClient { error: error.clone() },
            Self::Code(code) => Self::Code(DeviceCode {
                device_code: code.device_code.duplicate(),
                code_verifier: code.code_verifier.as_ref().map(Secret::duplicate),
                user_code: code.user_code.clone(),
                verification_uri: code.verification_uri.clone(),
                verification_uri_complete: code.verification_uri_complete.clone(),
                scope: code.scope.clone(),
                client_name: code.client_name.clone(),
                ..*code
            }),
        }
    }
}

/// What to do where a consent brings no refresh token.
pub(crate) const NO_OFFLINE_ACCESS: &str = "approve offline access on the consent page; if you did, the client or you may have \
                                     no refresh tokens: ask the issuer's administrators";

/// A device authorization.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeviceCode {
    /// For the polls; of no use without the client's secret, which the agent keeps, but for a public client.
    #[serde(serialize_with = "expose_to")]
    pub(crate) device_code: Secret,
    /// For the polls, too: proves that they come from who asked (RFC 7636 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
    pub(crate) code_verifier: Option<Secret>,
    /// For the user to type.
    pub(crate) user_code: String,
    /// For the user to open.
    pub(crate) verification_uri: String,
    /// The same with the code in it, where the issuer has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verification_uri_complete: Option<String>,
    /// Seconds until the code ends.
    pub(crate) expires_in: u64,
    /// Seconds between polls.
    pub(crate) interval: u64,
    /// What was asked for: of what was wanted, as much as the client may ask for.
    pub(crate) scope: ScopeSet,
    /// The name that the consent page shows, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_name: Option<String>,
}

/// One poll for what the user decided.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Poll {
    /// As in the [`Authorization`], but for `scope`: what was asked for.
    #[serde(flatten)]
    pub(crate) authorization: Authorization,
    /// As it was answered.
    #[serde(serialize_with = "expose_to")]
    pub(crate) device_code: Secret,
    /// As it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
    pub(crate) code_verifier: Option<Secret>,
}

/// The answer to `poll`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Polled {
    /// The user has not decided yet.
    Pending {},
    /// The same; and the issuer asks for fewer polls.
    SlowDown {},
    /// The user refused.
    Denied {},
    /// The code has ended.
    Expired {},
    /// The issuer could not be asked, or had no time: poll on.
    Unreachable {
        /// One line: why.
        error: String,
        /// Seconds that it wants to be spared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// Approved, and sealed.
    Enrolled {
        /// As an enrolment answers it.
        #[serde(flatten)]
        enrolled: Enrolled,
        /// The issuer as it spells itself.
        issuer: String,
    },
}

/// The answer to `use`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Used {
    /// The account whose token is in the file from now on.
    pub(crate) account: String,
    /// Absolute path of the token file.
    pub(crate) token_file: String,
    /// Why there is no token in the file yet, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<Failure>,
}

/// The answer to `rename`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Renamed {
    /// The new name.
    pub(crate) account: String,
    /// Absolute path of the token file that is kept for it besides, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept_file: Option<String>,
    /// What still has the old name, if something has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}
