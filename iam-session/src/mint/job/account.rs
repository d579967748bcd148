//! Jobs about an account as a whole, and their answers. Touches nothing.

use serde::{Deserialize, Serialize};

use crate::protocol::{
    Beginning, Begun, Cancelled, Ending, Enrolled, Forgotten, Import, Polled, Renamed, Used,
};

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountJob {
    /// Begin a device flow.
    Enroll(Box<Beginning>),
    /// Poll once.
    Poll {
        ticket: String,
    },
    /// End a device flow.
    Cancel {
        flow: String,
    },
    /// Seal a refresh token from elsewhere.
    Import(Box<Import>),
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
    Begun(Begun),
    Polled(Polled),
    Cancelled(Cancelled),
    Imported(Enrolled),
    Used(Used),
    Renamed(Renamed),
    Ended(Forgotten),
}
