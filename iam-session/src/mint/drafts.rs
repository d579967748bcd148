//! Drafts that an earlier mint left beside a record, because it died or lost an answer. Touches the store.
//!
//! A mint syncs a draft before it asks an issuer that rotates, and writes the next record into it. The mint that finds
//! a draft holds the locks, so the writer is dead. If the draft opens and is newer, it is put in the record's place.
//! If it does not open, the answer never came so far, and nobody here knows whether the issuer gave up the refresh
//! token.

use super::Mint;
use crate::directory::Draft;
use crate::helper::HelperError;
use crate::issuer::wire::ErrorClass;
use crate::log::Level;
use crate::protocol::Failure;
use crate::store::{Opened, Store};

/// What is known of the refreshes before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EarlierRefresh {
    /// Each came to its end.
    #[default]
    Clear,
    /// One did not: it may have used up the refresh token.
    Unclear,
}

impl Mint {
    /// The newest of an account's record, `opened` or what a mint did not come to put in its place. Under the locks.
    /// Best effort: what cannot be read now is found the next time.
    pub(crate) fn recover(
        &mut self,
        store: &Store,
        account: &str,
        mut opened: Opened,
    ) -> (Opened, EarlierRefresh) {
        let mut past = EarlierRefresh::Clear;
        for (name, file) in store.unfinished(account).unwrap_or_default() {
            let path = store.record_path(account);
            match Opened::open(&file, &path, self.message.uid, &self.message.keys) {
                Ok(next) if next.id() == opened.id() && next.generation() > opened.generation() => {
                    opened = next;
                    self.put_in_place(store, account, file);
                }
                Ok(_) => {}
                Err(_) => {
                    past = EarlierRefresh::Unclear;
                    continue;
                }
            }
            // It is in its place, in our memory, or of no use.
            let _ = store.remove_named(&name);
        }
        (opened, past)
    }

    fn put_in_place(&mut self, store: &Store, account: &str, file: Vec<u8>) {
        match store.write_record(account, &file) {
            Ok(()) => {
                self.log.event(
                    Level::Info,
                    "saved",
                    &[("account", account), ("reason", "a refresh that was cut off")],
                );
                self.unsaved.remove(account);
            }
            Err(error) => self.keep_in_memory(account, file, &error),
        }
    }
}

/// Gives up the room that was made for an answer; it stays as a sign for who comes later where the issuer may have
/// replaced the refresh token nevertheless, or somebody thought so before.
pub(crate) fn give_up(room: Option<Draft<'_>>, past: EarlierRefresh, error: &HelperError) {
    let unclear = past == EarlierRefresh::Unclear || is_lost(error);
    if let Some(room) = room.filter(|_| unclear) {
        room.leave();
    }
}

/// Whether the issuer may have done what it was asked.
fn is_lost(error: &HelperError) -> bool {
    match error {
        HelperError::Start { .. } => false,
        HelperError::Broken(_) | HelperError::Garbage | HelperError::Interrupted => true,
        HelperError::Issuer(error) => {
            matches!(error.class, ErrorClass::Unreachable | ErrorClass::Busy | ErrorClass::Malformed)
        }
    }
}

/// Says why the refresh token may be dead, where that is not the issuer's doing.
pub(crate) fn explain(failure: Failure, past: EarlierRefresh) -> Failure {
    match past {
        EarlierRefresh::Clear => failure,
        EarlierRefresh::Unclear => Failure {
            error: format!(
                "{}; a refresh before, which was cut off or whose answer was lost, may have used up the refresh token",
                failure.error
            ),
            ..failure
        },
    }
}
