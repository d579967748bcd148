//! Jobs about an account as a whole, and their answers. Touches nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::{Authorization, Authorized, Forgotten, Poll, Polled, Renamed, Used};

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountJob {
    /// Begin a device flow.
    Authorize(Authorization),
    /// Poll once.
    Poll {
        /// For what.
        poll: Poll,
        /// On CLOCK_BOOTTIME: not to be sealed later.
        by: Duration,
    },
    /// Make it the one whose token is in the file.
    Use { account: String },
    /// Keep a file of its own.
    Keep { account: String },
    /// Another name.
    Rename { account: String, to: String },
    /// End it.
    End { account: String, ending: Ending },
}

/// How an account is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// At the issuer, then here; here alone where nothing opens it.
    Forget,
    /// At the issuer, then here; what nothing opens is kept, for it can still be revoked.
    Revoke,
    /// Here alone.
    Remove,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountDone {
    Authorized(Authorized),
    Polled(Polled),
    Used(Used),
    Renamed(Renamed),
    Ended(Forgotten),
}
