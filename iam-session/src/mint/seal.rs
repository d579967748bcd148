//! `iam-session seal`: lists what opens the records, and moves them to the newest node key. Touches the store.

use super::Mint;
use super::policy::Policy;
use crate::account;
use crate::json::spelled;
use crate::log::Level;
use crate::protocol::{
    Failure, FailureKind, SealAction, SealReport, SealRequest, SealedAccount, SlotKind, SlotReport,
};
use crate::store::{Change, SlotView, Store, StoreError};

impl Mint {
    /// Does what is asked with each account's record, and tells how they are sealed then.
    pub(crate) fn slots(&mut self, request: &SealRequest) -> Result<SealReport, Failure> {
        let policy = Policy::load(&self.message)?;
        let store = self.store(&policy)?.ok_or_else(|| not_enrolled(request.account.as_deref()))?;
        let names = names(&store, request.account.as_deref())?;
        let accounts = match request.action {
            SealAction::List => {
                names.iter().map(|name| self.report(&store, name, Ok(Change::Unneeded))).collect()
            }
            SealAction::Renew if self.message.keys.node().next().is_none() => return Err(no_node_key()),
            SealAction::Renew => self.under_locks(&store, |mint| {
                let renewed = names.iter().map(|name| (name, mint.renew(&store, name))).collect::<Vec<_>>();
                let accounts = renewed.into_iter().map(|(name, change)| mint.report(&store, name, change));
                let accounts = accounts.collect();
                let _ = mint.publish_book(&mint.look_with(&policy));
                Ok(accounts)
            })?,
        };
        Ok(SealReport { accounts })
    }

    fn renew(&mut self, store: &Store, name: &str) -> Result<Change, Failure> {
        // What is written must be no older than a refresh token that a mint which died has left beside it.
        let mut opened = self.newest(store, name)?;
        if !opened.is_opened_by_node_key(&self.message.keys) {
            return Err(passphrase_alone(name));
        }
        let change = opened.renew_node_slots(&self.message.keys);
        if change == Change::Made {
            let file = opened.seal(&store.record_path(name))?;
            store.write_record(name, &file)?;
            self.unsaved.remove(name);
            let slots: Vec<String> = opened.slots().map(|slot| spelled(&slot.kind)).collect();
            self.log.event(Level::Info, "sealed", &[("account", name), ("slots", &slots.join(","))]);
        }
        Ok(change)
    }

    fn report(&self, store: &Store, name: &str, change: Result<Change, Failure>) -> SealedAccount {
        let opened = self.open(store, name);
        // Read from the record itself where it opens: what lies in the store may be older than what is in memory.
        let slots = match &opened {
            Ok(opened) => Ok(opened.slots().collect()),
            Err(_) => self.cover(store, name).map(|cover| cover.slots),
        };
        let changed = matches!(change, Ok(Change::Made));
        let trouble = change.err().or_else(|| opened.err().map(Failure::from));
        let slots: Vec<SlotView> = slots.unwrap_or_default();
        let slots = slots.into_iter().map(|slot| self.slot(slot, trouble.as_ref())).collect();
        SealedAccount { name: name.to_owned(), changed, slots, trouble }
    }

    fn slot(&self, slot: SlotView, trouble: Option<&Failure>) -> SlotReport {
        let keys = &self.message.keys;
        // Where the host is locked no key is of use.
        let is_node = |id| keys.node().any(|key| key.id == id) && slot.kind == SlotKind::Node;
        let is_locked = trouble.is_some_and(|trouble| trouble.kind == FailureKind::Locked);
        SlotReport {
            kind: slot.kind,
            key: slot.key.map(|key| key.to_hexadecimal()),
            opens_now: !is_locked && slot.key.is_some_and(|id| keys.find(id).is_some()),
            opens_at_login: slot.key.is_some_and(is_node),
        }
    }
}

fn names(store: &Store, account: Option<&str>) -> Result<Vec<String>, Failure> {
    let Some(name) = account else { return Ok(store.accounts()?) };
    account::validate(name)
        .map_err(|error| Failure::usage(error.to_string()).advise("'iam-session list' shows the accounts"))?;
    match store.accounts()?.iter().any(|there| there == name) {
        true => Ok(vec![name.to_owned()]),
        false => Err(StoreError::NoAccount { account: name.to_owned() }.into()),
    }
}

fn passphrase_alone(name: &str) -> Failure {
    Failure::failed("a passphrase opens it, and no node key does")
        .advise(format!("enrol again: 'iam-session reenroll {name}'"))
}

fn no_node_key() -> Failure {
    Failure::failed("this session has no node key")
        .advise("log in by ssh on a host that has one, and run it there")
}

fn not_enrolled(account: Option<&str>) -> Failure {
    match account {
        Some(name) => StoreError::NoAccount { account: name.to_owned() }.into(),
        None => {
            Failure::not_enrolled("you have not enrolled on this host").advise("run 'iam-session enroll'")
        }
    }
}
