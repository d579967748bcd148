//! What the agent asks of its mint, and the answers: JSON lines over the mint's descriptors 0 and 1, after the
//! lifeline message. Both ends are one program, or `iam-session-admin` of the same package, so this is no contract with
//! anybody else. Touches nothing.

mod account;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::account::{AccountDone, AccountJob, Ending};
use super::book::Entry;
use super::cache::{CachedToken, Wanted};
use super::freshness::Freshness;
use crate::protocol::{Enrolled, Enrollment, Failure, Unlocked};
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_to};
use crate::store::PassphraseKey;

/// Longest line in either direction: a request of the socket with its frame.
pub(super) const MAX_LINE: usize = 128 * 1024;

/// What needs the store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Job {
    /// Look which accounts there are and put a token that is good into the file → [`Done::Looked`].
    Look,
    /// See to a token → [`Done::Token`].
    Token(TokenJob),
    /// Seal an enrolment → [`Done::Enrolled`].
    Enroll {
        /// What was obtained.
        enrollment: Box<Enrollment>,
        /// On CLOCK_BOOTTIME: not to be sealed later.
        by: Duration,
    },
    /// Something about an account as a whole → [`Done::Account`].
    Account(AccountJob),
    /// List what there is of the user's; asked by root's tool alone → [`Done::Inventory`].
    Inventory,
    /// Derive keys and open what they open → [`Done::Unlocked`].
    Unlock {
        /// As it was typed.
        #[serde(serialize_with = "expose_to")]
        passphrase: Secret,
    },
    /// The keys of an earlier unlock, given to each mint before its first job; not answered.
    Keys {
        /// All of them.
        keys: Vec<PassphraseKey>,
    },
}

/// Which token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenJob {
    pub(super) account: String,
    pub(super) kind: Kind,
    pub(super) freshness: Freshness,
}

/// Whether it is the token of the session or one that somebody named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// As wide as policy and grant let it be; in the file, if the account is the default one.
    Session,
    /// Exactly this, or an error.
    Named {
        /// Not empty.
        scope: ScopeSet,
        /// Empty for the issuer's default.
        audience: String,
    },
}

impl Kind {
    /// What the token is cached as.
    pub(super) fn wanted(&self, entry: &Entry) -> Wanted {
        match self {
            Self::Session => entry.session_token(),
            Self::Named { scope, audience } => Wanted {
                record_id: entry.record_id.clone(),
                scope: scope.clone(),
                audience: audience.clone(),
            },
        }
    }
}

/// The answer to a [`Job`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Done {
    /// The book is up to date, or says why it is not.
    Looked(Result<(), Failure>),
    /// The token, which is in the cache too where that could be written.
    Token(Result<Box<CachedToken>, Failure>),
    /// Sealed.
    Enrolled(Result<Enrolled, Failure>),
    /// Done as far as it could be.
    Account(Result<Box<AccountDone>, Failure>),
    /// As far as it could be looked at.
    Inventory(Box<Inventory>),
    /// The agent keeps the keys.
    Unlocked(Result<Box<Unlock>, Failure>),
}

/// What there is of a user's, without a secret.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Inventory {
    /// What lies in the store.
    pub(crate) accounts: Vec<Entry>,
    /// Why that may be wrong or empty.
    pub(crate) trouble: Option<Failure>,
    /// Access tokens that are good now.
    pub(crate) tokens: Vec<LiveToken>,
}

/// An access token without the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveToken {
    pub(crate) issuer: String,
    pub(crate) scope: ScopeSet,
    pub(crate) audience: String,
    /// Seconds since the epoch.
    pub(crate) expires_at: u64,
    pub(crate) jti: Option<String>,
}

/// What came of an unlock.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Unlock {
    /// All keys of passphrases that the agent has from now on.
    pub(super) keys: Vec<PassphraseKey>,
    /// What the client is told.
    pub(super) answer: Unlocked,
}
