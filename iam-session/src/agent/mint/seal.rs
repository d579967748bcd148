//! What opens the records: told, and changed. Touches the store.

use super::Mint;
use super::policy::Policy;
use crate::account;
use crate::agent::job::Seal;
use crate::log::Level;
use crate::protocol::{
    Failure, FailureKind, SealAction, SealReport, SealRequest, SealedAccount, SlotKind, SlotReport,
};
use crate::secret::Secret;
use crate::store::{Change, KeepSlot, Kind, Opened, PassphraseKey, SealingKey, SlotView, Store, StoreError};

/// A change of slots, ready to be made.
enum Plan {
    AddNode,
    AddPassphrase(PassphraseKey),
    Remove(Kind),
}

impl Mint {
    /// Does what is asked with each account's record, and tells how they are sealed then.
    pub(super) fn seal_accounts(&mut self, request: &SealRequest) -> Result<Seal, Failure> {
        let policy = Policy::load(&self.message)?;
        let store = self.store(&policy)?.ok_or_else(|| not_enrolled(request.account.as_deref()))?;
        let names = names(&store, request.account.as_deref())?;
        let accounts = match request.action {
            SealAction::List => {
                names.iter().map(|name| self.report(&store, name, Ok(Change::Unneeded))).collect()
            }
            _ => {
                let plan = self.plan(request)?;
                let locks = self.lock(&store, &self.patience())?;
                let accounts = self.change_all(&store, &names, plan);
                let book = self.look_with(&policy);
                let _ = self.publish_book(&book);
                self.release(locks);
                accounts
            }
        };
        Ok(Seal { keys: self.message.keys.duplicate(), answer: SealReport { accounts } })
    }

    fn plan(&self, request: &SealRequest) -> Result<Plan, Failure> {
        match (request.action, request.slot, &request.passphrase) {
            (SealAction::Add, Some(SlotKind::Passphrase), Some(passphrase)) => {
                self.new_passphrase(passphrase)
            }
            (SealAction::Add, Some(SlotKind::Passphrase), None) => {
                Err(usage("a passphrase is to be added, and none was given"))
            }
            (SealAction::Add, Some(SlotKind::Node), _) if self.message.keys.node().next().is_none() => {
                Err(no_node_key())
            }
            (SealAction::Add, Some(SlotKind::Node), _) => Ok(Plan::AddNode),
            (SealAction::Remove, Some(SlotKind::Node), _) => Ok(Plan::Remove(Kind::Node)),
            (SealAction::Remove, Some(SlotKind::Passphrase), _) => Ok(Plan::Remove(Kind::Passphrase)),
            _ => Err(usage("which kind of slot is meant was not said")),
        }
    }

    /// One derivation for all accounts: one passphrase then opens them all at once.
    fn new_passphrase(&self, passphrase: &Secret) -> Result<Plan, Failure> {
        let _alone = self.lock_derivation()?;
        self.choose(passphrase).map(Plan::AddPassphrase)
    }

    fn change_all(&mut self, store: &Store, names: &[String], plan: Plan) -> Vec<SealedAccount> {
        let changes: Vec<_> = names.iter().map(|name| self.change(store, name, &plan)).collect();
        let is_used = changes.iter().any(|change| matches!(change, Ok(Change::Made)));
        if let Plan::AddPassphrase(key) = plan
            && is_used
        {
            // Else taking the node key's slot away would lock the account in this very session.
            let mut keys: Vec<PassphraseKey> =
                self.message.keys.passphrase().map(PassphraseKey::duplicate).collect();
            keys.push(key);
            self.message.keys.unlock(keys);
        }
        names.iter().zip(changes).map(|(name, change)| self.report(store, name, change)).collect()
    }

    fn change(&mut self, store: &Store, name: &str, plan: &Plan) -> Result<Change, Failure> {
        let opened = self.open(store, name)?;
        // What is written must be no older than a refresh token that a mint which died has left beside it.
        let (mut opened, _) = self.recover(store, name, opened);
        let change = self.change_slots(&mut opened, plan)?;
        if change == Change::Made {
            let file = opened.seal(&store.record_path(name))?;
            store.write_record(name, &file)?;
            self.unsaved.remove(name);
            let slots: Vec<&str> = opened.slots().map(|slot| word(slot.kind)).collect();
            self.log.event(Level::Info, "sealed", &[("account", name), ("slots", &slots.join(","))]);
        }
        Ok(change)
    }

    fn change_slots(&self, opened: &mut Opened, plan: &Plan) -> Result<Change, Failure> {
        let keys = &self.message.keys;
        let key = match plan {
            Plan::Remove(kind) => {
                return opened
                    .remove_slots(keys, *kind)
                    .map(|()| Change::Made)
                    .map_err(|why| kept(*kind, why));
            }
            Plan::AddNode => SealingKey::Node(keys.node().next().ok_or_else(no_node_key)?),
            Plan::AddPassphrase(key) => SealingKey::Passphrase(key),
        };
        let id = key.key_id();
        let change = opened.put_slot(keys, key);
        match opened.slots().any(|slot| slot.key == Some(id)) {
            true => Ok(change),
            false => Err(Failure {
                error: "it has as many slots as a record can have".into(),
                info: Some("'iam-session seal list' shows them".into()),
                kind: FailureKind::Failed,
            }),
        }
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
        // Where the host is locked no key is of use, and none is held.
        let is_node = |id| keys.node().any(|key| key.id == id) && slot.kind == Kind::Node;
        let is_locked = trouble.is_some_and(|trouble| trouble.kind == FailureKind::Locked);
        SlotReport {
            kind: match slot.kind {
                Kind::Node => SlotKind::Node,
                Kind::Passphrase => SlotKind::Passphrase,
                Kind::Other => SlotKind::Other,
            },
            key: slot.key.map(|key| key.to_hexadecimal()),
            opens_now: !is_locked && slot.key.is_some_and(|id| keys.find(id).is_some()),
            opens_at_login: slot.key.is_some_and(is_node),
        }
    }
}

fn names(store: &Store, account: Option<&str>) -> Result<Vec<String>, Failure> {
    let Some(name) = account else { return Ok(store.accounts()?) };
    account::validate(name).map_err(|error| usage(&error.to_string()))?;
    match store.accounts()?.iter().any(|there| there == name) {
        true => Ok(vec![name.to_owned()]),
        false => Err(StoreError::NoAccount { account: name.to_owned() }.into()),
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Node => "node",
        Kind::Passphrase => "passphrase",
        Kind::Other => "other",
    }
}

fn kept(kind: Kind, why: KeepSlot) -> Failure {
    let (error, info, kind) = match (why, kind) {
        (KeepSlot::NotThere, Kind::Node) => (
            "no node key that this session has opens it",
            "'iam-session seal list' shows what does",
            FailureKind::Failed,
        ),
        (KeepSlot::NotThere, _) => (
            "it is not sealed under a passphrase",
            "'iam-session seal list' shows what opens it",
            FailureKind::Failed,
        ),
        (KeepSlot::Last, Kind::Node) => {
            ("nothing else opens it", "first run 'iam-session seal add passphrase'", FailureKind::Usage)
        }
        (KeepSlot::Last, _) => {
            ("nothing else opens it here", "first run 'iam-session seal add node'", FailureKind::Usage)
        }
    };
    Failure { error: error.to_owned(), info: Some(info.to_owned()), kind }
}

fn no_node_key() -> Failure {
    Failure {
        error: "this session has no node key".into(),
        info: Some("log in by ssh on a host that has one, and run it there".into()),
        kind: FailureKind::Failed,
    }
}

fn not_enrolled(account: Option<&str>) -> Failure {
    match account {
        Some(name) => StoreError::NoAccount { account: name.to_owned() }.into(),
        None => Failure {
            error: "you have not enrolled on this host".into(),
            info: Some("run 'iam-session enroll'".into()),
            kind: FailureKind::NotEnrolled,
        },
    }
}

fn usage(error: &str) -> Failure {
    Failure {
        error: error.to_owned(),
        info: Some("see 'iam-session seal --help'".into()),
        kind: FailureKind::Usage,
    }
}
