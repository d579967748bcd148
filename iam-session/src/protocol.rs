//! The native protocol of the agent's socket: requests, replies, limits. Touches nothing.
//!
//! One JSON object a line in both directions; a connection may carry many. Field names are oidc-agent's where
//! it has them. PROTOCOL.md, "Socket", is the prose.

mod accounts;
mod sealing;
mod standing;

use serde::{Deserialize, Serialize};

pub use accounts::{Authorization, Authorized, DeviceCode, NO_OFFLINE_ACCESS, Poll, Polled, Renamed, Used};
pub use sealing::{
    LockState, SealAction, SealReport, SealRequest, SealedAccount, SlotKind, SlotReport, agent_is_older,
};
pub use standing::{End, Heeded, MIN_PASSPHRASE, Sealing, Unlocked};

use crate::issuer::wire::{AudienceMode, Client, Endpoints, Transport};
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_option_to, expose_to};

/// Longest line in either direction, the newline included.
pub const MAX_LINE: usize = 64 * 1024;

/// What a client asks of the agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// An access token → [`Token`].
    AccessToken(TokenRequest),
    /// How the session stands → [`Status`].
    Status {},
    /// Seal what an enrolment obtained and put a token into the file → [`Enrolled`].
    Enroll(Box<Enrollment>),
    /// Revoke, deregister and remove an account → [`Forgotten`].
    Forget {
        /// The account's name.
        account: String,
    },
    /// Begin a device flow with the client of an account → [`Authorized`].
    Authorize(Authorization),
    /// Ask once what the user decided, and seal what comes of it → [`Polled`].
    Poll(Poll),
    /// Put this account's token into the file, now and from now on → [`Used`].
    Use {
        /// The account's name.
        account: String,
    },
    /// Keep a second file with this account's token → [`Used`].
    Keep {
        /// The account's name.
        account: String,
    },
    /// Give an account another name → [`Renamed`].
    Rename {
        /// The account's name.
        account: String,
        /// The new one, which no account has.
        to: String,
    },
    /// Remove an account here, without its issuer and without opening it → [`Forgotten`].
    Remove {
        /// The account's name.
        account: String,
    },
    /// As `forget`, but what could not be revoked is kept → [`Forgotten`].
    Revoke {
        /// The account's name.
        account: String,
    },
    /// End, whoever started the agent → [`Heeded`].
    End {},
    /// Open the lock of this host; else what is sealed under this passphrase, or seal with it from now on → [`Unlocked`].
    Unlock {
        /// As it was typed.
        #[serde(serialize_with = "expose_to")]
        passphrase: Secret,
        /// After so many seconds it is as before; for good if absent.
        #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
    },
    /// Lock this host: no agent serves anything until this passphrase is given → [`Heeded`].
    Lock {
        /// A new one; not needed where there is a lock, which is in force again then.
        #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
        passphrase: Option<Secret>,
    },
    /// Tell what opens the accounts, or move them to the newest node key → [`SealReport`].
    Seal(SealRequest),
    /// Stay for this process too → [`Heeded`].
    Stay {
        /// Usually a shell.
        pid: u32,
    },
    /// End → [`Heeded`].
    Stop {},
}

/// Which access token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// The account's name; the default account if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The scopes; the session's if absent or empty.
    #[serde(default, skip_serializing_if = "ScopeSet::is_empty")]
    pub scope: ScopeSet,
    /// Audiences, space-separated; the issuer's default if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub audience: String,
    /// Seconds that the token must still live; -1 asks for a new one, as in oidc-agent.
    #[serde(default)]
    pub min_valid_period: i64,
}

/// What an enrolment obtained. It goes to the agent and never comes back.
#[derive(Debug, Serialize, Deserialize)]
pub struct Enrollment {
    /// The account's name; also the record's file name.
    pub account: String,
    /// The issuer as it spells itself.
    pub issuer: String,
    /// Pinned.
    pub endpoints: Endpoints,
    /// The client.
    pub client: Client,
    /// The refresh token.
    #[serde(serialize_with = "expose_to")]
    pub refresh_token: Secret,
    /// Seconds since the epoch, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_expires_at: Option<u64>,
    /// What was granted.
    pub scope: ScopeSet,
    /// Whether the issuer said so, and so will say so again: then a response without a scope grants none.
    #[serde(default)]
    pub states_scope: bool,
    /// Whether the refresh token was obtained elsewhere: then `scope` is what is wanted of it, all if empty, and what
    /// was granted is asked of the issuer before anything is sealed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// `sub`, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// How this issuer takes an audience.
    #[serde(default)]
    pub audience_mode: AudienceMode,
    /// How the issuer is reached.
    #[serde(default)]
    pub transport: Transport,
    /// What the client may ask for, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_scope: Option<ScopeSet>,
    /// What the client is called on the consent page, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
}

/// What the agent answers: the object's `status` is `success` or `failure`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Reply<T> {
    /// Done; the fields are the answer's.
    Success(T),
    /// Not done.
    Failure(Failure),
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// One line: what failed, on what.
    pub error: String,
    /// One line: what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// Decides the command line's exit code.
    pub kind: FailureKind,
}

impl Status {
    /// The account whose token is in the file.
    pub(crate) fn default_account(&self) -> Option<&Account> {
        self.accounts.iter().find(|account| Some(&account.name) == self.default_account.as_ref())
    }
}

impl Failure {
    /// What failed, on what; a kind has a constructor of its own.
    pub fn new(kind: FailureKind, error: impl Into<String>) -> Self {
        Self { error: error.into(), info: None, kind }
    }

    /// Adds what to do.
    #[must_use]
    pub fn advise(self, info: impl Into<String>) -> Self {
        Self { info: Some(info.into()), ..self }
    }

    /// What failed, then what to do.
    pub(crate) fn line(&self) -> String {
        let info = self.info.iter().map(|info| format!("; {info}"));
        [self.error.clone()].into_iter().chain(info).collect()
    }

    pub(crate) fn failed(error: impl Into<String>) -> Self {
        Self::new(FailureKind::Failed, error)
    }

    pub(crate) fn usage(error: impl Into<String>) -> Self {
        Self::new(FailureKind::Usage, error)
    }

    pub(crate) fn not_enrolled(error: impl Into<String>) -> Self {
        Self::new(FailureKind::NotEnrolled, error)
    }

    pub(crate) fn no_agent(error: impl Into<String>) -> Self {
        Self::new(FailureKind::NoAgent, error)
    }

    pub(crate) fn refused(error: impl Into<String>) -> Self {
        Self::new(FailureKind::Refused, error)
    }

    pub(crate) fn locked(error: impl Into<String>) -> Self {
        Self::new(FailureKind::Locked, error)
    }

    pub(crate) fn unreachable(error: impl Into<String>) -> Self {
        Self::new(FailureKind::Unreachable, error)
    }
}

/// The kinds of failure that a script may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Anything else.
    Failed,
    /// The request itself is wrong.
    Usage,
    /// No enrolment, or it has ended.
    NotEnrolled,
    /// No agent answers. Only the client says this.
    NoAgent,
    /// The issuer refused, or granted fewer scopes than asked.
    Refused,
    /// Sealed by something that nobody has given yet.
    Locked,
    /// The issuer is out of reach; try later.
    Unreachable,
}

impl FailureKind {
    /// The command line's exit code (iam-session(1), EXIT STATUS).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotEnrolled => 3,
            Self::NoAgent => 4,
            Self::Refused => 5,
            Self::Locked => 6,
            Self::Unreachable => 7,
        }
    }
}

/// The answer to [`Request::AccessToken`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Token {
    /// The access token.
    #[serde(serialize_with = "expose_to")]
    pub access_token: Secret,
    /// Who issued it.
    pub issuer: String,
    /// The account it was minted from.
    pub account: String,
    /// What was granted.
    pub scope: ScopeSet,
    /// As asked; empty for the issuer's default.
    pub audience: String,
    /// Seconds since the epoch.
    pub expires_at: u64,
}

/// The answer to [`Request::Status`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// The session's id.
    pub session: String,
    /// The agent's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
    /// The user's name, as the login had it.
    pub user: String,
    /// Absolute path of the token file.
    pub token_file: String,
    /// What stands in the way of a token, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Failure>,
    /// The account whose token is in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_account: Option<String>,
    /// All accounts of the user.
    pub accounts: Vec<Account>,
    /// Those that wait for a passphrase to be given to this agent.
    #[serde(default)]
    pub locked: Vec<String>,
    /// Those that this agent's node key opens, and that an earlier version let a passphrase open, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passphrase_too: Vec<String>,
    /// Until when the token file holds what another program has put there, in seconds since the epoch, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_token_until: Option<u64>,
    /// What a new enrolment would be sealed with.
    #[serde(default)]
    pub sealing: Sealing,
    /// When the agent ends.
    #[serde(default)]
    pub ends: End,
    /// The user's lock of this host.
    #[serde(flatten)]
    pub lock: LockState,
}

/// One account as [`Status`] shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its issuer.
    pub issuer: String,
    /// `sub`, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What was granted.
    pub scope: ScopeSet,
    /// What of it the session token carries.
    pub session_scope: ScopeSet,
    /// When the enrolment ends, in seconds since the epoch, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_ends_at: Option<u64>,
    /// When the session token ends, in seconds since the epoch, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<u64>,
    /// Absolute path of the token file that is kept for it besides the session's, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_file: Option<String>,
    /// The last failure since the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// The last failure of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// What failed and what to do.
    #[serde(flatten)]
    pub failure: Failure,
    /// When, in seconds since the epoch.
    pub at: u64,
    /// When the issuer is asked again, in seconds since the epoch, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<u64>,
}

/// The answer to [`Request::Enroll`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolled {
    /// The account's name.
    pub account: String,
    /// What was granted, as far as it is kept.
    #[serde(default)]
    pub scope: ScopeSet,
    /// What the session token carries.
    pub session_scope: ScopeSet,
    /// Absolute path of the token file.
    pub token_file: String,
    /// Why there is no token in the file yet, if there is none: the enrolment itself is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Failure>,
}

/// The answer to [`Request::Forget`]: what was done, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forgotten {
    /// The account's name.
    pub account: String,
    /// Each step with its outcome.
    pub steps: Vec<ForgetStep>,
}

/// One step of forgetting an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForgetStep {
    /// Which.
    pub step: ForgetAction,
    /// Why it could not be done, and so stays behind; done if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The steps of forgetting an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgetAction {
    /// The refresh token at the issuer (RFC 7009).
    Revoke,
    /// The client at the issuer (RFC 7592).
    Deregister,
    /// The sealed record, the cache and the token file here.
    Remove,
}
