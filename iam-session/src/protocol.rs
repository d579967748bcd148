//! The requests and replies of the agent's socket, and their limits. Touches nothing.
//!
//! One JSON object a line in both directions; a connection may carry many. Field names are oidc-agent's if it has
//! them. PROTOCOL.md, section 3, is the prose.

mod accounts;
mod enrolling;
mod sealing;
mod standing;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use accounts::{Ending, Renamed, Used};
pub(crate) use enrolling::{
    Beginning, Begun, Cancelled, Code, Enrolled, Import, NO_OFFLINE_ACCESS, NamedClient, Polled, Target,
};
pub(crate) use sealing::{
    LockState, SealAction, SealReport, SealRequest, SealedAccount, SlotKind, SlotReport, agent_is_older,
};
pub(crate) use standing::{End, Heeded, MIN_PASSPHRASE, Sealing, StopMode, Unlocked};

use crate::config::ExportChoice;
use crate::runtime::file_damage::DamageNote;
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_option_to, expose_to};

/// Longest line in either direction, the newline included.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// How an agent says that a request is not of its version.
pub(crate) const NO_SUCH_REQUEST: &str = "this version of the agent has no such request";

/// How an agent says that too many clients wait already.
pub(crate) const BUSY: &str = "too many requests are waiting for this agent";

/// What a client asks of the agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(crate) enum Request {
    /// An access token → [`Token`].
    AccessToken(TokenRequest),
    /// How the session stands → [`Status`].
    Status {},
    /// Begin a device flow, or tell what its issuer offers → [`Begun`].
    Enroll(Box<Beginning>),
    /// Ask once what the user decided; seal what comes of it and put a token into the file → [`Polled`].
    Poll {
        /// As it was answered.
        ticket: String,
    },
    /// End a device flow, and the client that was registered for it → [`Cancelled`].
    Cancel {
        /// Names it.
        flow: String,
    },
    /// Seal a refresh token that was obtained elsewhere → [`Enrolled`].
    Import(Box<Import>),
    /// End an account → [`Forgotten`]. Agents of earlier versions do not know it, and so do nothing of it.
    EndAccount { account: String, mode: Ending },
    /// Put this account's token into the file, now and from now on → [`Used`].
    Use { account: String },
    /// Keep a second file with this account's token → [`Used`].
    Keep { account: String },
    /// Give an account another name → [`Renamed`].
    Rename {
        account: String,
        /// The new one, which no account has.
        to: String,
    },
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
    /// End the agent → [`Heeded`].
    Stop {
        /// Which agents heed it.
        #[serde(default)]
        mode: StopMode,
    },
}

impl Request {
    /// How long the agent takes to reply, at the longest. Its client waits a little longer.
    pub(crate) fn reply_within(&self) -> Duration {
        Duration::from_secs(match self {
            // Answered from memory. A home that hangs must not hang `status`.
            Self::Status {} | Self::Stop { .. } | Self::Stay { .. } => 2,
            // A mint waits for another one, and for a busy issuer.
            Self::AccessToken(_) | Self::Unlock { .. } | Self::Lock { .. } | Self::Seal(_) => 70,
            Self::Use { .. } | Self::Keep { .. } | Self::Rename { .. } => 70,
            // Two locks, several answers of a slow issuer, and the first token.
            Self::Enroll(_) | Self::Poll { .. } | Self::Cancel { .. } | Self::Import(_) => 150,
            // Two locks; it revokes, refreshes where that says nothing, and deletes the client.
            Self::EndAccount { .. } => 200,
        })
    }
}

/// Which access token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRequest {
    /// The account's name; the default account if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// The scopes; the session's if absent or empty.
    #[serde(default, skip_serializing_if = "ScopeSet::is_empty")]
    pub(crate) scope: ScopeSet,
    /// Audiences, space-separated; the issuer's default if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) audience: String,
    /// Seconds that the token must still live; -1 asks for a new one, as in oidc-agent.
    #[serde(default)]
    pub(crate) min_valid_period: i64,
}

/// What the agent answers: the object's `status` is `success` or `failure`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Reply<T> {
    /// Done; the fields are the answer's.
    Success(T),
    /// Not done.
    Failure(Failure),
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Failure {
    /// One line: what failed, on what.
    pub(crate) error: String,
    /// One line: what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) info: Option<String>,
    /// Decides the command line's exit code.
    pub(crate) kind: FailureKind,
}

impl Status {
    /// The account whose token is in the file.
    pub(crate) fn default_account(&self) -> Option<&Account> {
        self.accounts.iter().find(|account| Some(&account.name) == self.default_account.as_ref())
    }
}

impl Failure {
    /// What failed, on what; a kind has a constructor of its own.
    pub(crate) fn new(kind: FailureKind, error: impl Into<String>) -> Self {
        Self { error: error.into(), info: None, kind }
    }

    /// Adds what to do.
    #[must_use]
    pub(crate) fn advise(self, info: impl Into<String>) -> Self {
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
pub(crate) enum FailureKind {
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
    pub(crate) fn exit_code(self) -> u8 {
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
pub(crate) struct Token {
    #[serde(serialize_with = "expose_to")]
    pub(crate) access_token: Secret,
    /// Who issued it.
    pub(crate) issuer: String,
    /// The account it was minted from.
    pub(crate) account: String,
    /// What was granted.
    pub(crate) scope: ScopeSet,
    /// As asked; empty for the issuer's default.
    pub(crate) audience: String,
    /// Seconds since the epoch.
    pub(crate) expires_at: u64,
}

/// The answer to [`Request::Status`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The session's id.
    pub(crate) session: String,
    /// The agent's version.
    pub(crate) version: String,
    /// The agent's process id.
    pub(crate) pid: u32,
    /// The user's name, as the login had it.
    pub(crate) user: String,
    /// Absolute path of the token file.
    pub(crate) token_file: String,
    /// What stands in the way of a token, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<Failure>,
    /// The account whose token is in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_account: Option<String>,
    /// All accounts of the user.
    pub(crate) accounts: Vec<Account>,
    /// Those that wait for a passphrase to be given to this agent.
    #[serde(default)]
    pub(crate) locked: Vec<String>,
    /// Those that this agent's node key opens, and that an earlier version let a passphrase open, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) passphrase_too: Vec<String>,
    /// Until when the token file holds what another program has put there, in seconds since the epoch, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) others_token_until: Option<u64>,
    /// What was wrong with a token file, today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file_damage: Option<DamageNote>,
    /// Why the agent's lines do not reach the log, if there is one and they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_unreachable: Option<String>,
    /// Whether the user's logins set the variable of the token file.
    #[serde(default, skip_serializing_if = "ExportChoice::is_yes")]
    pub(crate) export: ExportChoice,
    /// What a new enrolment would be sealed with.
    #[serde(default)]
    pub(crate) sealing: Sealing,
    /// When the agent ends.
    #[serde(default)]
    pub(crate) ends: End,
    /// The user's lock of this host.
    #[serde(flatten)]
    pub(crate) lock: LockState,
}

/// One account as [`Status`] shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) issuer: String,
    /// The client that it was granted to, which the issuer's administrators search for; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) client_id: String,
    /// `sub`, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// What was granted.
    pub(crate) scope: ScopeSet,
    /// What of it the session token carries.
    pub(crate) session_scope: ScopeSet,
    /// When the enrolment ends, in seconds since the epoch, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enrollment_ends_at: Option<u64>,
    /// When the session token ends, in seconds since the epoch, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_expires_at: Option<u64>,
    /// Since when this agent's mint has been asked for the session token, in seconds since the epoch, if it is being.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_asked_at: Option<u64>,
    /// Absolute path of the token file that is kept for it besides the session's, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept_file: Option<String>,
    /// The last failure since the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<LastError>,
}

/// The last failure of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastError {
    /// What failed and what to do.
    #[serde(flatten)]
    pub(crate) failure: Failure,
    /// When, in seconds since the epoch.
    pub(crate) at: u64,
    /// When the issuer is asked again, in seconds since the epoch, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_attempt_at: Option<u64>,
}

/// The answer to [`Request::EndAccount`]: what was done, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    pub(crate) account: String,
    /// Each step with its outcome.
    pub(crate) steps: Vec<ForgetStep>,
}

/// One step of forgetting an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ForgetStep {
    pub(crate) step: ForgetAction,
    /// Why it could not be done, and so stays behind; done if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Whether there was nothing to do: the issuer did not know it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) was_gone: bool,
}

/// The steps of forgetting an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ForgetAction {
    /// The refresh token at the issuer (RFC 7009).
    Revoke,
    /// The client at the issuer (RFC 7592).
    Deregister,
    /// The sealed record, the cache and the token file here.
    Remove,
}
