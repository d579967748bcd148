//! Publishes what a job found: the accounts file and the token files. Touches the runtime directory.

use super::Mint;
use super::policy::Policy;
use super::scan_store::no_place;
use crate::clock::Now;
use crate::config::{LARGEST_TOKEN_FILE, TOKEN_FILE};
use crate::directory::DirectoryError;
use crate::json::spelled;
use crate::log::Level;
use crate::protocol::{Failure, FailureKind};
use crate::runtime::accounts::{AccountBook, AccountEntry};
use crate::runtime::cache::CachedToken;
use crate::runtime::extra_token_files::{self, ExtraTokenFiles};
use crate::runtime::file_damage::DamageNote;
use crate::runtime::last_failure::{FailureScope, LastFailure, RetryPause, RetryWhen};
use crate::runtime::token_file::{self, FileState, ForeignToken};

impl Mint {
    /// A runtime directory that is full or gone ends no job; the administrator is told.
    pub(crate) fn note(&self, result: Result<(), DirectoryError>) {
        if let Err(error) = result {
            self.log.error(&error.to_string());
        }
    }

    /// Writes the accounts file if it has changed. The caller holds the mint lock, or there is no book yet.
    pub(crate) fn publish_book(&self, book: &AccountBook) -> Result<(), Failure> {
        if AccountBook::read(&self.runtime.agents).as_ref() == Some(book) {
            return Ok(());
        }
        book.write(&self.runtime.agents).map_err(|error| {
            self.log.error(&error.to_string());
            no_place(&error)
        })
    }

    /// Puts each account's session token into its file, or removes a file whose token is no good: the default
    /// account's into the session's, and each kept one's into its own. The caller holds the mint lock.
    pub(crate) fn align_files(&self, policy: Option<&Policy>, book: &AccountBook, others: ForeignToken) {
        if self.is_revoked() {
            return self.note(self.runtime.remove_tokens());
        }
        let places = &self.runtime.places;
        let asked = |entry: &AccountEntry| Some(policy?.session_request(entry));
        let align = |entry: Option<&AccountEntry>, file: &str| {
            self.align(book, entry, entry.and_then(asked), file, others);
        };
        align(book.find(None), &places.token_file_name());
        for account in ExtraTokenFiles::read(&self.runtime.agents).iter() {
            align(book.find(Some(account)), &places.kept_file_name(account));
        }
    }

    /// Removes what we have put into any of the files. The caller holds the mint lock.
    pub(crate) fn empty_files(&self) {
        let kept = extra_token_files::files(&self.runtime).unwrap_or_default();
        for file in std::iter::once(self.runtime.places.token_file_name()).chain(kept) {
            self.note(token_file::remove(&self.runtime, &file));
        }
    }

    fn align(
        &self,
        book: &AccountBook,
        entry: Option<&AccountEntry>,
        asked: Option<String>,
        file: &str,
        others: ForeignToken,
    ) {
        if is_unknown(book, entry) {
            // Not to know is no reason to take a good token away; the agents remove one that ends.
            return;
        }
        let now = Now::read();
        self.tell_damage(file, now);
        let wanted = entry.filter(|entry| entry.trouble.is_none()).map(AccountEntry::session_token);
        let token = wanted.as_ref().and_then(|wanted| self.runtime.cache.find(wanted, now.boot));
        let Some(token) = token else {
            return self.note(token_file::retract(&self.runtime, file, wanted.as_ref(), now));
        };
        let limit = book.max_token_file;
        if let Err(error) = token_file::publish(&self.runtime, file, &token, limit, others, now) {
            let failure = match error {
                DirectoryError::TooLarge { .. } => {
                    too_large(entry.map_or("NAME", |entry| &entry.name), &token, limit)
                }
                error => no_place(&error),
            };
            // Each look finds it again.
            let record_id = &token.wanted.record_id;
            let noted = self.last_failures(record_id).of_session();
            if noted.is_some_and(|noted| noted.failure.error == failure.error) {
                return;
            }
            self.log.error(&failure.error);
            let (against, outlook) = (FailureScope::Session, RetryWhen::Passing);
            let next = self.next_failure(record_id, against, failure, outlook, RetryPause::Doubling);
            self.note_here(record_id, against, LastFailure { asked, ..next });
        }
    }
}

/// The log is told of the same damage again after so many seconds.
const TOLD_AGAIN: u64 = 60;

impl Mint {
    /// Says what is wrong with a file before it is mended: afterwards nobody could see it.
    fn tell_damage(&self, file: &str, now: Now) {
        let FileState::Damaged(found) = token_file::state(&self.runtime, file, now) else { return };
        // A program that asks for a look again and again writes no line of ours each time.
        let noted = DamageNote::read(&self.runtime.agents, now.unix);
        if noted.is_some_and(|noted| noted.found == found && now.unix.saturating_sub(noted.at) < TOLD_AGAIN) {
            return;
        }
        let fields = [("file", file), ("found", &*spelled(&found)), ("reason", found.text())];
        self.log.event(Level::Warning, "token_file_damaged", &fields);
        self.note(DamageNote { found, at: now.unix }.write(&self.runtime.agents));
    }
}

fn too_large(account: &str, token: &CachedToken, limit: usize) -> Failure {
    let size = token.access_token.expose().len() + 1;
    let error = format!(
        "the session's token has {size} bytes, and a token file at most {limit} here: xrdcp reads {TOKEN_FILE}, HTCondor \
         {LARGEST_TOKEN_FILE}"
    );
    Failure::refused(error).advise(format!(
        "enrol again with fewer scopes: 'iam-session reenroll {account} -s …'; or ask the issuer's administrators for \
         fewer claims; 'iam-session token' prints it all the same, and the site may set 'max_token_file'"
    ))
}

/// Whether it cannot be said now what belongs into the file. That the site does not allow an issuer is known.
fn is_unknown(book: &AccountBook, entry: Option<&AccountEntry>) -> bool {
    let trouble = entry.and_then(|entry| entry.trouble.as_ref());
    book.trouble.is_some() || trouble.is_some_and(|trouble| trouble.kind != FailureKind::Refused)
}
