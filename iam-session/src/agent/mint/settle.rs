//! What follows from the issuer's answer: what is kept, served, told, and when it is asked again. Touches store
//! and cache.

use std::time::Duration;

use super::Mint;
use super::token::{Errand, REFUSED_PAUSE};
use crate::agent::cache::CachedToken;
use crate::agent::failure::{self, Outlook, Setback};
use crate::agent::job::Kind;
use crate::clock::Now;
use crate::helper::HelperError;
use crate::issuer::wire::{ErrorClass, IssuerError, TokenAnswer};
use crate::log::Level;
use crate::protocol::{Failure, FailureKind};
use crate::scope::ScopeSet;
use crate::store::{Opened, Record, SessionToken, Store};

impl Mint {
    /// Keeps what must be kept before anything else, then judges and publishes the token.
    pub(super) fn settle(
        &mut self,
        store: &Store,
        errand: &Errand<'_>,
        opened: &mut Opened,
        mut answer: TokenAnswer,
        asked: Now,
    ) -> Result<CachedToken, Failure> {
        self.keep_rotated(store, errand, opened, &mut answer);
        let granted = answer.scope.take().unwrap_or_else(|| unstated(errand, &opened.record));
        if let Err(failure) = judge(errand, &granted) {
            if errand.job.kind == Kind::Session {
                self.note_setback(errand, failure.clone(), Outlook::Passing, Some(REFUSED_PAUSE));
            }
            return Err(failure);
        }
        self.note(failure::clear(&self.runtime.agents, &errand.wanted.record_id));
        let token = self.cached(errand, answer, granted, asked);
        self.note(self.runtime.cache.put(&token, Now::read()));
        if errand.job.kind == Kind::Session {
            self.seal_token(store, errand, opened, &token, asked);
        }
        self.log.line(Level::Info, &audit_line(errand, &token));
        Ok(token)
    }

    /// The life of a token is counted from before the request: it ends earlier for us than for the issuer.
    fn cached(&self, errand: &Errand<'_>, answer: TokenAnswer, granted: ScopeSet, asked: Now) -> CachedToken {
        CachedToken {
            wanted: errand.wanted.clone(),
            access_token: answer.access_token,
            granted,
            issuer: errand.entry.issuer.clone(),
            boot_id: self.runtime.cache.boot_id().to_owned(),
            issued: asked.boot,
            ends: asked.boot + Duration::from_secs(answer.expires_in),
            expires_at: asked.unix.saturating_add(answer.expires_in),
            jti: answer.jti,
        }
    }

    /// A changed refresh token, whether or not the issuer says that it rotates: the old one may be dead.
    fn keep_rotated(
        &mut self,
        store: &Store,
        errand: &Errand<'_>,
        opened: &mut Opened,
        answer: &mut TokenAnswer,
    ) {
        let Some(new) = answer.refresh_token.take() else { return };
        let record = &mut opened.record;
        if new.expose() == record.refresh_token.expose() {
            return;
        }
        record.refresh_token = new;
        record.refresh_token_expires_at = answer.refresh_token_expires_at;
        record.rotates = true;
        let account = &errand.entry.name;
        let Ok(file) = opened.seal(&store.record_path(account)) else { return };
        match store.write_record(account, &file) {
            Ok(()) => self.unsaved.remove(account),
            Err(error) => {
                let text = format!("account {account}: the new refresh token could not be kept yet: {error}");
                self.log.line(Level::Error, &text);
                self.unsaved.add(account, file);
            }
        }
    }

    fn seal_token(
        &self,
        store: &Store,
        errand: &Errand<'_>,
        opened: &Opened,
        token: &CachedToken,
        asked: Now,
    ) {
        let sealed = SessionToken {
            access_token: token.access_token.duplicate(),
            scope: token.granted.clone(),
            issued_at: asked.unix,
            expires_at: token.expires_at,
            jti: token.jti.clone(),
        };
        // Best effort: a home that cannot be written costs the next login one refresh.
        if let Some(file) = sealed.seal(opened) {
            let _ = store.write_token(&errand.entry.name, &file);
        }
    }

    /// Notes why there is no token, and when the issuer may be asked again.
    pub(super) fn set_back(&self, errand: &Errand<'_>, error: HelperError) -> Failure {
        let (outlook, wish) = match &error {
            HelperError::Issuer(error) => outlook(error),
            _ => (Outlook::Passing, None),
        };
        let answers_the_request = matches!(
            &error,
            HelperError::Issuer(error)
                if matches!(error.class, ErrorClass::ScopeRefused | ErrorClass::AudienceRefused)
        );
        let failure = Failure::from(error);
        self.log.line(Level::Warning, &format!("account {}: {failure}", errand.entry.name));
        // A scope that somebody named and may not have says nothing about the next request.
        if !answers_the_request || errand.job.kind == Kind::Session {
            self.note_setback(errand, failure.clone(), outlook, wish);
        }
        failure
    }

    fn note_setback(&self, errand: &Errand<'_>, failure: Failure, outlook: Outlook, wish: Option<Duration>) {
        let (record_id, boot_id) = (&errand.wanted.record_id, self.runtime.cache.boot_id());
        let previous = failure::find(&self.runtime.agents, record_id, boot_id);
        let mut spread = [0];
        // Without randomness all agents of one user still share one back-off.
        let _ = getrandom::fill(&mut spread);
        let [spread] = spread;
        let setback = Setback::after(previous.as_ref(), failure, outlook, wish, spread, boot_id, Now::read());
        self.note(failure::note(&self.runtime.agents, record_id, &setback));
    }
}

/// What a response without a scope grants: what was asked (RFC 6749 §5.1), unless this issuer otherwise says it. IAM
/// leaves the scope out when its policy has taken everything away.
fn unstated(errand: &Errand<'_>, record: &Record) -> ScopeSet {
    if record.states_scope { ScopeSet::default() } else { errand.wanted.scope.clone() }
}

/// Compares what was granted with what was asked.
fn judge(errand: &Errand<'_>, granted: &ScopeSet) -> Result<(), Failure> {
    let (asked, entry) = (&errand.wanted.scope, &errand.entry);
    match errand.job.kind {
        Kind::Session if granted.is_empty() => Err(Failure {
            error: format!("{} granted none of '{asked}'", entry.issuer),
            info: Some("its policy took them away: ask the issuer's administrators".into()),
            kind: FailureKind::Refused,
        }),
        // Less than policy allows is what the issuer decides; more must not get into the file (promise 3).
        Kind::Session => refuse_if_any(asked.missing(granted), |surplus| Failure {
            error: format!("{} granted '{surplus}' though it was not asked for", entry.issuer),
            info: Some("the site may allow it with 'session_scope' in the provider's file".into()),
            kind: FailureKind::Refused,
        }),
        Kind::Named { .. } => refuse_if_any(granted.missing(asked), |missing| Failure {
            error: format!("{} did not grant '{missing}'", entry.issuer),
            info: Some("its policy took it away: 'iam-session status' lists the scopes you have".into()),
            kind: FailureKind::Refused,
        }),
    }
}

fn refuse_if_any(scopes: Vec<String>, refusal: impl Fn(String) -> Failure) -> Result<(), Failure> {
    if scopes.is_empty() { Ok(()) } else { Err(refusal(scopes.join(" "))) }
}

/// Whether trying again may help, and how long the issuer is spared for that.
fn outlook(error: &IssuerError) -> (Outlook, Option<Duration>) {
    use ErrorClass as E;
    let wish = error.retry_after.map(Duration::from_secs);
    match error.class {
        E::CredentialDead | E::ClientGone => (Outlook::Lasting, wish),
        E::Unreachable | E::Busy | E::Malformed => (Outlook::Passing, wish),
        // Somebody at the issuer, or the user on its page, has to do something: that takes a while.
        _ => (Outlook::Passing, Some(wish.unwrap_or(REFUSED_PAUSE))),
    }
}

fn audit_line(errand: &Errand<'_>, token: &CachedToken) -> String {
    let audience = if token.wanted.audience.is_empty() { "-" } else { &token.wanted.audience };
    format!(
        "minted account={} issuer={} scope=\"{}\" audience=\"{audience}\" jti={} expires_at={}",
        errand.entry.name,
        token.issuer,
        token.granted,
        token.jti.as_deref().unwrap_or("-"),
        token.expires_at
    )
}
