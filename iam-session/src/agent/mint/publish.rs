//! Makes known what a job found: the book, the cache, the token file. Touches the runtime directory.

use super::Mint;
use crate::agent::book::Book;
use crate::agent::cache::CachedToken;
use crate::agent::token_file;
use crate::clock::Now;
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
        match self.runtime.try_lock_mint() {
            Ok(Some(_lock)) => self.align_file(book),
            Ok(None) => {}
            Err(error) => self.note(Err(error)),
        }
    }

    /// Puts the default account's session token into the file, or removes a file whose token is no good. The
    /// caller holds the mint lock.
    pub(super) fn align_file(&self, book: &Book) {
        if self.runtime.is_deserted() {
            return;
        }
        let default = book.find(None).filter(|entry| entry.trouble.is_none());
        let token = default.and_then(|entry| {
            self.runtime.cache.find(&entry.session_token(), Now::read().boot)
        });
        let name = self.runtime.places.token_file_name();
        self.note(match token {
            Some(token) => self.write_file(&name, &token),
            None => self.runtime.top.remove(&name),
        });
    }

    fn write_file(&self, name: &str, token: &CachedToken) -> Result<(), DirectoryError> {
        if token_file::holds(&self.runtime.top, name, &token.access_token) {
            return Ok(());
        }
        token_file::write(&self.runtime.top, name, &token.access_token)
    }
}
