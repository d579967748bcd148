//! Makes known what a job found: the book and the token file. Touches the runtime directory.

use super::Mint;
use super::look::no_place;
use crate::agent::book::{Book, Entry};
use crate::agent::failure::{Against, Outlook, Pause};
use crate::agent::token_file::{self, Others};
use crate::clock::Now;
use crate::directory::DirectoryError;
use crate::protocol::{Failure, FailureKind};

impl Mint {
    /// A runtime directory that is full or gone ends no job; the administrator is told.
    pub(super) fn note(&self, result: Result<(), DirectoryError>) {
        if let Err(error) = result {
            self.log.error(&error.to_string());
        }
    }

    /// Writes the book if it has changed. The caller holds the mint lock, or there is no book yet.
    pub(super) fn publish_book(&self, book: &Book) -> Result<(), Failure> {
        if Book::read(&self.runtime.agents).as_ref() == Some(book) {
            return Ok(());
        }
        book.write(&self.runtime.agents).map_err(|error| {
            self.log.error(&error.to_string());
            no_place(&error)
        })
    }

    /// Puts the default account's session token into the file, or removes a file whose token is no good. The
    /// caller holds the mint lock.
    pub(super) fn align_file(&self, book: &Book, others: Others) {
        if is_unknown(book) {
            // Not to know is no reason to take a good token away; the agents remove one that ends.
            return;
        }
        let now = Now::read();
        let default = book.find(None).filter(|entry| entry.trouble.is_none());
        let wanted = default.map(Entry::session_token);
        let token = wanted.as_ref().and_then(|wanted| self.runtime.cache.find(wanted, now.boot));
        let Some(token) = token else {
            return self.note(token_file::retract(&self.runtime, wanted.as_ref(), now));
        };
        if let Err(error) = token_file::publish(&self.runtime, &token, others, now) {
            self.log.error(&error.to_string());
            let (failure, id) = (no_place(&error), &token.wanted.record_id);
            self.note_setback_of(id, Against::Session, failure, Outlook::Passing, Pause::Doubling);
        }
    }
}

/// Whether it cannot be said now what belongs into the file. That the site does not allow an issuer is known.
fn is_unknown(book: &Book) -> bool {
    let entry = book.find(None).and_then(|entry| entry.trouble.as_ref());
    book.trouble.is_some() || entry.is_some_and(|trouble| trouble.kind != FailureKind::Refused)
}
