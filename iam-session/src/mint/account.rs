//! Opens one account's record for a job. Touches the store.

use data_encoding::HEXLOWER;

use super::Mint;
use super::policy::{Policy, not_allowed};
use crate::protocol::Failure;
use crate::runtime::accounts::AccountEntry;
use crate::scope::ScopeSet;
use crate::store::{Cover, KeyId, Opened, Store, StoreError};

impl Mint {
    pub(crate) fn store(&self, policy: &Policy) -> Result<Option<Store>, StoreError> {
        let store = Store::open(&policy.store_dir(&self.message), self.message.uid)?;
        Ok(store.map(|store| store.with_locks(policy.store_locks())))
    }

    /// The same, made where there is none.
    pub(crate) fn store_to_write(&self, policy: &Policy) -> Result<Store, StoreError> {
        let store = Store::create(&policy.store_dir(&self.message), self.message.uid)?;
        Ok(store.with_locks(policy.store_locks()))
    }

    pub(crate) fn open(&self, store: &Store, account: &str) -> Result<Opened, StoreError> {
        self.serves(store)?;
        let path = store.record_path(account);
        let (uid, keys) = (self.message.uid, &self.message.keys);
        match self.unsaved.record(account) {
            Some(file) => Opened::open(file, &path, uid, keys),
            None => Opened::open(&store.read_record(account)?, &path, uid, keys),
        }
    }

    pub(crate) fn cover(&self, store: &Store, account: &str) -> Result<Cover, StoreError> {
        Cover::read(&store.read_record(account)?, &store.record_path(account), self.message.uid)
    }
}

/// As the accounts file shows an account whose record opens.
pub(crate) fn entry(name: &str, opened: &Opened, policy: &Policy) -> AccountEntry {
    let (record, cover) = (&opened.record, opened.cover());
    let allowed = policy.allows(&record.issuer);
    AccountEntry {
        name: name.to_owned(),
        issuer: record.issuer.clone(),
        client_id: record.client.client_id.clone(),
        record_id: HEXLOWER.encode(&opened.id()),
        subject: record.subject.clone(),
        scope: record.scope.clone(),
        session_scope: policy.session_scope(&record.issuer, &record.scope),
        enrollment_ends_at: record.refresh_token_expires_at,
        trouble: (!allowed).then(|| not_allowed(&record.issuer)),
        enrolled_at: Some(record.enrolled_at),
        has_passphrase: !cover.derivations.is_empty(),
        keys: hexadecimal(&cover.keys),
    }
}

fn hexadecimal(keys: &[KeyId]) -> Vec<String> {
    keys.iter().map(|key| key.to_hexadecimal()).collect()
}

/// As the accounts file shows one whose record does not.
pub(crate) fn closed_entry(name: &str, cover: Option<&Cover>, trouble: StoreError) -> AccountEntry {
    AccountEntry {
        name: name.to_owned(),
        issuer: String::new(),
        client_id: String::new(),
        record_id: cover.map(|cover| HEXLOWER.encode(&cover.id)).unwrap_or_default(),
        subject: None,
        scope: ScopeSet::default(),
        session_scope: ScopeSet::default(),
        enrollment_ends_at: None,
        trouble: Some(Failure::from(trouble)),
        enrolled_at: None,
        has_passphrase: cover.is_some_and(|cover| !cover.derivations.is_empty()),
        keys: cover.map(|cover| hexadecimal(&cover.keys)).unwrap_or_default(),
    }
}
