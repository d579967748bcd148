//! Scans the store: which accounts there are, and whether a good token is at hand. Asks no issuer. Touches store,
//! cache, accounts file and token file.

use data_encoding::HEXLOWER;

use super::Mint;
use super::accept_response::surplus;
use super::account::{closed_entry, entry};
use super::policy::{Policy, not_allowed};
use crate::clock::Now;
use crate::directory::DirectoryError;
use crate::protocol::Failure;
use crate::runtime::accounts::{AccountBook, AccountEntry};
use crate::runtime::cache::CachedToken;
use crate::runtime::token_file::ForeignToken;
use crate::store::{Cover, Opened, SessionToken, Store, StoreError};

impl Mint {
    /// Writes the accounts file and, where a good session token is at hand, the token file; says why where it cannot.
    ///
    /// Under the lock of whoever mints, for a look that took long must not undo what was enrolled meanwhile. Where
    /// somebody mints, the accounts file is seen to at the end of that; only where there is none yet it cannot wait.
    pub(crate) fn look(&self) -> Result<(), Failure> {
        if !self.unsaved.is_empty() {
            return self.look_under_lock();
        }
        match self.runtime.try_lock_mint() {
            Ok(Some(_lock)) => self.look_under_lock(),
            Ok(None) if AccountBook::read(&self.runtime.agents).is_some() => Ok(()),
            Ok(None) => self.publish_book(&self.look_now()),
            Err(error) => Err(no_place(&error)),
        }
    }

    fn look_under_lock(&self) -> Result<(), Failure> {
        let policy = Policy::load(&self.message);
        if let Ok(policy) = &policy {
            self.mirror_lock(policy);
        }
        let look = |policy: &Policy| self.look_with(policy);
        let book = policy.as_ref().map_or_else(|trouble| self.troubled(trouble.clone()), look);
        let published = self.publish_book(&book);
        self.align_files(policy.as_ref().ok(), &book, ForeignToken::Leave);
        published
    }

    pub(crate) fn look_now(&self) -> AccountBook {
        match Policy::load(&self.message) {
            Ok(policy) => self.look_with(&policy),
            Err(trouble) => self.troubled(trouble),
        }
    }

    pub(crate) fn look_with(&self, policy: &Policy) -> AccountBook {
        self.look_after(policy, None)
    }

    /// As [`look_with`](Self::look_with), for who holds the locks and has just read, or written, the record of one
    /// account.
    pub(crate) fn look_after(&self, policy: &Policy, known: Option<(&str, &Opened)>) -> AccountBook {
        let book = match self.store(policy) {
            Ok(Some(store)) => self.look_at(&store, policy, known),
            Ok(None) => self.without_store(policy),
            Err(error) => self.troubled(Failure::from(error)),
        };
        // Who has enrolled needs no invitation, and name services are not asked for one.
        let invites = book.entries.is_empty() && policy.invites();
        let (linger, export) = (policy.linger(), policy.export());
        AccountBook { invites, linger, export, max_token_file: policy.max_token_file(), ..book }
    }

    /// What was known before stays known: that the store cannot be read ends no token.
    fn troubled(&self, trouble: Failure) -> AccountBook {
        AccountBook { trouble: Some(trouble), ..AccountBook::read(&self.runtime.agents).unwrap_or_default() }
    }

    /// Nobody has enrolled, or what there was is not mounted: we never remove the directory.
    fn without_store(&self, policy: &Policy) -> AccountBook {
        let before = AccountBook::read(&self.runtime.agents).unwrap_or_default();
        if before.entries.is_empty() {
            return AccountBook::default();
        }
        let path = policy.store_dir(&self.message);
        let failure = Failure::failed(format!("{} is not there any more", path.display()))
            .advise("is the home directory mounted?");
        AccountBook { trouble: Some(failure), ..before }
    }

    fn look_at(&self, store: &Store, policy: &Policy, known: Option<(&str, &Opened)>) -> AccountBook {
        let names = match store.accounts() {
            Ok(names) => names,
            Err(error) => return self.troubled(Failure::from(error)),
        };
        let serves = self.serves(store);
        let mut entries = Vec::new();
        for name in names {
            if let Some((_, opened)) = known.filter(|(known, _)| *known == name) {
                entries.push(entry(&name, opened, policy));
                continue;
            }
            match self.open(store, &name) {
                Ok(opened) => {
                    let entry = entry(&name, &opened, policy);
                    self.take_over_refusals(store, policy, &entry);
                    // For root a locked host's records are opened, and nothing of them is made usable.
                    if serves.is_ok() {
                        self.unseal_token(store, &name, &opened, &entry);
                    }
                    entries.push(entry);
                }
                Err(error) => entries.push(self.closed(store, &name, error, policy)),
            }
        }
        let is_there = |wanted: &&str| entries.iter().any(|entry| entry.name == **wanted);
        let chosen = store.default_account();
        let preferred = policy.preferred_accounts(chosen.as_deref()).find(is_there).map(str::to_owned);
        // Else the one that was enrolled first: what works does not change when another is added.
        let opened = || entries.iter().filter_map(|entry| Some((entry.enrolled_at?, entry.name.clone())));
        let first = || opened().min().map(|(_, name)| name);
        let any = || entries.first().map(|entry| entry.name.clone());
        AccountBook {
            default_account: preferred.or_else(first).or_else(any),
            entries,
            ..AccountBook::default()
        }
    }

    /// A record that this mint cannot open. The accounts file is shared: where another agent of the user lives that can, what
    /// that one wrote stays. Of one that nobody can read now, or that is damaged, what is known stays known.
    fn closed(&self, store: &Store, name: &str, error: StoreError, policy: &Policy) -> AccountEntry {
        let cover = self.cover(store, name).ok();
        let wants_key = matches!(error, StoreError::NoKey { .. } | StoreError::Locked { .. });
        let others = cover.as_ref().filter(|_| wants_key).and_then(|cover| self.entry_of_others(name, cover));
        let Some(mut entry) = others else {
            let closed = closed_entry(name, cover.as_ref(), error);
            let before = AccountBook::read(&self.runtime.agents);
            let known = before.as_ref().and_then(|book| book.find(Some(name)));
            let known = known.filter(|_| cover.is_none() || !wants_key).cloned();
            return known
                .map(|known| AccountEntry { trouble: closed.trouble.clone(), ..known })
                .unwrap_or(closed);
        };
        entry.session_scope = policy.session_scope(&entry.issuer, &entry.scope);
        entry.trouble = (!policy.allows(&entry.issuer)).then(|| not_allowed(&entry.issuer));
        entry
    }

    fn entry_of_others(&self, name: &str, cover: &Cover) -> Option<AccountEntry> {
        let book = AccountBook::read(&self.runtime.agents)?;
        let same = |entry: &&AccountEntry| {
            entry.record_id == HEXLOWER.encode(&cover.id) && entry.enrolled_at.is_some()
        };
        let entry = book.find(Some(name)).filter(same)?;
        let held = self.runtime.keys_held();
        cover.keys.iter().any(|key| held.contains(&key.to_hexadecimal())).then(|| entry.clone())
    }

    /// Puts the session token that lies sealed beside the record into the cache, unless it has a younger one.
    fn unseal_token(&self, store: &Store, name: &str, opened: &Opened, entry: &AccountEntry) {
        let now = Now::read();
        if self.runtime.cache.find(&entry.session_token(), now.boot).is_some() || self.is_revoked() {
            return;
        }
        if let Some(token) = self.sealed_token(store, name, opened, entry, now) {
            self.note(self.runtime.cache.put(&token, now));
        }
    }

    /// The session token that lies sealed beside the record, if it still lives and is what this host would ask for.
    pub(crate) fn sealed_token(
        &self,
        store: &Store,
        name: &str,
        opened: &Opened,
        entry: &AccountEntry,
        now: Now,
    ) -> Option<CachedToken> {
        let sealed = SessionToken::open(&store.read_token(name)?, opened)?;
        // Under the policy of then, or of another host: neither a wider nor a narrower one is served.
        if sealed.asked.as_ref().is_some_and(|asked| *asked != entry.session_scope)
            || !surplus(&sealed.scope, &entry.session_scope).is_empty()
        {
            return None;
        }
        let boot_id = self.runtime.cache.boot_id();
        CachedToken::restored(sealed, entry.session_token(), &entry.issuer, boot_id, now)
    }
}

pub(crate) fn no_place(error: &DirectoryError) -> Failure {
    Failure::failed(error.to_string())
        .advise("the runtime directory cannot be written: tell the administrator")
}
