//! Publishes what a job found: the accounts file and the token files. Touches the runtime directory.

use super::Mint;
use super::scan_store::no_place;
use crate::clock::Now;
use crate::directory::DirectoryError;
use crate::protocol::{Failure, FailureKind};
use crate::runtime::accounts::{Book, Entry};
use crate::runtime::extra_token_files::{self, Kept};
use crate::runtime::last_failure::{Against, Outlook, Pause};
use crate::runtime::token_file::{self, Others};
use crate::secret::Secret;

impl Mint {
    /// A runtime directory that is full or gone ends no job; the administrator is told.
    pub(crate) fn note(&self, result: Result<(), DirectoryError>) {
        if let Err(error) = result {
            self.log.error(&error.to_string());
        }
    }

    /// Writes the book if it has changed. The caller holds the mint lock, or there is no book yet.
    pub(crate) fn publish_book(&self, book: &Book) -> Result<(), Failure> {
        if Book::read(&self.runtime.agents).as_ref() == Some(book) {
            return Ok(());
        }
        book.write(&self.runtime.agents).map_err(|error| {
            self.log.error(&error.to_string());
            no_place(&error)
        })
    }

    /// Puts each account's session token into its file, or removes a file whose token is no good: the default
    /// account's into the session's, and each kept one's into its own. The caller holds the mint lock.
    pub(crate) fn align_files(&self, book: &Book, others: Others) {
        if self.is_revoked() {
            return self.note(self.runtime.remove_tokens());
        }
        let places = &self.runtime.places;
        self.align(book, book.find(None), &places.token_file_name(), others);
        for account in Kept::read(&self.runtime.agents).iter() {
            self.align(book, book.find(Some(account)), &places.kept_file_name(account), others);
        }
    }

    /// Removes what we have put into any of the files. The caller holds the mint lock.
    pub(crate) fn empty_files(&self) {
        let kept = extra_token_files::files(&self.runtime).unwrap_or_default();
        for file in std::iter::once(self.runtime.places.token_file_name()).chain(kept) {
            self.note(token_file::remove(&self.runtime, &file));
        }
    }

    fn align(&self, book: &Book, entry: Option<&Entry>, file: &str, others: Others) {
        if is_unknown(book, entry) {
            // Not to know is no reason to take a good token away; the agents remove one that ends.
            return;
        }
        let now = Now::read();
        let wanted = entry.filter(|entry| entry.trouble.is_none()).map(Entry::session_token);
        let token = wanted.as_ref().and_then(|wanted| self.runtime.cache.find(wanted, now.boot));
        let Some(token) = token else {
            return self.note(token_file::retract(&self.runtime, file, wanted.as_ref(), now));
        };
        if let Err(error) = token_file::publish(&self.runtime, file, &token, book.max_token_file, others, now)
        {
            self.log.error(&error.to_string());
            let failure = match &error {
                DirectoryError::TooLarge { .. } => too_large(&token.access_token, book.max_token_file),
                _ => no_place(&error),
            };
            self.note_setback_of(&token.wanted, Against::Session, failure, Outlook::Passing, Pause::Doubling);
        }
    }
}

/// A token that its readers would refuse is in no file: xrootd reads 4096 bytes, HTCondor 16 KiB.
fn too_large(token: &Secret, max: usize) -> Failure {
    // The file ends with a newline.
    let size = token.expose().len() + 1;
    Failure::refused(format!("the token has {size} bytes, and a token file here holds {max}: xrootd reads no more than 4096")).advise(
        "have fewer scopes in it: 'session_scope' in ~/.config/iam-session/config.toml; or the site sets 'max_token_file'",
    )
}

/// Whether it cannot be said now what belongs into the file. That the site does not allow an issuer is known.
fn is_unknown(book: &Book, entry: Option<&Entry>) -> bool {
    let trouble = entry.and_then(|entry| entry.trouble.as_ref());
    book.trouble.is_some() || trouble.is_some_and(|trouble| trouble.kind != FailureKind::Refused)
}
