//! Answers that need no mint: from the accounts file, the cache and the last failures. Touches the agents' directory.

use std::rc::Rc;

use super::RuntimeDirectory;
use super::accounts::{AccountBook, AccountEntry};
use super::cache::CachedToken;
use super::extra_token_files::ExtraTokenFiles;
use super::freshness::Freshness;
use super::last_failure::LastFailure;
use super::token_wanted::{TokenJob, TokenKind};
use crate::clock::Now;
use crate::line::{self, EncodedLine, LineError};
use crate::protocol::{Account, Failure, FailureKind, LastError, MAX_LINE, Reply, Token, TokenRequest};

/// A token that is at hand, and the account that it is of.
#[derive(Debug)]
pub(crate) struct FoundToken {
    token: Rc<CachedToken>,
    account: String,
}

impl FoundToken {
    pub(crate) fn to_token(&self) -> Token {
        self.token.for_account(&self.account)
    }

    /// The line with which it is answered. It is encoded once: programs ask for the same token again and again.
    pub(crate) fn line(&self) -> Result<EncodedLine, LineError> {
        let known = self.token.reply.0.get().filter(|(account, _)| *account == self.account);
        if let Some((_, line)) = known {
            return Ok(Rc::clone(line));
        }
        let line = Rc::new(line::encode(&Reply::Success(self.to_token()), MAX_LINE)?);
        // Renamed since: then it is encoded each time, until there is a new token.
        let _ = self.token.reply.0.set((self.account.clone(), Rc::clone(&line)));
        Ok(line)
    }
}

/// What a request for a token comes to.
#[derive(Debug)]
pub(crate) enum TokenDecision {
    /// Here it is.
    Token(FoundToken),
    /// It must be minted.
    Mint(TokenJob),
    /// The accounts file does not know the account: perhaps because it is out of date.
    Unknown(Failure),
    /// It cannot be had.
    Refuse(Failure),
}

/// All that is known without a secret.
pub(crate) struct RuntimeView<'a> {
    runtime: &'a RuntimeDirectory,
    pub(crate) book: Rc<AccountBook>,
    now: Now,
}

impl<'a> RuntimeView<'a> {
    pub(crate) fn of(runtime: &'a RuntimeDirectory, now: Now) -> Self {
        Self { runtime, book: runtime.accounts(), now }
    }

    /// Decides about a request.
    pub(crate) fn decide(&self, request: &TokenRequest) -> TokenDecision {
        if let Err(failure) = check(request) {
            return TokenDecision::Refuse(failure);
        }
        let account = match self.book.resolve(request.account.as_deref()) {
            Ok(account) => account,
            Err(failure) => return TokenDecision::Unknown(failure),
        };
        let entry = match self.entry(account) {
            Ok(entry) => entry,
            Err(failure) => {
                return self
                    .kept(account, request)
                    .map_or(TokenDecision::Unknown(failure), TokenDecision::Token);
            }
        };
        let job = TokenJob {
            account: entry.name.clone(),
            kind: kind(request, entry),
            freshness: Freshness::from_min_valid_period(request.min_valid_period),
        };
        if let TokenKind::Named { scope, .. } = &job.kind {
            let missing = entry.scope.missing(scope);
            if !missing.is_empty() {
                return TokenDecision::Refuse(not_granted(entry, &missing.join(" ")));
            }
        }
        let cached = self.cached(entry, &job.kind);
        match cached.filter(|token| token.life().is_enough(job.freshness, self.now.boot)) {
            Some(token) => TokenDecision::Token(found(token, entry)),
            None => TokenDecision::Mint(job),
        }
    }

    /// A token that is not as fresh as it should be, for when no fresher one can be had.
    pub(crate) fn fallback(&self, job: &TokenJob) -> Option<FoundToken> {
        let entry = self.book.find(Some(&job.account))?;
        let token = self.cached(entry, &job.kind)?;
        let will_do = token.life().is_better_than_nothing(job.freshness, self.now.boot);
        will_do.then(|| found(token, entry))
    }

    /// A cached token, served although the record cannot be read now.
    fn kept(&self, account: Option<&str>, request: &TokenRequest) -> Option<FoundToken> {
        let entry = self.book.find(account)?;
        if entry.trouble.as_ref().is_some_and(|trouble| trouble.kind == FailureKind::Refused) {
            return None;
        }
        let token = self.cached(entry, &kind(request, entry))?;
        let wanted = Freshness::from_min_valid_period(request.min_valid_period);
        token.life().is_enough(wanted, self.now.boot).then(|| found(token, entry))
    }

    fn entry(&self, account: Option<&str>) -> Result<&AccountEntry, Failure> {
        if let Some(trouble) = &self.book.trouble {
            return Err(trouble.clone());
        }
        let entry = self.book.find(account).ok_or_else(|| unknown(account))?;
        entry.trouble.clone().map_or(Ok(entry), Err)
    }

    fn cached(&self, entry: &AccountEntry, kind: &TokenKind) -> Option<Rc<CachedToken>> {
        self.runtime.cache.find(&kind.wanted(entry), self.now.boot)
    }

    /// An account's session token, if a good one is at hand; without a name, the default account's.
    pub(crate) fn session_token(&self, account: Option<&str>) -> Option<Rc<CachedToken>> {
        self.cached(self.book.find(account)?, &TokenKind::Session)
    }

    /// What stands against an account.
    pub(crate) fn last_failure(&self, account: Option<&str>) -> Option<LastFailure> {
        self.book.find(account).and_then(|entry| self.last_failure_of(entry))
    }

    fn last_failure_of(&self, entry: &AccountEntry) -> Option<LastFailure> {
        self.runtime.last_failures(&entry.record_id).of_session()
    }

    /// For `status`: all accounts, and what stands in the way of a token.
    pub(crate) fn accounts(&self) -> (Vec<Account>, Option<Failure>) {
        let kept = ExtraTokenFiles::read(&self.runtime.agents);
        let accounts: Vec<Account> =
            self.book.entries.iter().map(|entry| self.account(entry, &kept)).collect();
        let default = self.book.find(None);
        let account = default.and_then(|entry| accounts.iter().find(|account| account.name == entry.name));
        let failing = account.filter(|account| account.token_expires_at.is_none());
        let last_error = failing.and_then(|account| account.last_error.as_ref());
        let trouble = self.book.trouble.clone().or(last_error.map(|error| error.failure.clone()));
        (accounts, trouble)
    }

    fn account(&self, entry: &AccountEntry, kept: &ExtraTokenFiles) -> Account {
        let is_kept = kept.contains(&entry.name);
        let kept_file = is_kept.then(|| self.runtime.places.kept_file(&entry.name).display().to_string());
        let last_failure =
            self.last_failure_of(entry).map(|last_failure| last_failure.to_last_error(self.now));
        let closed = entry.trouble.clone();
        let closed = closed.map(|failure| LastError { failure, at: self.now.unix, next_attempt_at: None });
        Account {
            name: entry.name.clone(),
            issuer: entry.issuer.clone(),
            client_id: entry.client_id.clone(),
            subject: entry.subject.clone(),
            scope: entry.scope.clone(),
            session_scope: entry.session_scope.clone(),
            enrollment_ends_at: entry.enrollment_ends_at,
            token_expires_at: self
                .cached(entry, &TokenKind::Session)
                .map(|token| token.expires_at_by(self.now)),
            token_asked_at: None,
            kept_file,
            last_error: closed.or(last_failure),
        }
    }
}

fn found(token: Rc<CachedToken>, entry: &AccountEntry) -> FoundToken {
    FoundToken { token, account: entry.name.clone() }
}

fn kind(request: &TokenRequest, entry: &AccountEntry) -> TokenKind {
    let audience = request.audience.split_whitespace().collect::<Vec<_>>().join(" ");
    match (request.scope.is_empty(), audience.is_empty()) {
        (true, true) => TokenKind::Session,
        (true, false) => TokenKind::Named { scope: entry.session_scope.clone(), audience },
        (false, _) => TokenKind::Named { scope: request.scope.clone(), audience },
    }
}

/// What goes into a form, a log line and a terminal must be scope tokens (RFC 6749 §3.3), and so must audiences.
fn check(request: &TokenRequest) -> Result<(), Failure> {
    let legal = |text: &str| text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if !request.scope.iter().all(legal) {
        return Err(
            Failure::usage("a scope holds characters that no scope has").advise("check what follows -s")
        );
    }
    if !request.audience.split_whitespace().all(legal) {
        return Err(
            Failure::usage("an audience holds characters that none has").advise("check what follows --aud")
        );
    }
    Ok(())
}

fn unknown(account: Option<&str>) -> Failure {
    match account {
        None => {
            Failure::not_enrolled("you have not enrolled on this host").advise("run 'iam-session enroll'")
        }
        Some(name) => Failure::not_enrolled(format!("there is no account '{name}'"))
            .advise("'iam-session list' shows your accounts"),
    }
}

fn not_granted(entry: &AccountEntry, missing: &str) -> Failure {
    Failure::refused(format!("account '{}' was not granted '{missing}'", entry.name)).advise(format!(
        "'iam-session list' shows the scopes you have; for others: iam-session reenroll {} -s …",
        entry.name
    ))
}
