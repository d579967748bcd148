//! The end of an account, and answers about an account as a whole: whose token is in which file, a name. Touches
//! nothing.

use serde::{Deserialize, Serialize};

use super::Failure;

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
