//! Jobs about an account as a whole, and their answers. Touches nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::{Authorization, Authorized, Ending, Forgotten, Poll, Polled, Renamed, Used};

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountJob {
    /// Begin a device flow.
    Authorize(Authorization),
    /// Poll once.
    Poll {
        poll: Poll,
        /// On CLOCK_BOOTTIME: not to be sealed later.
        by: Duration,
    },
    /// Make it the one whose token is in the file.
    Use {
        account: String,
    },
    /// Keep a file of its own.
    Keep {
        account: String,
    },
    /// Another name.
    Rename {
        account: String,
        to: String,
    },
    End {
        account: String,
        ending: Ending,
    },
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
