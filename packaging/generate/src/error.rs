//! Why nothing was made, in one line. Touches nothing.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(&'static str),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("'{command}' failed: {why}")]
    Cargo { command: String, why: String },
    #[error("{0}: no licence text beside its manifest; it cannot be shipped like this")]
    NoLicence(String),
    #[error("{0} is not in what 'cargo metadata' or Cargo.lock says")]
    Unknown(String),
}

impl Error {
    /// For `map_err`: what failed on this path.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
