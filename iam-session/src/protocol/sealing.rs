//! `seal` and `lock`: requests about what opens the user's accounts, and about the host lock. Touches nothing.

use serde::{Deserialize, Serialize};

use super::Failure;

/// What `seal` asks for.
#[derive(Debug, Serialize, Deserialize)]
pub struct SealRequest {
    /// What is to be done.
    pub action: SealAction,
    /// One account; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// What is to be done with slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealAction {
    /// Tell which there are.
    List,
    /// Put one of the newest node key in the place of those of older ones.
    Renew,
}

/// A kind of slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotKind {
    /// A node key's.
    Node,
    /// A passphrase's.
    Passphrase,
    /// One of a later version.
    Other,
}

/// The answer to `seal`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealReport {
    /// The accounts that were asked for, as they are sealed now.
    pub accounts: Vec<SealedAccount>,
}

/// How one account is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedAccount {
    /// Its name.
    pub name: String,
    /// Whether its record was written.
    #[serde(default)]
    pub changed: bool,
    /// What opens it.
    pub slots: Vec<SlotReport>,
    /// Why it could not be changed, or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Failure>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotReport {
    /// Its kind.
    pub kind: SlotKind,
    /// Names the node key, or the way from the passphrase to a key, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether this agent can open it now.
    pub opens_now: bool,
    /// Whether it is of a key that a login on this host brings.
    pub opens_at_login: bool,
}

/// How a user's lock of this host stands, as `status` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockState {
    /// Whether this agent serves nothing until it is unlocked.
    #[serde(default)]
    pub host_locked: bool,
    /// Whether there is a lock that is open for a time, to be in force again later.
    #[serde(default)]
    pub lock_kept: bool,
    /// When what a passphrase has opened closes again, in seconds since the epoch, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocked_until: Option<u64>,
    /// Said by agents of versions whose locks had keys in them, and by no other.
    #[serde(default, skip_serializing)]
    pub wrong_passphrases: Option<u32>,
}

impl LockState {
    /// Refuses to have an agent do what its version did with keys, and this one does not.
    ///
    /// # Errors
    /// [`agent_is_older`].
    pub fn refuse_older_agent(&self) -> Result<(), Failure> {
        if self.wrong_passphrases.is_some() { Err(agent_is_older()) } else { Ok(()) }
    }
}

/// What a lock and slots were to an agent of a version whose locks had keys in them is not done any more.
pub fn agent_is_older() -> Failure {
    Failure::failed("this session's agent is of an older version").advise("log in again")
}
