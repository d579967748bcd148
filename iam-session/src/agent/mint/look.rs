//! Looks which accounts there are and whether a good token is at hand; asks no issuer. Touches store, cache,
//! book and token file.

use data_encoding::HEXLOWER;

use super::Mint;
use super::account::{closed_entry, entry};
use super::policy::Policy;
use super::token::not_allowed;
use crate::agent::book::{Book, Entry};
use crate::agent::cache::CachedToken;
use crate::clock::Now;
use crate::protocol::Failure;
use crate::store::{Cover, Opened, SessionToken, Store, StoreError};

impl Mint {
    /// Writes the book and, where a good session token is at hand, the token file.
    pub(super) fn look(&self) {
        let book = match Policy::load(&self.message) {
            Ok(policy) => self.look_with(&policy),
            Err(trouble) => Book { trouble: Some(trouble), ..Book::default() },
        };
        self.publish_book(&book);
        self.publish_file(&book);
    }

    pub(super) fn look_with(&self, policy: &Policy) -> Book {
        let book = match self.store(policy) {
            Ok(Some(store)) => self.look_at(&store, policy),
            Ok(None) => Book::default(),
            Err(error) => Book { trouble: Some(Failure::from(error)), ..Book::default() },
        };
        Book { invites: policy.invites(), linger: policy.linger(), ..book }
    }

    fn look_at(&self, store: &Store, policy: &Policy) -> Book {
        let names = match store.accounts() {
            Ok(names) => names,
            Err(error) => return Book { trouble: Some(Failure::from(error)), ..Book::default() },
        };
        let mut entries = Vec::new();
        for name in names {
            match self.open(store, &name) {
                Ok(opened) => {
                    let entry = entry(&name, &opened, policy);
                    self.unseal_token(store, &name, &opened, &entry);
                    entries.push(entry);
                }
                Err(error) => entries.push(self.closed(store, &name, error, policy)),
            }
        }
        let is_there = |wanted: &&str| entries.iter().any(|entry| entry.name == **wanted);
        let preferred = policy.preferred_accounts().find(is_there).map(str::to_owned);
        // Else the one that was enrolled first: what works does not change when another is added.
        let opened = || entries.iter().filter_map(|entry| Some((entry.enrolled_at?, entry.name.clone())));
        let first = || opened().min().map(|(_, name)| name);
        let any = || entries.first().map(|entry| entry.name.clone());
        Book { default_account: preferred.or_else(first).or_else(any), entries, ..Book::default() }
    }

    /// A record that this mint cannot open. The book is shared: where another agent of the user lives that can, what
    /// that one wrote stays.
    fn closed(&self, store: &Store, name: &str, error: StoreError, policy: &Policy) -> Entry {
        let cover = self.cover(store, name).ok();
        let others = cover.as_ref().and_then(|cover| self.entry_of_others(name, cover));
        let Some(mut entry) = others else { return closed_entry(name, cover.as_ref(), error) };
        entry.session_scope = policy.session_scope(&entry.issuer, &entry.scope);
        entry.trouble = (!policy.allows(&entry.issuer)).then(|| not_allowed(&entry.issuer));
        entry
    }

    fn entry_of_others(&self, name: &str, cover: &Cover) -> Option<Entry> {
        let book = Book::read(&self.runtime.agents)?;
        let same =
            |entry: &&Entry| entry.record_id == HEXLOWER.encode(&cover.id) && entry.enrolled_at.is_some();
        let entry = book.find(Some(name)).filter(same)?;
        let held = self.runtime.keys_held();
        cover.keys.iter().any(|key| held.contains(&key.to_hexadecimal())).then(|| entry.clone())
    }

    /// Puts the session token that lies sealed beside the record into the cache, unless it has a younger one.
    fn unseal_token(&self, store: &Store, name: &str, opened: &Opened, entry: &Entry) {
        let now = Now::read();
        let wanted = entry.session_token();
        if self.runtime.cache.find(&wanted, now.boot).is_some() {
            return;
        }
        let sealed = store.read_token(name).and_then(|file| SessionToken::open(&file, opened));
        // It was sealed under the policy of then: one that is wider than today's is not served.
        let sealed = sealed.filter(|token| entry.session_scope.missing(&token.scope).is_empty());
        let token = sealed.and_then(|token| {
            CachedToken::restored(token, wanted, &entry.issuer, self.runtime.cache.boot_id(), now)
        });
        if let Some(token) = token {
            self.note(self.runtime.cache.put(&token, now));
        }
    }
}
