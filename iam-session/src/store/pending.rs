//! Clients that were registered for an enrolment that is not approved yet: sealed as records are, each in a file of its own
//! beside them. Touches the store's directory.

use super::directory::Store;
use super::error::StoreError;
use super::file_names::in_place;
use super::format::MAX_FILE;
use crate::directory::Durability;

const PENDING: &str = ".pending";
/// Of random bytes, so that no two are one.
const FLOW: usize = 32;

/// The file of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Names the enrolment.
    pub(crate) flow: String,
    /// When nobody can wait for it any more, in seconds since the epoch.
    pub(crate) until: u64,
    name: String,
}

impl Pending {
    /// That of an enrolment; `None` where `flow` is no name of one.
    pub(crate) fn new(flow: &str, until: u64) -> Option<Self> {
        let is_name =
            flow.len() == FLOW && flow.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_name.then(|| Self { flow: flow.to_owned(), until, name: format!("{flow}-{until}{PENDING}") })
    }

    /// One that a mint was killed over is whole, perhaps, and its client is to be ended, too.
    fn parse(name: &str) -> Option<Self> {
        let (flow, until) = in_place(name)?.strip_suffix(PENDING)?.split_once('-')?;
        Some(Self { name: name.to_owned(), ..Self::new(flow, until.parse().ok()?)? })
    }

    /// Its name in the store.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Of a file's name: whose enrolment it is, if it is the file of one that waits.
pub(crate) fn flow_of(name: &str) -> Option<&str> {
    Pending::parse(name)?;
    in_place(name)?.get(..FLOW)
}

impl Store {
    /// All that are there.
    pub(crate) fn pending(&self) -> Result<Vec<Pending>, StoreError> {
        Ok(self.directory().names()?.iter().filter_map(|name| Pending::parse(name)).collect())
    }

    /// That of an enrolment, with its bytes, if it is there.
    pub(crate) fn read_pending(&self, flow: &str) -> Result<Option<(Pending, Vec<u8>)>, StoreError> {
        let pending = self.pending()?.into_iter().find(|pending| pending.flow == flow);
        let Some(pending) = pending else { return Ok(None) };
        let file = self.directory().read(pending.name(), MAX_FILE)?;
        Ok(file.map(|file| (pending, file)))
    }

    /// Keeps one; on the disk when this returns.
    pub(crate) fn write_pending(&self, pending: &Pending, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.directory().replace(pending.name(), bytes, Durability::Synced)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_nothing_else_is_one() {
        let flow = "0123456789abcdef".repeat(2);
        let pending = Pending::new(&flow, 1_700_000_000).unwrap();
        let draft = format!(".{}.0123456789abcdef", pending.name());
        let parsed = Pending::parse(&draft).unwrap();
        assert_eq!((parsed.name(), flow_of(&draft)), (draft.as_str(), Some(flow.as_str())));
        assert_eq!(Pending::parse(pending.name()), Some(pending));
        for name in ["wlcg.pending", "wlcg-1.pending", "..-1.pending", &format!("{flow}-x.pending"), &flow] {
            assert_eq!(Pending::parse(name), None, "{name}");
        }
        assert_eq!(Pending::new("../x", 1), None);
    }
}
