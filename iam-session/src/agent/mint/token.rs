//! A token: out of the cache if it will do, else from the issuer. Touches store, locks, cache and one helper.

use std::time::Duration;

use super::Mint;
use super::account::entry;
use super::policy::Policy;
use super::recover::{Past, give_up};
use crate::agent::book::Entry;
use crate::agent::cache::{CachedToken, Wanted};
use crate::agent::failure::{Against, Asker, Outlook, Pause};
use crate::agent::freshness::{Freshness, MINT_AT_MOST_EVERY};
use crate::agent::job::{Kind, TokenJob};
use crate::agent::token_file::Others;
use crate::clock::{self, Now};
use crate::helper::HelperError;
use crate::issuer::wire::{Answer, Request};
use crate::protocol::{Failure, FailureKind};
use crate::store::{Opened, Record, Store, StoreError};

/// More than a record with its token at their largest is likely to need.
pub(super) const RECORD_SIZE: usize = 16 * 1024;

/// A job, once it is known which record it is for.
pub(super) struct Errand<'a> {
    pub(super) job: &'a TokenJob,
    pub(super) entry: Entry,
    pub(super) wanted: Wanted,
    pub(super) past: Past,
}

/// That a token is not to be had. Said again for a moment, as a token is given again: whoever asks in a loop costs the
/// issuer no more by that.
pub(super) struct Refused {
    wanted: Wanted,
    failure: Failure,
    /// On CLOCK_BOOTTIME.
    at: Duration,
}

impl<'a> Errand<'a> {
    fn new(job: &'a TokenJob, opened: &Opened, policy: &Policy) -> Self {
        let entry = entry(&job.account, opened, policy);
        let wanted = job.kind.wanted(&entry);
        Self { job, entry, wanted, past: Past::Clear }
    }
}

impl Mint {
    /// Sees to a token. One mint at a time: who has to wait takes what the one before it has published.
    pub(super) fn token(&mut self, job: &TokenJob) -> Result<CachedToken, Failure> {
        let policy = Policy::load(&self.message)?;
        let no_account = || StoreError::NoAccount { account: job.account.clone() };
        let store = self.store(&policy)?.ok_or_else(no_account)?;
        let patience = self.patience();
        loop {
            let errand = Errand::new(job, &self.open(&store, &job.account)?, &policy);
            if let Some(known) = self.known(&errand) {
                return known;
            }
            if let Some(locks) = self.try_lock(&store, &job.account, &patience)? {
                let token = self.token_under_lock(&store, &policy, job);
                self.release(locks);
                return token;
            }
            patience.pause()?;
        }
    }

    /// As [`token`](Self::token), for who holds the locks already: the record is read once more, for what was
    /// read before may have been replaced while we waited.
    pub(super) fn token_under_lock(
        &mut self,
        store: &Store,
        policy: &Policy,
        job: &TokenJob,
    ) -> Result<CachedToken, Failure> {
        let opened = self.open(store, &job.account)?;
        let (mut opened, past) = self.recover(store, &job.account, opened);
        let errand = Errand { past, ..Errand::new(job, &opened, policy) };
        let outcome = match self.known(&errand) {
            Some(known) => known,
            None => self.refresh(store, policy, &errand, &mut opened),
        };
        if let (Err(failure), Kind::Named { .. }) = (&outcome, &errand.job.kind)
            && failure.kind == FailureKind::Refused
        {
            let (wanted, failure) = (errand.wanted.clone(), failure.clone());
            self.refused = Some(Refused { wanted, failure, at: clock::boot_time() });
        }
        let book = self.look_with(policy);
        // Its failure is told; the token is there all the same.
        let _ = self.publish_book(&book);
        // A new one was asked for: by a user who wants it in the file, or by an enrolment.
        let is_wanted = job.freshness == Freshness::New && job.kind == Kind::Session;
        let is_filed = book.default_account.as_ref() == Some(&job.account);
        self.align_files(&book, if is_wanted && is_filed { Others::Replace } else { Others::Leave });
        outcome
    }

    /// What can be answered without the issuer: a token that will do, or that it must not be asked yet.
    fn known(&self, errand: &Errand<'_>) -> Option<Result<CachedToken, Failure>> {
        let now = clock::boot_time();
        let cached = self.runtime.cache.last(&errand.wanted);
        if let Some(token) = cached {
            let life = token.life();
            if life.is_enough(errand.job.freshness, now) {
                return Some(Ok(token));
            }
            if !life.lives_at(now) && life.is_of_a_moment_ago(now) {
                return Some(Err(too_short(&errand.entry.issuer)));
            }
        }
        let refused = self.refused.as_ref().filter(|refused| refused.wanted == errand.wanted);
        if let Some(refused) = refused.filter(|refused| now < refused.at + MINT_AT_MOST_EVERY) {
            return Some(Err(refused.failure.clone()));
        }
        let setbacks = self.setbacks(&errand.wanted.record_id);
        let setback = match errand.job.kind {
            Kind::Session => setbacks.of_session(),
            Kind::Named { .. } => setbacks.find(Against::Record),
        };
        let asker = if errand.job.freshness == Freshness::Renewed { Asker::Agent } else { Asker::User };
        setback.filter(|setback| setback.holds(asker, now)).map(|setback| Err(setback.failure_at(now)))
    }

    fn refresh(
        &mut self,
        store: &Store,
        policy: &Policy,
        errand: &Errand<'_>,
        opened: &mut Opened,
    ) -> Result<CachedToken, Failure> {
        if !policy.allows(&opened.record.issuer) {
            return Err(not_allowed(&opened.record.issuer));
        }
        self.may_ask()?;
        let account = &errand.entry.name;
        let rotates = opened.record.rotates && self.unsaved.is_empty();
        let room = match rotates.then(|| store.reserve_record(account, RECORD_SIZE)).transpose() {
            Ok(room) => room,
            Err(error) => return Err(self.no_room(errand, error)),
        };
        let asked = Now::read();
        match self.ask(&request(&opened.record, &errand.wanted)) {
            Ok(Answer::Token(mut answer)) => {
                if let Some(new) = answer.refresh_token.take() {
                    let new = (new, answer.refresh_token_expires_at);
                    self.keep_rotated(store, account, opened, new, room);
                }
                if errand.past == Past::Unclear {
                    // It is clear now. What cannot be removed says something wrong later, and no more.
                    let _ = store.remove_unfinished(account);
                }
                self.settle(store, errand, opened, answer, asked)
            }
            Ok(Answer::Unusable { refresh_token, refresh_token_expires_at, error }) => {
                self.keep_rotated(store, account, opened, (refresh_token, refresh_token_expires_at), room);
                Err(self.set_back(errand, error.into()))
            }
            Ok(_) => {
                give_up(room, errand.past, &HelperError::Garbage);
                Err(self.set_back(errand, HelperError::Garbage))
            }
            Err(error) => {
                give_up(room, errand.past, &error);
                Err(self.set_back(errand, error))
            }
        }
    }

    /// The issuer would give up the refresh token that is stored, and the new one could not be.
    fn no_room(&self, errand: &Errand<'_>, error: StoreError) -> Failure {
        let failure = Failure::from(error);
        self.log_failure(&errand.entry.name, "store", &failure);
        self.note_setback(errand, Against::Record, failure.clone(), Outlook::Passing, Pause::OfAgents);
        failure
    }
}

fn too_short(issuer: &str) -> Failure {
    Failure {
        error: format!("the tokens of {issuer} end as soon as they are issued"),
        info: Some("tell the issuer's administrators".into()),
        kind: FailureKind::Failed,
    }
}

fn request(record: &Record, wanted: &Wanted) -> Request {
    Request::Refresh {
        endpoint: record.endpoints.token.clone(),
        client: record.client.duplicate(),
        refresh_token: record.refresh_token.duplicate(),
        scope: wanted.scope.clone(),
        audience: wanted.audience.clone(),
        audience_mode: record.audience_mode,
        transport: record.transport.clone(),
    }
}

pub(super) fn not_allowed(issuer: &str) -> Failure {
    Failure {
        error: format!("this site does not let its users enrol with {issuer}"),
        info: Some("'allowed_issuers' in the site's configuration lists those it does".into()),
        kind: FailureKind::Refused,
    }
}
