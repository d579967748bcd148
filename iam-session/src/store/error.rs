//! What can be wrong with a store. Touches nothing.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::file_names::account_of;
use crate::directory::DirectoryError;
use crate::protocol::{Failure, FailureKind};

/// Why a record could not be read or written. The file is never changed by a failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The directory or a file in it cannot be used now.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// There is no such account.
    #[error("there is no account '{account}'")]
    NoAccount { account: String },
    /// A newer version wrote it.
    #[error("{} has a format that this version does not know", path.display())]
    UnknownVersion { path: PathBuf },
    /// It is not what we wrote.
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: &'static str },
    /// It is sealed for another user.
    #[error("{} belongs to uid {uid}", path.display())]
    ForeignUser { path: PathBuf, uid: u32 },
    /// None of the keys given at login opens it.
    #[error("no node key of this host opens {}", path.display())]
    NoKey { path: PathBuf },
    /// It is sealed under a passphrase that has not been given.
    #[error("{} is locked: its passphrase has not been given", path.display())]
    Locked { path: PathBuf },
    /// The user has locked this host.
    #[error("you have locked this host")]
    HostLocked,
    /// The lock is not what we wrote; the store stays closed.
    #[error("{} is damaged: {what}", path.display())]
    DamagedLock { path: PathBuf, what: &'static str },
    /// A new record cannot be sealed.
    #[error("there is nothing to seal an enrolment with: neither a node key nor a passphrase")]
    NoSealingKey,
    /// Another host is at work on this store.
    #[error("another host holds the lock of {}", path.display())]
    Busy { path: PathBuf },
    /// Its file system has no locks, and hosts may share it.
    #[error("the file system of {} has no locks: {}", path.display(), errno.desc())]
    NoLocks { path: PathBuf, errno: Errno },
}

impl StoreError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Cow<'static, str> {
        let hint = match self {
            Self::Directory(DirectoryError::Unsafe { .. }) => "check its owner and mode",
            Self::Directory(_) => "is the home directory there, writable and not full?",
            Self::NoAccount { .. } => "'iam-session status' lists your accounts",
            Self::UnknownVersion { .. } => "use the version of iam-session that wrote it",
            Self::Damaged { path, .. } | Self::ForeignUser { path, .. } => return enrol_in_place_of(path),
            Self::NoKey { .. } => {
                "log in again; if that does not help, ask the administrator to look at /etc/iam-session/keys.d"
            }
            Self::Locked { .. } | Self::HostLocked => "run 'iam-session unlock'",
            Self::DamagedLock { .. } => "remove it, and log in again",
            Self::NoSealingKey => "run 'iam-session unlock' to choose a passphrase, or ask for a node key",
            Self::Busy { .. } => "try again in a moment",
            Self::NoLocks { .. } => {
                "ask the administrator to mount it with '-o flock', or '-o localflock' for one host, or to set store_dir or store_locks in /etc/iam-session/config.toml"
            }
        };
        Cow::Borrowed(hint)
    }
}

/// The command that makes a new record of the same name. Nothing else is known of the account: its issuer is sealed.
fn enrol_in_place_of(record: &Path) -> Cow<'static, str> {
    let name = record.file_name().and_then(|name| account_of(name.to_str()?));
    match name {
        Some(name) => format!("move it away, then run 'iam-session enroll --account {name} ISSUER'").into(),
        None => "move it away, then log in again".into(),
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::NoAccount { .. } => FailureKind::NotEnrolled,
            StoreError::Locked { .. }
            | StoreError::HostLocked
            | StoreError::DamagedLock { .. }
            | StoreError::NoSealingKey => FailureKind::Locked,
            _ => FailureKind::Failed,
        };
        Self { error: error.to_string(), info: Some(error.hint().into_owned()), kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_replaced_under_its_own_name() {
        let path = |name: &str| PathBuf::from(format!("/store/{name}"));
        let damaged = |name| StoreError::Damaged { path: path(name), what: "w" }.hint();
        let named = "move it away, then run 'iam-session enroll --account cms ISSUER'";
        assert_eq!(damaged("cms.cred"), named);
        assert_eq!(StoreError::ForeignUser { path: path("cms.cred"), uid: 1 }.hint(), named);
        assert_eq!(damaged("0123.pending"), "move it away, then log in again");
    }
}
