//! What tests/simulate makes its farm of: what an agent and its mint decide about the session token, where files are values
//! and the clock is a parameter. It has no rules of its own. Pure; touches nothing.

use std::time::Duration;

use crate::agent::schedule::{self, AccountState, AgentTask, Attempts};
use crate::clock::Now;
use crate::helper::HelperError;
use crate::issuer::wire::{ErrorClass, IssuerError};
use crate::mint::accept_response::consequence;
use crate::mint::mint_locks;
use crate::mint::refusals::{self, StoreNews};
use crate::mint::token::TokenOrigin;
use crate::protocol::Failure;
use crate::runtime::freshness::{Freshness, TokenLife};
use crate::runtime::last_failure::{LastFailure, RequestedBy, RetryPause, RetryWhen};
use crate::runtime::token_wanted::TokenKind;

/// How long a mint waits for the store's lock.
pub const LOCK_PATIENCE: Duration = mint_locks::PATIENCE;

/// What the hosts of a user share: the files beside the record.
#[derive(Default)]
pub struct Store {
    token: Option<TokenLife>,
    failure: Option<LastFailure>,
}

/// A user's agents on one host, with what they share there: cache and last failure.
pub struct Agent {
    host: u16,
    token: Option<TokenLife>,
    failure: Option<Box<LastFailure>>,
    attempts: Attempts,
}

/// What a mint does that holds the store's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It needs no issuer, or must not ask it yet.
    Done,
    /// It asks the issuer.
    Ask,
}

/// What an agent does that wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// It has looked at the store.
    Looks,
    /// Its mint waits for the store's lock.
    Renews,
}

/// How an issuer fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not answer.
    Silent,
    /// It answers with status 503.
    Busy,
}

/// All hosts have the same clock, and booted at the same moment.
fn at(now: Duration) -> Now {
    Now { unix: now.as_secs(), boot: now }
}

impl Agent {
    /// A host where the user has not been.
    pub fn new(host: u16) -> Self {
        Self { host, token: None, failure: None, attempts: Attempts::default() }
    }

    /// A login where the user has no other, and its first look at the store. Of the logins before, the last failure is
    /// left.
    pub fn log_in(&mut self, store: &Store, now: Duration, jitter: u8) {
        (self.token, self.attempts) = (None, Attempts::default());
        self.scan(store, now, jitter);
    }

    /// When the token in the token file ends. `None`: there has been none since the login.
    pub fn token_ends(&self) -> Option<Duration> {
        self.token.map(|token| token.ends)
    }

    /// Whether the token file holds a token that lives. `None`: there has been none since the login.
    pub fn has_token(&self, now: Duration) -> Option<bool> {
        self.token.map(|token| token.lives_at(now))
    }

    /// Whether a last failure keeps agents away, which a logout does not end.
    pub fn is_held(&self, now: Duration) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.holds(RequestedBy::Agent, now))
    }

    /// When the agent with this spread wakes by itself.
    pub fn wakes_at(&self, spread: u8, now: Duration) -> Option<Duration> {
        self.next(spread, now).map(|(at, _)| at)
    }

    fn next(&self, spread: u8, now: Duration) -> Option<(Duration, AgentTask)> {
        let token = self.token.filter(|token| token.lives_at(now));
        let state = AccountState::Enrolled { token, damaged: None, last_failure: self.failure.as_deref() };
        schedule::next(state, self.attempts, spread, now)
    }

    /// The agent with this spread wakes. It looks at the store, or has its mint wait for the lock to renew the token.
    pub fn wake(&mut self, spread: u8, store: &Store, now: Duration, jitter: u8) -> Wake {
        let task = self.next(spread, now).map(|(_, task)| task);
        self.attempts.begin(now);
        if task == Some(AgentTask::Renew) {
            return Wake::Renews;
        }
        self.scan(store, now, jitter);
        Wake::Looks
    }

    fn scan(&mut self, store: &Store, now: Duration, jitter: u8) {
        self.take_over_refusals(store, now, jitter);
        if !self.token.is_some_and(|token| token.lives_at(now)) {
            self.token = store.token.filter(|token| token.lives_at(now)).or(self.token);
        }
    }

    /// The mint has the store's lock.
    pub fn look(&mut self, store: &Store, now: Duration, jitter: u8) -> Step {
        let wanted = Freshness::Renewed;
        let ours = self.token;
        let origin = TokenOrigin::find(
            || ours.filter(|ours| ours.is_enough(wanted, now)),
            || store.token.filter(|theirs| theirs.spares(ours, wanted, now)),
            || {
                self.take_over_refusals(store, now, jitter);
                self.is_held(now).then_some(())
            },
        );
        match origin {
            TokenOrigin::Issuer => return Step::Ask,
            TokenOrigin::AnotherHost(token) => {
                self.token = Some(token);
                self.failure.take_if(|failure| failure.is_over_by(token.issued.as_secs()));
            }
            TokenOrigin::Cache(_) | TokenOrigin::Nowhere(()) => {}
        }
        self.end(now);
        Step::Done
    }

    /// The issuer has given a token that lives for `life`; it was asked at `asked`.
    pub fn answered(&mut self, store: &mut Store, asked: Duration, life: Duration, share: u8, now: Duration) {
        let token = TokenLife { issued: asked, ends: asked + life, share };
        (self.token, self.failure) = (Some(token), None);
        *store = Store { token: Some(token), failure: None };
        self.end(now);
    }

    /// The issuer has failed.
    pub fn failed(&mut self, store: &mut Store, fault: Fault, now: Duration, jitter: u8) {
        let (class, status) = match fault {
            Fault::Silent => (ErrorClass::Unreachable, None),
            Fault::Busy => (ErrorClass::Busy, Some(503)),
        };
        let error: HelperError =
            IssuerError { class, message: String::new(), status, retry_after: None }.into();
        let (_, outlook, pause) = consequence(&error, &TokenKind::Session);
        let unanswered = !refusals::is_issuers(&error);
        let (boot_id, failure) = (self.boot_id(), Failure::unreachable(""));
        let next = LastFailure::after(self.failure.as_deref(), failure, outlook, pause, &boot_id, at(now));
        let next = LastFailure { unanswered, asked: Some(String::new()), ..next };
        let in_store = !store.failure.clone().is_some_and(|stored| refusals::stays(stored, &next, at(now)));
        if in_store {
            store.failure = Some(next.clone());
        }
        self.failure = Some(Box::new(refusals::here(next, in_store, jitter)));
        self.end(now);
    }

    /// The mint has waited for the store's lock for as long as it does.
    pub fn gives_up(&mut self, now: Duration, jitter: u8) {
        if !self.is_held(now) {
            let (failure, boot_id) = (Failure::unreachable(""), self.boot_id());
            let (outlook, pause) = (RetryWhen::Passing, RetryPause::OfAgents);
            let next =
                LastFailure::after(self.failure.as_deref(), failure, outlook, pause, &boot_id, at(now));
            self.failure = Some(Box::new(next.jittered(jitter)));
        }
        self.end(now);
    }

    fn end(&mut self, now: Duration) {
        self.attempts.end(self.token, self.failure.as_deref(), now);
    }

    fn take_over_refusals(&mut self, store: &Store, now: Duration, jitter: u8) {
        let stored = store.failure.clone();
        match refusals::news(self.failure.as_deref(), stored, "", &self.boot_id(), at(now)) {
            StoreNews::None => {}
            StoreNews::Refused(refusal) => {
                self.failure = Some(Box::new(refusals::elsewhere(*refusal, jitter)))
            }
            StoreNews::Over => self.failure = None,
        }
    }

    fn boot_id(&self) -> String {
        self.host.to_string()
    }
}
