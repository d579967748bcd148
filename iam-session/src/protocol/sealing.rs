//! What opens the user's accounts, and the changes of it: `seal`, `lock`, `lift`. Touches nothing.

use serde::{Deserialize, Serialize};

use super::Failure;
use crate::secret::{Secret, expose_option_to};

/// What `seal` asks for.
#[derive(Debug, Serialize, Deserialize)]
pub struct SealRequest {
    /// What is to be done.
    pub action: SealAction,
    /// Of which kind of slot; none to list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotKind>,
    /// One account; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// A new one, for a slot that is added.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option_to")]
    pub passphrase: Option<Secret>,
}

/// What is to be done with slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealAction {
    /// Tell which there are.
    List,
    /// Seal under one more.
    Add,
    /// Under one less.
    Remove,
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
    /// Whether a lock stands that this agent was let past, to be in force again later.
    #[serde(default)]
    pub lock_kept: bool,
    /// When what a passphrase has opened closes again, in seconds since the epoch, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocked_until: Option<u64>,
    /// How many wrong passphrases were given to the user's agents on this host since the last right one.
    #[serde(default)]
    pub wrong_passphrases: u32,
}
