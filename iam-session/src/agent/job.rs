//! What the agent asks of its mint, and the answers: JSON lines over the mint's descriptors 0 and 1, after the
//! lifeline message. Both ends are one program, so this is no contract with anybody else. Touches nothing.

mod account;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::account::{AccountDone, AccountJob, Ending};
use super::book::Entry;
use super::cache::{CachedToken, Wanted};
use super::freshness::Freshness;
use crate::protocol::{Enrolled, Enrollment, Failure, SealReport, SealRequest, Unlocked};
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_option_to, expose_to};
use crate::store::Keyring;

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
    /// Derive keys and open what they open → [`Done::Unlocked`].
    Unlock {
        /// As it was typed.
        #[serde(serialize_with = "expose_to")]
        passphrase: Secret,
        /// On CLOCK_BOOTTIME: not to be used later.
        until: Option<Duration>,
    },
    /// Take the keys into the marker → [`Done::Locked`].
    Lock {
        /// That of a new lock.
        #[serde(serialize_with = "expose_option_to")]
        passphrase: Option<Secret>,
    },
    /// End a lock → [`Done::Lifted`].
    Lift {
        /// Its id.
        lock: String,
    },
    /// See to the slots of records → [`Done::Sealed`].
    Seal(SealRequest),
    /// All keys that the agent has, given to each mint before its first job; not answered.
    Keys {
        /// The keys.
        keys: Keyring,
        /// What some of them are owed to.
        opening: Opening,
    },
}

/// What an unlock has opened, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opening {
    /// The id of the lock that does not stand against this agent any more.
    pub(super) lock: Option<String>,
    /// On CLOCK_BOOTTIME: from then on it is as before.
    pub(super) until: Option<Duration>,
}

impl Opening {
    /// Whether its time is over.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it lets past the lock with this id.
    pub(super) fn lets_past(&self, lock: &str, now: Duration) -> bool {
        self.lock.as_deref() == Some(lock) && !self.is_over(now)
    }
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
    /// The agent keeps the keys.
    Unlocked(Result<Box<Unlock>, Failure>),
    /// The marker is on the disk: the agent lets go of its keys.
    Locked(Result<(), Failure>),
    /// There is no lock any more.
    Lifted(Result<(), Failure>),
    /// The agent keeps the keys.
    Sealed(Result<Box<Seal>, Failure>),
}

/// What came of an unlock.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Unlock {
    /// All keys that the agent has from now on.
    pub(super) keys: Keyring,
    /// What they are owed to.
    pub(super) opening: Opening,
    /// What the client is told.
    pub(super) answer: Unlocked,
}

/// What came of a change of slots.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seal {
    /// All keys that the agent has from now on.
    pub(super) keys: Keyring,
    /// What the client is told.
    pub(super) answer: SealReport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlock_lets_past_its_own_lock_and_for_its_time() {
        let at = Duration::from_secs;
        let opening = Opening { lock: Some("a".into()), until: Some(at(10)) };
        assert!(opening.lets_past("a", at(9)) && !opening.lets_past("a", at(10)));
        assert!(!opening.lets_past("b", at(9)));
        let for_good = Opening { until: None, ..opening };
        assert!(for_good.lets_past("a", at(1 << 40)) && !for_good.is_over(at(1 << 40)));
        assert!(!Opening::default().lets_past("a", at(0)));
    }
}
