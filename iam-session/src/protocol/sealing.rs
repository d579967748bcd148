//! `seal` and `lock`: requests about what opens the user's accounts, and about the host lock. Touches nothing.

use serde::{Deserialize, Serialize};

use super::Failure;

/// What `seal` asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SealRequest {
    /// What is to be done.
    pub(crate) action: SealAction,
    /// One account; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
}

/// What is to be done with slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SealAction {
    /// Tell which there are.
    List,
    /// Put one of the newest node key in the place of those of older ones.
    Renew,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SlotKind {
    /// A node key's.
    Node,
    Passphrase,
    /// One of a later version.
    Other,
}

/// The answer to `seal`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SealReport {
    /// The accounts that were asked for, as they are sealed now.
    pub(crate) accounts: Vec<SealedAccount>,
}

/// How one account is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedAccount {
    pub(crate) name: String,
    /// Whether its record was written.
    #[serde(default)]
    pub(crate) changed: bool,
    /// What opens it.
    pub(crate) slots: Vec<SlotReport>,
    /// Why it could not be changed, or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SlotReport {
    pub(crate) kind: SlotKind,
    /// Names the node key, or the way from the passphrase to a key, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Whether this agent can open it now.
    pub(crate) opens_now: bool,
    /// Whether it is of a key that a login on this host brings.
    pub(crate) opens_at_login: bool,
}

/// How a user's lock of this host stands, as `status` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockState {
    /// Whether this agent serves nothing until it is unlocked.
    #[serde(default)]
    pub(crate) host_locked: bool,
    /// Whether there is a lock that is open for a time, to be in force again later.
    #[serde(default)]
    pub(crate) lock_kept: bool,
    /// When what a passphrase has opened closes again, in seconds since the epoch, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unlocked_until: Option<u64>,
    /// Said by agents of versions whose locks had keys in them, and by no other.
    #[serde(default, skip_serializing)]
    pub(crate) wrong_passphrases: Option<u32>,
}

impl LockState {
    /// Refuses to have an agent do what its version did with keys, and this one does not.
    pub(crate) fn refuse_older_agent(&self) -> Result<(), Failure> {
        if self.wrong_passphrases.is_some() { Err(agent_is_older()) } else { Ok(()) }
    }
}

/// What a lock and slots were to an agent of a version whose locks had keys in them is not done any more.
pub(crate) fn agent_is_older() -> Failure {
    Failure::failed("this session's agent is of an older version").advise("log in again")
}
