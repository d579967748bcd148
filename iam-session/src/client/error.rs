//! Errors of a client: why an agent did not do what it was asked. Touches nothing but `$SHELL`.

use std::io;
use std::path::PathBuf;

use super::owner::forget_the_others;
use crate::protocol::{BUSY, Failure, FailureKind};
use crate::shell::ShellSyntax;

/// Why there is no answer, or no good one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nothing named a socket, and no directory holds one.
    #[error("no agent is running for you on this host")]
    NoAgent,
    /// The session's agent has ended, and the user has no other.
    #[error("no agent is listening at {}", path.display())]
    Dead { path: PathBuf },
    /// Somebody else listens.
    #[error("{} is the socket of {owner}, not yours", path.display())]
    Foreign { path: PathBuf, owner: String },
    /// The socket cannot be used.
    #[error("cannot talk to the agent at {}: {source}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    /// The connection ended before the reply.
    #[error("the agent at {} closed the connection without an answer", path.display())]
    Closed { path: PathBuf },
    /// There was no reply in time.
    #[error("the agent at {} does not answer", path.display())]
    Silent { path: PathBuf },
    /// The reply is not one.
    #[error("the agent at {} answered something else than the protocol has", path.display())]
    Garbage { path: PathBuf },
    /// What was asked does not fit into a line.
    #[error("the request is longer than the agent takes")]
    RequestTooLong,
    /// The descriptor that interrupts became readable.
    #[error("interrupted while the agent was at work; what was asked goes on")]
    Interrupted,
    /// The agent's own answer.
    #[error(transparent)]
    Agent(Failure),
}

impl ClientError {
    /// Whether the agent has no room for another client now.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Agent(failure) => failure.error == BUSY,
            _ => false,
        }
    }

    fn hint(&self) -> String {
        let shell = ShellSyntax::choose(None);
        match self {
            Self::NoAgent => {
                return format!("log in again, or start one here: {}", shell.eval("iam-session start"));
            }
            Self::Foreign { .. } => return forget_the_others(shell),
            Self::Dead { .. } => "its login has ended: log in again",
            Self::Connect { .. } => "log in again",
            Self::Closed { .. } | Self::Silent { .. } => "try once more, then log in again",
            Self::Interrupted => "'iam-session status' tells what came of it",
            Self::Garbage { .. } => "it may be of another version: log in again",
            Self::RequestTooLong | Self::Agent(_) => "ask for fewer scopes or audiences",
        }
        .to_owned()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::RequestTooLong => FailureKind::Usage,
            ClientError::Interrupted => FailureKind::Failed,
            _ => FailureKind::NoAgent,
        };
        match error {
            ClientError::Agent(failure) => failure,
            other => Self { error: other.to_string(), info: Some(other.hint()), kind },
        }
    }
}
