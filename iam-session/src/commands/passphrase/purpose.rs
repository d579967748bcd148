//! The words in which a passphrase is asked for, and in which it is said that nothing came of it. Pure; touches nothing.

use std::io;

use crate::protocol::{Failure, FailureKind};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What opens the store.
    Passphrase,
    /// What the user logs in with at an issuer.
    Password,
    /// Something that an issuer wants to see: a token, a client's secret.
    Credential,
}

impl Purpose {
    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Password => "password",
            Self::Credential => "credential",
        }
    }

    /// There is nobody to ask.
    pub(super) fn no_terminal(self) -> Failure {
        let (what, info, kind) = match self {
            Self::Passphrase => (
                "the passphrase",
                "use --passphrase-fd, --passphrase-file or --passphrase-command",
                FailureKind::Locked,
            ),
            Self::Password => {
                ("the password", "use --password-fd, or run this on a terminal", FailureKind::Failed)
            }
            Self::Credential => ("it", "give it in a file", FailureKind::Usage),
        };
        let error = format!("there is no terminal to ask for {what} on");
        Failure::new(kind, error).advise(info)
    }

    /// Whoever was asked did not want to answer.
    pub(super) fn cancelled(self) -> Failure {
        match self {
            Self::Passphrase => Failure::locked("cancelled").advise("run 'iam-session unlock'"),
            Self::Password | Self::Credential => Failure::failed("cancelled; nothing was stored"),
        }
    }

    /// The terminal does not do as it is told.
    pub(super) fn broken(self, error: &io::Error) -> Failure {
        let info = match self {
            Self::Passphrase => "use --passphrase-fd",
            Self::Password => "use --password-fd",
            Self::Credential => "give it in a file",
        };
        Failure::failed(format!("cannot ask on the terminal: {error}")).advise(info)
    }
}
