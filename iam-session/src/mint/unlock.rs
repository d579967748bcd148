//! Turns a passphrase into the keys that open the store. Reads the store.

use std::time::Duration;

use super::Mint;
use super::derive::no_memory;
use super::job::{UnlockResult, UnlockState};
use super::policy::Policy;
use crate::protocol::{Failure, Unlocked, agent_is_older};
use crate::runtime::accounts::AccountBook;
use crate::runtime::freshness::Freshness;
use crate::runtime::host_lock::HostLock;
use crate::runtime::token_wanted::{TokenJob, TokenKind};
use crate::secret::Secret;
use crate::store::{Derivation, Keyring, Opened, PassphraseKey, Store, StoreError};

/// Each takes time and memory; records that were enrolled together share one.
const MAX_DERIVATIONS: usize = 4;

impl Mint {
    /// Opens what `passphrase` opens, until `until` on CLOCK_BOOTTIME: the user's lock of this host, if there is one, else
    /// what is sealed. Where nothing is, what is enrolled next will be sealed under it.
    pub(crate) fn unlock(
        &mut self,
        passphrase: &Secret,
        until: Option<Duration>,
    ) -> Result<UnlockResult, Failure> {
        let policy = Policy::load(&self.message)?;
        let store = self.store(&policy)?;
        let marker = store.as_ref().map(Store::read_marker).transpose()?.flatten();
        match (&store, marker) {
            // Agents have kept their keys: there is none to be had of a lock.
            (Some(store), Some(marker)) => self.open_host(store, &marker, passphrase, until)?,
            _ => {
                // A lock that was opened by way of an agent in another directory is still known in this one.
                if HostLock::read(&self.runtime.agents).is_some() {
                    let _ = self.look();
                }
                self.message.keys = self.keys_of(passphrase, store.as_ref())?;
                self.opening = UnlockState { until };
            }
        }
        // Where it cannot be written now, the token's own job sees to it.
        let _ = self.look();
        let book = self.look_with(&policy);
        let trouble = self.session_token(&book).err();
        let open = book.entries.iter().filter(|entry| entry.trouble.is_none());
        Ok(UnlockResult {
            keys: self.message.keys.duplicate(),
            opening: self.opening,
            answer: Unlocked {
                accounts: open.map(|entry| entry.name.clone()).collect(),
                token_file: self.runtime.places.token_file().display().to_string(),
                trouble,
            },
        })
    }

    /// As [`unlock`](Self::unlock), for an agent of a version whose locks had keys in them: not the lock.
    pub(crate) fn unlock_for_older(
        &mut self,
        passphrase: &Secret,
        until: Option<Duration>,
    ) -> Result<UnlockResult, Failure> {
        let store = self.store(&Policy::load(&self.message)?)?;
        match store.as_ref().map(Store::read_marker).transpose()?.flatten() {
            Some(_) => Err(agent_is_older()),
            None => self.unlock(passphrase, until),
        }
    }

    fn keys_of(&self, passphrase: &Secret, store: Option<&Store>) -> Result<Keyring, Failure> {
        let sealed = store.map(|store| self.sealed(store)).transpose()?.unwrap_or_default();
        let _alone = self.lock_derivation()?;
        let passphrase = match store.filter(|_| !sealed.is_empty()) {
            Some(store) => self.try_all(passphrase, store, &sealed)?,
            None => vec![self.begin_with(passphrase)?],
        };
        let mut keys = self.message.keys.duplicate();
        keys.unlock(passphrase);
        Ok(keys)
    }

    /// The accounts that are sealed under a passphrase. What is damaged is told by `status`.
    fn sealed(&self, store: &Store) -> Result<Vec<(String, Vec<Derivation>)>, StoreError> {
        let cover = |name: String| {
            let derivations = self.cover(store, &name).ok()?.derivations;
            (!derivations.is_empty()).then_some((name, derivations))
        };
        Ok(store.accounts()?.into_iter().filter_map(cover).collect())
    }

    /// The keys from before that are still of use, and those that the passphrase gives.
    fn try_all(
        &self,
        passphrase: &Secret,
        store: &Store,
        sealed: &[(String, Vec<Derivation>)],
    ) -> Result<Vec<PassphraseKey>, Failure> {
        let mut derivations: Vec<Derivation> = Vec::new();
        for derivation in sealed.iter().flat_map(|(_, derivations)| derivations) {
            if !derivations.contains(derivation) && derivations.len() < MAX_DERIVATIONS {
                derivations.push(*derivation);
            }
        }
        let mut keys: Vec<PassphraseKey> =
            self.message.keys.passphrase().map(PassphraseKey::duplicate).collect();
        let mut is_right = false;
        for derivation in derivations {
            let key = derivation.derive(passphrase).ok_or_else(no_memory)?;
            if self.opens_any(store, sealed, &key) {
                is_right = true;
                keys.retain(|former| former.key.id != key.key.id);
                keys.push(key);
            }
        }
        let names: Vec<String> = sealed.iter().map(|(name, _)| format!("'{name}'")).collect();
        is_right.then_some(keys).ok_or_else(|| wrong(&names.join(", ")))
    }

    fn opens_any(&self, store: &Store, sealed: &[(String, Vec<Derivation>)], key: &PassphraseKey) -> bool {
        let mut keys = Keyring::default();
        keys.unlock(vec![key.duplicate()]);
        let opens = |name: &str| {
            let file = store.read_record(name)?;
            Opened::open(&file, &store.record_path(name), self.message.uid, &keys)
        };
        let derived = sealed.iter().filter(|(_, derivations)| derivations.contains(&key.derivation));
        derived.into_iter().any(|(name, _)| opens(name).is_ok())
    }

    /// The first passphrase of a user who has none.
    fn begin_with(&self, passphrase: &Secret) -> Result<PassphraseKey, Failure> {
        if self.message.keys.node().next().is_some() {
            return Err(Failure::failed("nothing of yours is sealed under a passphrase")
                .advise("on this host a login opens it by itself: see 'iam-session status'"));
        }
        self.choose(passphrase)
    }

    /// Sees to a token of the default account, so that the file is there when the user is told.
    fn session_token(&mut self, book: &AccountBook) -> Result<(), Failure> {
        let Some(entry) = book.find(None) else { return Ok(()) };
        if let Some(trouble) = &entry.trouble {
            return Err(trouble.clone());
        }
        let job = TokenJob {
            account: entry.name.clone(),
            kind: TokenKind::Session,
            freshness: Freshness::Valid(0),
        };
        self.token(&job).map(|_| ())
    }
}

fn wrong(accounts: &str) -> Failure {
    Failure::locked(format!("the passphrase is wrong: it does not open {accounts}"))
        .advise("run 'iam-session unlock' to try again")
}
