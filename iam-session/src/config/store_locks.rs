//! Whether hosts may share a store. Pure; touches nothing.

pub(super) const STORE_LOCKS: &str = "\"shared\" or \"host\"";

/// Whose lock a store needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreLocks {
    /// Hosts may share it: without a lock that all of them respect nothing is written.
    #[default]
    Shared,
    /// One host uses it: where the file system has no locks, the host's own lock is enough.
    Host,
}

pub(super) fn store_locks(text: &str) -> Option<StoreLocks> {
    match text {
        "shared" => Some(StoreLocks::Shared),
        "host" => Some(StoreLocks::Host),
        _ => None,
    }
}
