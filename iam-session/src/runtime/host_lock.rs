//! The host lock as agents see it without the store: a file in their directory that mirrors the marker, and says until
//! when the lock is open. Touches that one file; no secret is in it.
//!
//! A mint that holds `mint.lock` writes and removes it, and inotify tells every agent. A mint also reads the marker:
//! if this file is missing, the marker stands.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RuntimeDirectory;
use crate::directory::{Directory, DirectoryError, Durability};
use crate::protocol::Failure;
use crate::store::Marker;

const NAME: &str = "locked";
/// An id, and the ids of a few dozen keys that an earlier version named.
const MAX_FILE: usize = 4096;

/// Which lock there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostLock {
    /// The marker's id.
    pub(crate) id: String,
    /// Empty. Agents of versions whose locks had keys in them read it.
    #[serde(default)]
    keys: Vec<String>,
    /// If it is open for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Open>,
}

/// How long a lock is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    /// On CLOCK_BOOTTIME of the boot that is named.
    until: Duration,
    boot_id: String,
}

impl HostLock {
    /// The lock that there is, if there is one.
    pub(crate) fn read(directory: &Directory) -> Option<Self> {
        serde_json::from_slice(&directory.read(NAME, MAX_FILE).ok()??).ok()
    }

    /// Whether there is one, open or not, or something that may be one.
    pub(crate) fn is_there(directory: &Directory) -> bool {
        !matches!(directory.has(NAME), Ok(false))
    }

    /// Whether there is one that is not open.
    pub(crate) fn is_in_force(runtime: &RuntimeDirectory, now: Duration) -> bool {
        Self::read(&runtime.agents).is_some_and(|lock| lock.is_closed(runtime.cache.boot_id(), now))
    }

    /// Whether it keeps everybody out.
    pub(crate) fn is_closed(&self, boot_id: &str, now: Duration) -> bool {
        self.open_until(boot_id).is_none_or(|until| until <= now)
    }

    /// The end of its being open, if it was opened for a time since the boot.
    pub(crate) fn open_until(&self, boot_id: &str) -> Option<Duration> {
        self.open.as_ref().filter(|open| open.boot_id == boot_id).map(|open| open.until)
    }

    /// Makes the file say that this lock is closed.
    pub(crate) fn close(directory: &Directory, marker: &Marker) -> Result<(), DirectoryError> {
        Self { id: marker.id(), keys: Vec::new(), open: None }.write(directory)
    }

    /// Makes it say that the lock is open for a time.
    pub(crate) fn open(
        runtime: &RuntimeDirectory,
        marker: &Marker,
        until: Duration,
    ) -> Result<(), DirectoryError> {
        let open = Open { until, boot_id: runtime.cache.boot_id().to_owned() };
        Self { id: marker.id(), keys: Vec::new(), open: Some(open) }.write(&runtime.agents)
    }

    /// Makes it say what the marker does; what is open stays so.
    pub(crate) fn mirror(directory: &Directory, marker: Option<&Marker>) -> Result<(), DirectoryError> {
        match (marker, Self::read(directory)) {
            (Some(marker), Some(lock)) if lock.id == marker.id() => Ok(()),
            (Some(marker), _) => Self::close(directory, marker),
            (None, _) => directory.remove(NAME),
        }
    }

    fn write(&self, directory: &Directory) -> Result<(), DirectoryError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        directory.replace(NAME, &text, Durability::Volatile)
    }
}

/// What was opened for a time is closed again.
pub(crate) fn unlock_is_over() -> Failure {
    Failure::locked("the time of the last unlock is over").advise("run 'iam-session unlock'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_open_until_its_time_of_this_boot() {
        let at = Duration::from_secs;
        let closed = HostLock { id: "a".into(), keys: Vec::new(), open: None };
        assert!(closed.is_closed("boot", at(0)));
        let open = Open { until: at(10), boot_id: "boot".into() };
        let open = HostLock { open: Some(open), ..closed };
        assert!(!open.is_closed("boot", at(9)) && open.is_closed("boot", at(10)));
        assert!(open.is_closed("another", at(9)));
    }

    #[test]
    fn agents_of_an_earlier_version_read_the_fields_they_know() {
        let lock = HostLock { id: "a".into(), keys: Vec::new(), open: None };
        assert_eq!(serde_json::to_string(&lock).unwrap(), r#"{"id":"a","keys":[]}"#);
        let theirs: HostLock = serde_json::from_str(r#"{"id":"a","keys":["0101010101010101"]}"#).unwrap();
        assert!(theirs.is_closed("boot", Duration::ZERO));
    }
}
