//! One account's record, opened for a job. Touches the store.

use data_encoding::HEXLOWER;

use super::Mint;
use super::policy::Policy;
use super::token::not_allowed;
use crate::agent::book::Entry;
use crate::protocol::Failure;
use crate::scope::ScopeSet;
use crate::store::{Opened, Store, StoreError};

impl Mint {
    pub(super) fn store(&self, policy: &Policy) -> Result<Option<Store>, StoreError> {
        Store::open(&policy.store_dir(&self.message), self.message.uid)
    }

    pub(super) fn open(&self, store: &Store, account: &str) -> Result<Opened, StoreError> {
        let path = store.record_path(account);
        let (uid, keys) = (self.message.uid, &self.message.keys);
        match self.unsaved.record(account) {
            Some(file) => Opened::open(file, &path, uid, keys),
            None => Opened::open(&store.read_record(account)?, &path, uid, keys),
        }
    }
}

/// As the book shows an account whose record opens.
pub(super) fn entry(name: &str, opened: &Opened, policy: &Policy) -> Entry {
    let record = &opened.record;
    let allowed = policy.allows(&record.issuer);
    Entry {
        name: name.to_owned(),
        issuer: record.issuer.clone(),
        record_id: HEXLOWER.encode(&opened.id()),
        subject: record.subject.clone(),
        scope: record.scope.clone(),
        session_scope: policy.session_scope(&record.issuer, &record.scope),
        enrollment_ends_at: record.refresh_token_expires_at,
        trouble: (!allowed).then(|| not_allowed(&record.issuer)),
    }
}

/// As the book shows one whose record does not.
pub(super) fn closed_entry(name: &str, trouble: StoreError) -> Entry {
    Entry {
        name: name.to_owned(),
        issuer: String::new(),
        record_id: String::new(),
        subject: None,
        scope: ScopeSet::default(),
        session_scope: ScopeSet::default(),
        enrollment_ends_at: None,
        trouble: Some(Failure::from(trouble)),
    }
}
