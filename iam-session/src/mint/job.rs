//! The jobs that an agent gives to its mint, and the answers: JSON lines over the mint's descriptors 0 and 1, after
//! the lifeline message. Touches nothing.
//!
//! Both ends are one program, so this is no contract with anybody else.

mod account;

use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

pub(crate) use self::account::{AccountDone, AccountJob};
use crate::protocol::{Failure, SealReport, SealRequest, Unlocked};
use crate::runtime::cache::CachedToken;
use crate::runtime::token_wanted::TokenJob;
use crate::secret::{Secret, expose_option_to, expose_to};
use crate::store::Keyring;

/// Longest line in either direction: a request of the socket with its frame.
pub(crate) const MAX_LINE: usize = 128 * 1024;

/// What needs the store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Job {
    /// Look which accounts there are and put a token that is good into the file → [`JobResult::Looked`].
    Look,
    /// See to a token → [`JobResult::Token`].
    Token(TokenJob),
    /// Something about an account as a whole → [`JobResult::Account`].
    Account(AccountJob),
    /// Open the user's lock of this host with a passphrase, or what is sealed under it → [`JobResult::Unlocked`].
    Open {
        /// As it was typed.
        #[serde(serialize_with = "expose_to")]
        passphrase: Secret,
        /// On CLOCK_BOOTTIME: not to be used later.
        until: Option<Duration>,
    },
    /// Lock this host → [`JobResult::Locked`].
    LockHost {
        /// That of a new lock.
        #[serde(serialize_with = "expose_option_to")]
        passphrase: Option<Secret>,
    },
    /// See to the slots of records → [`JobResult::Sealed`].
    Slots(SealRequest),
    /// All keys that the agent has, given to each mint before its first job; not answered.
    Keys {
        keys: Keyring,
        /// How long it has those of passphrases.
        #[serde(default)]
        opening: UnlockState,
    },
    /// As [`Job::Open`], asked by agents of versions whose locks had keys in them: not with a lock.
    Unlock {
        /// As it was typed.
        #[serde(serialize_with = "expose_to")]
        passphrase: Secret,
        /// As in [`Job::Open`].
        until: Option<Duration>,
    },
    /// Asked by those agents, and refused.
    #[serde(skip_serializing)]
    Lock(IgnoredAny),
    /// The same.
    #[serde(skip_serializing)]
    Lift(IgnoredAny),
    /// The same.
    #[serde(skip_serializing)]
    Seal(IgnoredAny),
}

/// How long keys of passphrases are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnlockState {
    /// On CLOCK_BOOTTIME; for good if absent.
    pub(crate) until: Option<Duration>,
}

/// The answer to a [`Job`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobResult {
    /// The accounts file is up to date, or says why it is not.
    Looked(Result<(), Failure>),
    /// The token, which is in the cache too where that could be written.
    Token(Result<Box<CachedToken>, Failure>),
    /// Done as far as it could be.
    Account(Result<Box<AccountDone>, Failure>),
    /// The agent keeps the keys.
    Unlocked(Result<Box<UnlockResult>, Failure>),
    /// The marker is on the disk.
    Locked(Result<(), Failure>),
    /// Refused to an agent of an earlier version.
    Lifted(Result<(), Failure>),
    /// Done as far as it could be.
    Sealed(Result<SealReport, Failure>),
}

/// What came of an unlock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UnlockResult {
    /// All keys that the agent has from now on.
    pub(crate) keys: Keyring,
    /// How long it has those of passphrases.
    pub(crate) opening: UnlockState,
    /// What the client is told.
    pub(crate) answer: Unlocked,
}
