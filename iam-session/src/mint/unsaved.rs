//! Rotated refresh tokens that the disk did not take. Touches the store.
//!
//! The issuer has given up the old token. So the mint serves from memory, and tries to write the new one until it is
//! written. Meanwhile it keeps both locks. A mint that read the old token from the store would present it again, and
//! an issuer that watches for reuse would end the whole grant.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Mint;
use super::mint_locks::MintLocks;
use super::policy::Policy;
use crate::clock;
use crate::log::Level;

/// Between two tries.
pub(crate) const PAUSE: Duration = Duration::from_secs(2);
/// How long a mint goes on trying when no agent lives any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Records as they should be in the store, and the locks that keep others from what is there.
#[derive(Default)]
pub(crate) struct Unsaved {
    /// Sealed, by account.
    records: BTreeMap<String, Vec<u8>>,
    /// Taken over from the job that could not write.
    locks: Option<MintLocks>,
}

impl Unsaved {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record's bytes, where the store's own are out of date.
    pub(crate) fn record(&self, account: &str) -> Option<&[u8]> {
        self.records.get(account).map(Vec::as_slice)
    }

    pub(crate) fn add(&mut self, account: &str, record: Vec<u8>) {
        self.records.insert(account.to_owned(), record);
    }

    /// What is in the store is right again: written, enrolled anew, or gone.
    pub(crate) fn remove(&mut self, account: &str) {
        self.records.remove(account);
    }

    /// The account has another name.
    pub(crate) fn rename(&mut self, account: &str, to: &str) {
        if let Some(record) = self.records.remove(account) {
            self.records.insert(to.to_owned(), record);
        }
    }

    /// The locks that an earlier job has left.
    pub(crate) fn take_locks(&mut self) -> Option<MintLocks> {
        self.locks.take()
    }
}

impl Mint {
    /// Ends a job: its locks go, unless something is still to be written under them.
    pub(crate) fn release(&mut self, locks: MintLocks) {
        self.unsaved.locks = (!self.unsaved.is_empty()).then_some(locks);
    }

    /// Tries once more.
    pub(crate) fn save(&mut self) {
        if self.unsaved.is_empty() {
            return;
        }
        let store = Policy::load(&self.message).ok().and_then(|policy| self.store(&policy).ok().flatten());
        let Some(store) = store else { return };
        let log = &self.log;
        self.unsaved.records.retain(|account, record| {
            let written = store.write_record(account, record).is_ok();
            if written {
                let text = "the new refresh token is kept now";
                log.event(Level::Info, "saved", &[("account", account), ("reason", text)]);
            }
            !written
        });
        if self.unsaved.is_empty() {
            self.unsaved.locks = None;
        }
    }

    /// The agent needs this mint no more. As long as an agent of the user lives, so does the hope.
    pub(crate) fn save_at_last(&mut self) {
        self.save();
        let mut deserted_since = None;
        while !self.unsaved.is_empty() {
            let now = clock::boot_time();
            let deserted = self.runtime.is_deserted();
            let since = deserted.then(|| deserted_since.unwrap_or(now));
            if since.is_some_and(|since| now >= since + PATIENCE) {
                break;
            }
            deserted_since = since;
            std::thread::sleep(PAUSE);
            self.save();
        }
        for account in self.unsaved.records.keys() {
            let text = "the new refresh token is lost: enrol again";
            self.log.event(Level::Error, "lost", &[("account", account), ("error", text)]);
        }
    }
}
