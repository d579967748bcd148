//! The one line that a mistake in the configuration becomes. Touches nothing.

use std::io;
use std::path::PathBuf;

use crate::protocol::{Failure, FailureKind};
use crate::text::printable;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or directory that exists cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file says something that is not accepted.
    #[error("{}:{line}: {}; accepted: {accepted}", path.display(), printable(what))]
    Mistake {
        /// Which file.
        path: PathBuf,
        /// Where in it, counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
        /// What would be right.
        accepted: String,
    },
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { error: error.to_string(), info: None, kind: FailureKind::Failed }
    }
}
