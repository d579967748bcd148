//! A client and the records that share it: the accounts of one user with one issuer. Touches the store and one helper.

use super::Mint;
use super::policy::{Policy, not_allowed};
use crate::config::same_issuer;
use crate::helper::HelperError;
use crate::issuer::wire::{Client, HelperAnswer, HelperRequest, IssuerError, Operation};
use crate::log::Level;
use crate::protocol::Failure;
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::store::{Opened, Record, SealingKey, Store, StoreError};

/// Said of a record that keeps its client to itself.
pub(crate) const SEALED_OTHERWISE: &str =
    "is not sealed as a new enrolment is, so that its client is not shared";

/// Who else needs a client.
pub(crate) enum ClientUse {
    /// Nobody.
    None,
    /// Another account.
    Account,
    /// It cannot be said: a record cannot be read.
    Unknown(StoreError),
}

/// What of a wish a client may ask for.
pub(crate) enum GrantableScope {
    /// This much, with the record that it was read from.
    Scope(Box<Record>, ScopeSet),
    /// Too little: another client is needed. Why.
    Not(String),
}

impl Mint {
    /// Whether a record may have its client in common with one that is sealed now. Whoever knows a passphrase reads what
    /// it opens, and must not read there the client's secrets of a record that it does not open.
    pub(crate) fn may_share_client(&self, opened: &Opened) -> bool {
        match self.message.keys.sealing() {
            Some(SealingKey::Node(_)) => {
                let is_held = |key| self.message.keys.node().any(|held| Some(held.id) == key);
                opened.has_node_slots_alone() && opened.slots().all(|slot| is_held(slot.key))
            }
            Some(SealingKey::Passphrase(key)) => opened.slots().all(|slot| slot.key == Some(key.key.id)),
            None => false,
        }
    }

    /// Whether an account besides `name` has the client of `record`. What a record says in clear is enough to spare it.
    pub(crate) fn need(&self, store: &Store, name: &str, record: &Record) -> ClientUse {
        let names = match store.accounts() {
            Ok(names) => names,
            Err(error) => return ClientUse::Unknown(error),
        };
        let mut need = ClientUse::None;
        for other in names.into_iter().filter(|other| other != name) {
            match self.cover(store, &other) {
                Ok(cover) if is_of(&cover.issuer, &cover.client_id, record) => return ClientUse::Account,
                Ok(_) => {}
                Err(error) => need = ClientUse::Unknown(error),
            }
        }
        need
    }

    /// How much of `wanted` the client of `account` may ask for; where it may not ask for all, and we may change it,
    /// its issuer is asked to let it.
    pub(crate) fn fit(
        &mut self,
        store: &Store,
        account: &str,
        record: Record,
        wanted: &ScopeSet,
    ) -> Result<GrantableScope, Failure> {
        let Some(known) = registered_scope(&record) else {
            // Not a client of ours: what it may ask for its issuer will tell.
            return Ok(GrantableScope::Scope(record.into(), wanted.clone()));
        };
        if known.missing(wanted).is_empty() {
            return Ok(GrantableScope::Scope(record.into(), wanted.clone()));
        }
        let locks = self.lock(store, &self.patience())?;
        let fit = self.widen(store, account, wanted);
        self.release(locks);
        fit
    }

    /// Under the locks, for the answer may hold a new secret for every record of the client.
    fn widen(&mut self, store: &Store, account: &str, wanted: &ScopeSet) -> Result<GrantableScope, Failure> {
        let newest = self.newest(store, account)?;
        if !self.may_share_client(&newest) {
            return Ok(GrantableScope::Not(format!("account '{account}' {SEALED_OTHERWISE}")));
        }
        let first = &newest.record;
        let (issuer, client_id) = (first.issuer.clone(), first.client.client_id.clone());
        let mut opened = Vec::new();
        for other in store.accounts()?.into_iter().filter(|other| other != account) {
            let cover = match self.cover(store, &other) {
                Ok(cover) => cover,
                // A new secret could not be kept for it.
                Err(error) => {
                    return Ok(GrantableScope::Not(format!(
                        "account '{other}' may have the same client, and {error}"
                    )));
                }
            };
            if same_issuer(&cover.issuer, &issuer) && cover.client_id == client_id {
                match self.newest(store, &other) {
                    Ok(record) if !self.may_share_client(&record) => {
                        return Ok(GrantableScope::Not(format!("account '{other}' {SEALED_OTHERWISE}")));
                    }
                    Ok(record) if share_a_holder(&record.record, first) => opened.push((other, record)),
                    Ok(_) => {
                        let error =
                            format!("account '{other}' names the same client, and not the same server");
                        return Ok(GrantableScope::Not(error));
                    }
                    Err(error) => {
                        return Ok(GrantableScope::Not(format!(
                            "account '{other}' has the same client, and {error}"
                        )));
                    }
                }
            }
        }
        opened.insert(0, (account.to_owned(), newest));
        let Some(request) = widening(&opened, wanted) else { return Ok(GrantableScope::Not(String::new())) };
        match self.ask(&request) {
            Ok(HelperAnswer::Client { client, scope, error }) => {
                self.keep_client(store, &mut opened, &client, &scope);
                if error.is_none() {
                    let fields = [("account", account), ("issuer", &issuer), ("scope", &scope.to_string())];
                    self.log.event(Level::Info, "client_widened", &fields);
                }
                match error {
                    None => self.fitting(store, account, wanted, &scope),
                    Some(error) => refused(error),
                }
            }
            Ok(_) => Err(HelperError::Garbage.into()),
            Err(HelperError::Issuer(error)) => refused(error),
            Err(error) => Err(error.into()),
        }
    }

    /// An account's record with what a mint before did not come to put in its place: sealing an older one would make
    /// that look old.
    pub(crate) fn newest(&mut self, store: &Store, account: &str) -> Result<Opened, StoreError> {
        let opened = self.open(store, account)?;
        Ok(self.recover(store, account, opened).0)
    }

    fn fitting(
        &self,
        store: &Store,
        account: &str,
        wanted: &ScopeSet,
        registered: &ScopeSet,
    ) -> Result<GrantableScope, Failure> {
        let fitting = wanted.iter().filter(|scope| registered.allows(scope)).collect();
        Ok(GrantableScope::Scope(self.open(store, account)?.record.into(), fitting))
    }

    /// Seals what is new of a client into all its records. What the disk does not take is kept as a rotated refresh
    /// token is: a new secret is worth as much.
    fn keep_client(
        &mut self,
        store: &Store,
        opened: &mut [(String, Opened)],
        client: &Client,
        scope: &ScopeSet,
    ) {
        for (name, opened) in opened {
            let record = &mut opened.record;
            if is_same(&record.client, client) && record.registered_scope.as_ref() == Some(scope) {
                continue;
            }
            record.client = client.duplicate();
            record.registered_scope = Some(scope.clone());
            // Who made the record may know its data key: a copy of an earlier one has the same.
            let rekeyed = match self.message.keys.sealing() {
                Some(key @ SealingKey::Node(_)) => opened.rekey(key),
                _ => Ok(()),
            };
            let file = match rekeyed.and_then(|()| opened.seal(&store.record_path(name))) {
                Ok(file) => file,
                Err(error) => {
                    self.log_lost(name, &error);
                    continue;
                }
            };
            if let Err(error) = store.write_record(name, &file) {
                let text = format!("what is new of its client could not be kept yet: {error}");
                self.log.event(Level::Error, "unsaved", &[("account", name), ("error", &text)]);
                self.unsaved.add(name, file);
            } else {
                self.unsaved.remove(name);
            }
        }
    }
}

/// What is known of the client is in all its records: what was registered, and what was granted with it.
fn widening(opened: &[(String, Opened)], wanted: &ScopeSet) -> Option<HelperRequest> {
    let (_, first) = opened.first()?;
    let known = opened.iter().map(|(_, opened)| &opened.record).fold(ScopeSet::default(), |known, record| {
        let registered = registered_scope(record).unwrap_or_default();
        known.union(&registered).union(&record.scope)
    });
    Some(
        Operation::WidenClient { client: first.record.client.duplicate(), scope: wanted.clone(), known }
            .over(&first.record.transport),
    )
}

fn is_of(issuer: &str, client_id: &str, record: &Record) -> bool {
    same_issuer(issuer, &record.issuer) && client_id == record.client.client_id
}

/// Whether what is new of the client of one record is kept in the other. Whoever may write a record can name any client,
/// with servers of its own: the secret of one record must not get to the servers of another, nor a secret of those into it.
pub(crate) fn share_a_holder(one: &Record, other: &Record) -> bool {
    go_to_the_same(one, other) && one.client.registration_client_uri == other.client.registration_client_uri
}

/// Whether what is sent for one record is sent to the servers of the other, by the same way, and for the same client.
pub(crate) fn go_to_the_same(one: &Record, other: &Record) -> bool {
    same_issuer(&one.issuer, &other.issuer)
        && one.client.client_id == other.client.client_id
        && one.endpoints == other.endpoints
        && one.transport == other.transport
}

fn is_same(a: &Client, b: &Client) -> bool {
    fn text(secret: &Option<Secret>) -> Option<&str> {
        secret.as_ref().map(Secret::expose)
    }
    a.registration_client_uri == b.registration_client_uri
        && text(&a.client_secret) == text(&b.client_secret)
        && text(&a.registration_access_token) == text(&b.registration_access_token)
}

/// What the client may ask for. Of one that we registered before that was kept, what was granted and what it needed
/// for that; of one that is not ours, nothing is known.
fn registered_scope(record: &Record) -> Option<ScopeSet> {
    let of_ours = || {
        let is_ours = record.client.registration_client_uri.is_some();
        is_ours.then(|| record.scope.union(&ScopeSet::parse("offline_access")))
    };
    record.registered_scope.clone().or_else(of_ours)
}

/// An issuer that is out of reach may let us later; with any other answer it takes another client.
fn refused(error: IssuerError) -> Result<GrantableScope, Failure> {
    let error = HelperError::Issuer(error);
    if error.is_passing() { Err(error.into()) } else { Ok(GrantableScope::Not(error.to_string())) }
}

/// Whether the site lets its users enrol with the issuer of a record.
pub(crate) fn allowed(policy: &Policy, record: &Record) -> Result<(), Failure> {
    match policy.allows(&record.issuer) {
        true => Ok(()),
        false => Err(not_allowed(&record.issuer)),
    }
}
