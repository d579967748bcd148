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

    /// That of an enrolment, if it is there. One that was finished comes before one that was not.
    pub(crate) fn pending_of(&self, flow: &str) -> Result<Option<Pending>, StoreError> {
        let of_flow = self.pending()?.into_iter().filter(|pending| pending.flow == flow);
        Ok(of_flow.min_by_key(|pending| pending.name.starts_with('.')))
    }

    /// The bytes of one, if it is there still.
    pub(crate) fn read_pending(&self, pending: &Pending) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.directory().read(pending.name(), MAX_FILE)?)
    }

    /// Keeps one; on the disk when this returns.
    pub(crate) fn write_pending(&self, pending: &Pending, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.directory().replace(pending.name(), bytes, Durability::Synced)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

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

    #[test]
    fn what_was_not_finished_hides_nothing() {
        let scratch = Scratch::new();
        let store = Store::open(&scratch, nix::unistd::geteuid().as_raw()).unwrap().unwrap();
        let pending = Pending::new(&"0123456789abcdef".repeat(2), 1_700_000_000).unwrap();
        let draft = format!(".{}.0123456789abcdef", pending.name());
        store.directory().replace(&draft, b"", Durability::Volatile).unwrap();
        assert_eq!(store.pending_of(&pending.flow).unwrap().unwrap().name(), draft);
        store.write_pending(&pending, b"").unwrap();
        assert_eq!(store.pending_of(&pending.flow).unwrap(), Some(pending));
    }
}
