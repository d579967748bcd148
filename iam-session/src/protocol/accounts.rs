//! Answers about an account as a whole: whose token is in which file, a name. Touches nothing.

use serde::{Deserialize, Serialize};

use super::Failure;

/// The answer to `use`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Used {
    /// The account whose token is in the file from now on.
    pub account: String,
    /// Absolute path of the token file.
    pub token_file: String,
    /// Why there is no token in the file yet, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Failure>,
}

/// The answer to `rename`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Renamed {
    /// The new name.
    pub account: String,
    /// Absolute path of the token file that is kept for it besides, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_file: Option<String>,
    /// What still has the old name, if something has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
