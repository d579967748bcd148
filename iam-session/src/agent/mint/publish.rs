//! Makes known what a job found: the book and the token file. Touches the runtime directory.

use super::Mint;
use crate::agent::book::Book;
use crate::agent::token_file;
use crate::clock;
use crate::directory::DirectoryError;
use crate::log::Level;

impl Mint {
    /// A runtime directory that is full or gone ends no job; the administrator is told.
    pub(super) fn note(&self, result: Result<(), DirectoryError>) {
        if let Err(error) = result {
            self.log.line(Level::Error, &error.to_string());
        }
    }

    pub(super) fn publish_book(&self, book: &Book) {
        if Book::read(&self.runtime.agents).as_ref() != Some(book) {
            self.note(book.write(&self.runtime.agents));
        }
    }

    /// Brings the token file in line with the cache, if nobody mints: whoever does sees to it at its end.
    pub(super) fn publish_file(&self, book: &Book) {
        if !self.unsaved.is_empty() {
            return self.align_file(book);
        }
        match self.runtime.try_lock_mint() {
            Ok(Some(_lock)) => self.align_file(book),
            Ok(None) => {}
            Err(error) => self.note(Err(error)),
        }
    }

    /// Puts the default account's session token into the file, or removes a file whose token is no good. The
    /// caller holds the mint lock.
    pub(super) fn align_file(&self, book: &Book) {
        let now = clock::boot_time();
        let default = book.find(None).filter(|entry| entry.trouble.is_none());
        let wanted = default.map(|entry| entry.session_token());
        let token = wanted.as_ref().and_then(|wanted| self.runtime.cache.find(wanted, now));
        self.note(match token {
            Some(token) => token_file::publish(&self.runtime, &token, now),
            None => token_file::retract(&self.runtime, wanted.as_ref(), now),
        });
    }
}
