//! Clients that were registered for an enrolment that is not approved yet: sealed as records are, each in a file of its own
//! beside them. Touches the store's directory.

use super::directory::Store;
use super::error::StoreError;
use super::format::MAX_FILE;

const PENDING: &str = ".pending";
/// Of random bytes, so that no two are one.
const FLOW: usize = 32;

/// The file of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Names the enrolment.
    pub flow: String,
    /// When nobody can wait for it any more, in seconds since the epoch.
    pub until: u64,
}

impl Pending {
    /// The file of an enrolment; `None` where `flow` is no name of one.
    pub fn new(flow: &str, until: u64) -> Option<Self> {
        let is_name =
            flow.len() == FLOW && flow.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_name.then(|| Self { flow: flow.to_owned(), until })
    }

    fn parse(name: &str) -> Option<Self> {
        let (flow, until) = name.strip_suffix(PENDING)?.split_once('-')?;
        Self::new(flow, until.parse().ok()?)
    }

    /// Its name in the store.
    pub fn name(&self) -> String {
        format!("{}-{}{PENDING}", self.flow, self.until)
    }
}

impl Store {
    /// All that are there.
    ///
    /// # Errors
    /// [`StoreError::Directory`].
    pub fn pending(&self) -> Result<Vec<Pending>, StoreError> {
        Ok(self.directory().names()?.iter().filter_map(|name| Pending::parse(name)).collect())
    }

    /// The one of an enrolment, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Directory`].
    pub fn pending_of(&self, flow: &str) -> Result<Option<Pending>, StoreError> {
        Ok(self.pending()?.into_iter().find(|pending| pending.flow == flow))
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`StoreError::Directory`].
    pub fn read_pending(&self, pending: &Pending) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.directory().read(&pending.name(), MAX_FILE)?)
    }

    /// Keeps one; on the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::Directory`].
    pub fn write_pending(&self, pending: &Pending, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.directory().replace(&pending.name(), bytes, crate::directory::Durability::Synced)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_nothing_else_is_one() {
        let flow = "0123456789abcdef".repeat(2);
        let pending = Pending::new(&flow, 1_700_000_000).unwrap();
        assert_eq!(Pending::parse(&pending.name()), Some(pending));
        for name in ["wlcg.pending", "wlcg-1.pending", "..-1.pending", &format!("{flow}-x.pending"), &flow] {
            assert_eq!(Pending::parse(name), None, "{name}");
        }
        assert_eq!(Pending::new("../x", 1), None);
    }
}
