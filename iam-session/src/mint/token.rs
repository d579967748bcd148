//! Gets a token: from the cache if that will do, otherwise from the issuer. Touches store, locks, cache and one
//! helper.

use std::time::Duration;

use super::Mint;
use super::account::entry;
use super::drafts::{EarlierRefresh, give_up};
use super::mint_locks::MintLocks;
use super::policy::{Policy, not_allowed};
use crate::clock::{self, Now};
use crate::config::ScopeTable;
use crate::helper::HelperError;
use crate::issuer::wire::{HelperAnswer, HelperRequest, Operation};
use crate::protocol::{Failure, FailureKind};
use crate::runtime::accounts::AccountEntry;
use crate::runtime::cache::{CacheKey, CachedToken};
use crate::runtime::freshness::{Freshness, MINT_AT_MOST_EVERY};
use crate::runtime::last_failure::{FailureScope, LastFailure, RequestedBy, RetryPause, RetryWhen};
use crate::runtime::token_file::ForeignToken;
use crate::runtime::token_wanted::{TokenJob, TokenKind};
use crate::store::{Opened, Record, Store, StoreError};

/// More than a record with its token at their largest is likely to need.
pub(crate) const RECORD_SIZE: usize = 16 * 1024;

/// Where a token comes from, for who holds the locks.
pub(crate) enum TokenOrigin<C, T, F> {
    Cache(C),
    AnotherHost(T),
    /// The issuer must not be asked yet.
    Nowhere(F),
    Issuer,
}

impl<C, T, F> TokenOrigin<C, T, F> {
    /// The issuer is asked last.
    pub(crate) fn find(
        cache: impl FnOnce() -> Option<C>,
        another_host: impl FnOnce() -> Option<T>,
        must_not_ask: impl FnOnce() -> Option<F>,
    ) -> Self {
        (cache().map(Self::Cache))
            .or_else(|| another_host().map(Self::AnotherHost))
            .or_else(|| must_not_ask().map(Self::Nowhere))
            .unwrap_or(Self::Issuer)
    }
}

/// A job, once it is known which record it is for.
pub(crate) struct RefreshAttempt<'a> {
    pub(crate) job: &'a TokenJob,
    pub(crate) entry: AccountEntry,
    pub(crate) wanted: CacheKey,
    /// What the issuer is to be asked for a session token.
    pub(crate) session_request: String,
    /// Which scopes stand for others at its issuer.
    pub(crate) scope_sets: ScopeTable,
    pub(crate) past: EarlierRefresh,
}

/// That a token is not to be had. Said again for a moment, as a token is given again: whoever asks in a loop costs the
/// issuer no more by that.
pub(crate) struct RefusedToken {
    wanted: CacheKey,
    failure: Failure,
    /// On CLOCK_BOOTTIME.
    at: Duration,
}

/// What a job for a named token has found besides: the accounts file and the token files are seen to when it has been
/// answered, under the same locks.
pub(crate) struct Unpublished {
    policy: Policy,
    job: TokenJob,
    opened: Opened,
    locks: MintLocks,
}

impl<'a> RefreshAttempt<'a> {
    fn new(job: &'a TokenJob, opened: &Opened, policy: &Policy) -> Self {
        let entry = entry(&job.account, opened, policy);
        let wanted = job.kind.wanted(&entry);
        let scope_sets = policy.scope_sets(&entry.issuer);
        let session_request = policy.session_request(&entry);
        Self { job, entry, wanted, session_request, scope_sets, past: EarlierRefresh::Clear }
    }
}

impl Mint {
    /// Sees to a token. One mint at a time: who has to wait takes what the one before it has published.
    pub(crate) fn token(&mut self, job: &TokenJob) -> Result<CachedToken, Failure> {
        let policy = Policy::load(&self.message)?;
        let no_account = || StoreError::NoAccount { account: job.account.clone() };
        let store = self.store(&policy)?.ok_or_else(no_account)?;
        let patience = self.patience();
        loop {
            let opened = self.open(&store, &job.account)?;
            let attempt = RefreshAttempt::new(job, &opened, &policy);
            if let Some(cached) = self.cached_for(&attempt) {
                return cached;
            }
            // Without the store's lock: another host may hold it for as long as its issuer takes.
            if let Some(token) = self.token_of_another_host(&store, &attempt, &opened)
                && let Some(_lock) = self.try_lock_mint()?
                // Enrolled again since: then that token is of the record before.
                && self.open(&store, &job.account)?.id() == opened.id()
            {
                self.take_over(&store, &token)?;
                self.publish(&policy, job, &opened);
                return Ok(token);
            }
            if let Some(failure) = self.must_not_ask(&attempt) {
                return Err(failure);
            }
            if let Some(locks) = self.try_lock(&store, &job.account, &patience)? {
                return self.answer_under_lock(&store, policy, job, locks);
            }
            patience.pause()?;
        }
    }

    /// A named token is no file's: who asked has it before anything is published.
    fn answer_under_lock(
        &mut self,
        store: &Store,
        policy: Policy,
        job: &TokenJob,
        locks: MintLocks,
    ) -> Result<CachedToken, Failure> {
        match self.mint_under_lock(store, &policy, job) {
            Ok((token, opened)) => {
                self.unpublished = Some(Unpublished { policy, job: job.clone(), opened, locks });
                if token.is_err() || job.kind == TokenKind::Session {
                    self.publish_rest();
                }
                token
            }
            Err(failure) => {
                self.release(locks);
                Err(failure)
            }
        }
    }

    /// Publishes what the last job has found, and ends it.
    pub(crate) fn publish_rest(&mut self) {
        if let Some(Unpublished { policy, job, opened, locks }) = self.unpublished.take() {
            self.publish(&policy, &job, &opened);
            self.release(locks);
        }
    }

    /// As [`token`](Self::token), for who holds the locks already.
    pub(crate) fn token_under_lock(
        &mut self,
        store: &Store,
        policy: &Policy,
        job: &TokenJob,
    ) -> Result<CachedToken, Failure> {
        let (token, opened) = self.mint_under_lock(store, policy, job)?;
        self.publish(policy, job, &opened);
        token
    }

    /// What comes of a job, and the record as it is after it. The record is read once more, for what was read before may
    /// have been replaced while we waited.
    fn mint_under_lock(
        &mut self,
        store: &Store,
        policy: &Policy,
        job: &TokenJob,
    ) -> Result<(Result<CachedToken, Failure>, Opened), Failure> {
        let opened = self.open(store, &job.account)?;
        let (mut opened, past) = self.recover(store, &job.account, opened);
        let attempt = RefreshAttempt { past, ..RefreshAttempt::new(job, &opened, policy) };
        let origin = TokenOrigin::find(
            || self.cached_for(&attempt),
            || self.token_of_another_host(store, &attempt, &opened),
            || {
                self.take_over_refusals(store, policy, &attempt.entry);
                self.must_not_ask(&attempt)
            },
        );
        let outcome = match origin {
            TokenOrigin::Cache(cached) => cached,
            TokenOrigin::AnotherHost(token) => self.take_over(store, &token).map(|()| token),
            TokenOrigin::Nowhere(failure) => Err(failure),
            TokenOrigin::Issuer => self.refresh(store, policy, &attempt, &mut opened),
        };
        if let (Err(failure), TokenKind::Named { .. }) = (&outcome, &attempt.job.kind)
            && failure.kind == FailureKind::Refused
        {
            let (wanted, failure) = (attempt.wanted.clone(), failure.clone());
            self.refused = Some(RefusedToken { wanted, failure, at: clock::boot_time() });
        }
        Ok((outcome, opened))
    }

    /// Makes known what came of a job, in accounts file and token files. The caller holds the mint lock.
    fn publish(&self, policy: &Policy, job: &TokenJob, opened: &Opened) {
        let book = self.look_after(policy, Some((&job.account, opened)));
        // Its failure is told; the token is there all the same.
        let _ = self.publish_book(&book);
        // A new one was asked for: by a user who wants it in the file, or by an enrolment.
        let is_wanted = job.freshness == Freshness::New && job.kind == TokenKind::Session;
        let is_filed = book.default_account.as_ref() == Some(&job.account);
        let others = if is_wanted && is_filed { ForeignToken::Replace } else { ForeignToken::Leave };
        self.align_files(Some(policy), &book, others);
    }

    /// What the cache says: a token that will do, or that another would be as bad.
    fn cached_for(&self, attempt: &RefreshAttempt<'_>) -> Option<Result<CachedToken, Failure>> {
        let now = clock::boot_time();
        let token = self.runtime.cache.last(&attempt.wanted)?;
        let life = token.life();
        if life.is_enough(attempt.job.freshness, now) {
            return Some(Ok(token));
        }
        let is_too_short = !life.lives_at(now) && life.is_of_a_moment_ago(now);
        is_too_short.then(|| Err(too_short(&attempt.entry.issuer)))
    }

    /// The session token that another host of the user's has put beside the record, if it spares this one the issuer:
    /// so a user's renewals cost one request, and not one on each host. Who forces a new one gets a new one.
    fn token_of_another_host(
        &self,
        store: &Store,
        attempt: &RefreshAttempt<'_>,
        opened: &Opened,
    ) -> Option<CachedToken> {
        let TokenJob { account, kind, freshness } = attempt.job;
        if *kind != TokenKind::Session || *freshness == Freshness::New {
            return None;
        }
        let now = Now::read();
        let token = self.sealed_token(store, account, opened, &attempt.entry, now)?;
        let ours = self.runtime.cache.last(&attempt.wanted).map(|token| token.life());
        token.life().spares(ours, *freshness, now.boot).then_some(token)
    }

    /// Takes another host's token. The caller holds the mint lock.
    fn take_over(&self, store: &Store, token: &CachedToken) -> Result<(), Failure> {
        self.serves(store)?;
        self.in_time()?;
        self.may_publish()?;
        let now = Now::read();
        self.note(self.runtime.cache.put(token, now));
        let issued = now.unix.saturating_sub(now.boot.saturating_sub(token.issued).as_secs());
        let last_failures = self.last_failures(&token.wanted.record_id);
        for scope in [FailureScope::Record, FailureScope::Session] {
            if last_failures.find(scope).is_some_and(|failure| failure.is_over_by(issued)) {
                self.note(last_failures.clear(scope));
            }
        }
        Ok(())
    }

    /// Why the issuer must not be asked yet.
    fn must_not_ask(&self, attempt: &RefreshAttempt<'_>) -> Option<Failure> {
        let now = clock::boot_time();
        let refused = self.refused.as_ref().filter(|refused| refused.wanted == attempt.wanted);
        if let Some(refused) = refused.filter(|refused| now < refused.at + MINT_AT_MOST_EVERY) {
            return Some(refused.failure.clone());
        }
        let last_failures = self.last_failures(&attempt.wanted.record_id);
        let last_failure = match attempt.job.kind {
            TokenKind::Session => last_failures.of_session_request(&attempt.session_request),
            TokenKind::Named { .. } => last_failures.find(FailureScope::Record),
        };
        let asker =
            if attempt.job.freshness == Freshness::Renewed { RequestedBy::Agent } else { RequestedBy::User };
        last_failure
            .filter(|last_failure| last_failure.holds(asker, now))
            .map(|last_failure| last_failure.failure_at(now))
    }

    fn refresh(
        &mut self,
        store: &Store,
        policy: &Policy,
        attempt: &RefreshAttempt<'_>,
        opened: &mut Opened,
    ) -> Result<CachedToken, Failure> {
        if !policy.allows(&opened.record.issuer) {
            return Err(not_allowed(&opened.record.issuer));
        }
        self.may_ask()?;
        let account = &attempt.entry.name;
        let rotates = opened.record.rotates && self.unsaved.is_empty();
        let room = match rotates.then(|| store.reserve_record(account, RECORD_SIZE)).transpose() {
            Ok(room) => room,
            Err(error) => return Err(self.no_room(attempt, error)),
        };
        let asked = Now::read();
        match self.ask(&request(&opened.record, policy, &attempt.wanted)) {
            Ok(HelperAnswer::Token(mut answer)) => {
                if let Some(new) = answer.refresh_token.take() {
                    let new = (new, answer.refresh_token_expires_at);
                    self.keep_rotated(store, account, opened, new, room);
                }
                if attempt.past == EarlierRefresh::Unclear {
                    // It is clear now. What cannot be removed says something wrong later, and no more.
                    let _ = store.remove_unfinished(account);
                }
                self.accept_response(store, attempt, opened, answer, asked)
            }
            Ok(HelperAnswer::Unusable { refresh_token, refresh_token_expires_at, error }) => {
                self.keep_rotated(store, account, opened, (refresh_token, refresh_token_expires_at), room);
                Err(self.note_refusal(store, attempt, error.into()))
            }
            Ok(_) => {
                give_up(room, attempt.past, &HelperError::Garbage);
                Err(self.note_refusal(store, attempt, HelperError::Garbage))
            }
            Err(error) => {
                give_up(room, attempt.past, &error);
                Err(self.note_refusal(store, attempt, error))
            }
        }
    }

    /// Whether the issuer still takes an account's refresh token, where it says: one refresh tells, and what comes of it is
    /// kept. It is not asked again for a dead one, nor in a pause. Under the locks.
    pub(crate) fn takes_refresh_token(
        &mut self,
        store: &Store,
        policy: &Policy,
        account: &str,
        opened: &mut Opened,
    ) -> Option<bool> {
        let (kind, freshness) = (TokenKind::Session, Freshness::New);
        let job = TokenJob { account: account.to_owned(), kind, freshness };
        let attempt = RefreshAttempt::new(&job, opened, policy);
        let noted = |mint: &Self| mint.last_failures(&attempt.wanted.record_id).find(FailureScope::Record);
        let is_dead = |noted: &LastFailure| {
            noted.outlook == RetryWhen::Lasting && noted.failure.kind == FailureKind::NotEnrolled
        };
        match noted(self) {
            Some(before) if is_dead(&before) => return Some(false),
            Some(before) if before.holds(RequestedBy::User, Now::read().boot) => return None,
            _ => {}
        }
        match self.refresh(store, policy, &attempt, opened) {
            Ok(_) => Some(true),
            Err(_) => noted(self).is_some_and(|after| is_dead(&after)).then_some(false),
        }
    }

    /// The issuer would give up the refresh token that is stored, and the new one could not be.
    fn no_room(&self, attempt: &RefreshAttempt<'_>, error: StoreError) -> Failure {
        let failure = Failure::from(error);
        self.log_failure(&attempt.entry.name, "store", &failure);
        let (against, outlook, pause) = (FailureScope::Record, RetryWhen::Passing, RetryPause::OfAgents);
        let record_id = &attempt.wanted.record_id;
        let next = self.next_failure(record_id, against, failure.clone(), outlook, pause);
        self.note_here(record_id, against, next);
        failure
    }
}

fn too_short(issuer: &str) -> Failure {
    Failure::failed(format!("the tokens of {issuer} end as soon as they are issued"))
        .advise("tell the issuer's administrators")
}

fn request(record: &Record, policy: &Policy, wanted: &CacheKey) -> HelperRequest {
    let (scope, audience) = policy.asking(&record.issuer, &wanted.scope, &wanted.audience);
    Operation::Refresh {
        endpoint: record.endpoints.token.clone(),
        client: record.client.duplicate(),
        refresh_token: record.refresh_token.duplicate(),
        scope,
        audience,
        audience_mode: record.audience_mode,
    }
    .over(&record.transport)
}
