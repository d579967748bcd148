//! Looks which accounts there are and whether a good token is at hand; asks no issuer. Touches store, cache,
//! book and token file.

use super::Mint;
use super::account::{closed_entry, entry};
use super::policy::Policy;
use crate::agent::book::{Book, Entry};
use crate::agent::cache::CachedToken;
use crate::clock::Now;
use crate::protocol::Failure;
use crate::store::{Opened, SessionToken, Store};

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
        Book { invites: policy.invites(), ..book }
    }

    fn look_at(&self, store: &Store, policy: &Policy) -> Book {
        let names = match store.accounts() {
            Ok(names) => names,
            Err(error) => return Book { trouble: Some(Failure::from(error)), ..Book::default() },
        };
        let mut enrolled = Vec::new();
        let mut entries = Vec::new();
        for name in names {
            match self.open(store, &name) {
                Ok(opened) => {
                    let entry = entry(&name, &opened, policy);
                    self.unseal_token(store, &name, &opened, &entry);
                    enrolled.push((opened.record.enrolled_at, name));
                    entries.push(entry);
                }
                Err(error) => entries.push(closed_entry(&name, error)),
            }
        }
        let is_there = |wanted: &&str| entries.iter().any(|entry| entry.name == **wanted);
        let preferred = policy.preferred_accounts().find(is_there).map(str::to_owned);
        // Else the one that was enrolled first: what works does not change when another is added.
        let first = || enrolled.into_iter().min().map(|(_, name)| name);
        let any = || entries.first().map(|entry| entry.name.clone());
        Book { default_account: preferred.or_else(first).or_else(any), entries, ..Book::default() }
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
