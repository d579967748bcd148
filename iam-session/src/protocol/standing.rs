//! How an agent stands: its keys and its end, and the answers to `unlock`, `stop` and `stay`. Touches nothing.

use serde::{Deserialize, Serialize};

use super::Failure;

/// Characters of a new passphrase, at the least: who has a copy of the store can try as many as Argon2 lets through.
pub(crate) const MIN_PASSPHRASE: usize = 8;

/// When an agent ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// With the login that started it, or with what that left running.
    #[default]
    Login,
    /// With the shells it was started in, or when it is told to stop.
    Shell,
}

/// Which agents heed `stop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopMode {
    /// One that was started in a shell.
    #[default]
    Started,
    /// One that a login started, too.
    Any,
}

/// What a new enrolment would be sealed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sealing {
    /// The node's key.
    #[default]
    Node,
    /// The passphrase that the agent was unlocked with.
    Passphrase,
    /// Nothing, until a passphrase is given.
    Nothing,
}

/// The answer to `unlock`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unlocked {
    /// The accounts that can be used now.
    pub(crate) accounts: Vec<String>,
    /// Absolute path of the token file.
    pub(crate) token_file: String,
    /// Why there is no token in the file yet, if there is an account and no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<Failure>,
}

/// The answer to `stop`, `stay` and `lock`: done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Heeded {}
