//! A token: out of the cache if it will do, else from the issuer. Touches store, locks, cache and one helper.

use std::time::Duration;

use super::Mint;
use super::account::entry;
use super::policy::Policy;
use crate::agent::book::Entry;
use crate::agent::cache::{CachedToken, Wanted};
use crate::agent::failure;
use crate::agent::job::TokenJob;
use crate::clock::{self, Now};
use crate::helper::HelperError;
use crate::issuer::wire::{Answer, Request};
use crate::protocol::{Failure, FailureKind};
use crate::store::{Opened, Record, Store, StoreError};

/// A job, once it is known which record it is for.
pub(super) struct Errand<'a> {
    pub(super) job: &'a TokenJob,
    pub(super) entry: Entry,
    pub(super) wanted: Wanted,
}

impl<'a> Errand<'a> {
    fn new(job: &'a TokenJob, opened: &Opened, policy: &Policy) -> Self {
        let entry = entry(&job.account, opened, policy);
        let wanted = job.kind.wanted(&entry);
        Self { job, entry, wanted }
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
        let mut opened = self.open(store, &job.account)?;
        let errand = Errand::new(job, &opened, policy);
        let outcome = match self.known(&errand) {
            Some(known) => known,
            None => self.refresh(store, policy, &errand, &mut opened),
        };
        let book = self.look_with(policy);
        self.publish_book(&book);
        self.align_file(&book);
        outcome
    }

    /// What can be answered without the issuer: a token that will do, or that it must not be asked yet.
    fn known(&self, errand: &Errand<'_>) -> Option<Result<CachedToken, Failure>> {
        let now = clock::boot_time();
        let cached = self.runtime.cache.find(&errand.wanted, now);
        if let Some(token) = cached.filter(|token| token.life().is_enough(errand.job.freshness, now)) {
            return Some(Ok(token));
        }
        let boot_id = self.runtime.cache.boot_id();
        let setback = failure::find(&self.runtime.agents, &errand.wanted.record_id, boot_id);
        setback.filter(|setback| setback.holds_at(now)).map(|setback| Err(setback.failure_at(now)))
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
        let asked = Now::read();
        match self.ask(&request(&opened.record, &errand.wanted)) {
            Ok(Answer::Token(answer)) => self.settle(store, errand, opened, answer, asked),
            Ok(_) => Err(self.set_back(errand, HelperError::Garbage)),
            Err(error) => Err(self.set_back(errand, error)),
        }
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

/// What an issuer that is asked again by itself is spared after it has refused.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_secs(15 * 60);
