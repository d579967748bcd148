//! Decides what follows from the issuer's answer: it stores a rotated refresh token, judges and publishes the access
//! token, and notes a failure with the time of the next attempt. Touches store and cache.

use std::time::Duration;

use super::Mint;
use super::drafts::explain;
use super::refusals::{is_issuers, own_moment};
use super::token::RefreshAttempt;
use crate::clock::Now;
use crate::directory::Draft;
use crate::helper::{HelperError, not_for};
use crate::issuer::wire::{ErrorClass, TokenAnswer};
use crate::json::spelled;
use crate::log::Level;
use crate::protocol::Failure;
use crate::runtime::accounts::AccountEntry;
use crate::runtime::cache::{CachedToken, TokenReply};
use crate::runtime::last_failure::{FailureScope, LastFailure, LastFailures, RetryPause, RetryWhen};
use crate::runtime::token_wanted::TokenKind;
use crate::scope::{ScopeSet, is_identity};
use crate::secret::Secret;
use crate::store::{Opened, Record, SessionToken, Store, StoreError};

/// How long an issuer is spared that has refused, and will until somebody does something about it.
const REFUSED: RetryPause = RetryPause::Ours(Duration::from_secs(15 * 60));
/// The same of one that does not know the client, which may change and seldom does.
const UNKNOWN_CLIENT: RetryPause = RetryPause::Ours(Duration::from_secs(2 * 60 * 60));
/// Of a longer list of scopes the first ones say enough.
const MAX_NAMED: usize = 5;

impl Mint {
    /// Judges and publishes the token. What must be kept of the answer has been.
    pub(crate) fn accept_response(
        &self,
        store: &Store,
        attempt: &RefreshAttempt<'_>,
        opened: &Opened,
        answer: TokenAnswer,
        asked: Now,
    ) -> Result<CachedToken, Failure> {
        let granted = answer.rights().unwrap_or_else(|| unstated(attempt, &opened.record));
        let granted = rights(granted, &attempt.wanted.scope);
        let misses = answer.missing_audience(&attempt.wanted.audience);
        self.clear_failure(store, &attempt.wanted.record_id, FailureScope::Record);
        if let Err(failure) = judge(attempt, &granted, misses) {
            self.log_failure(&attempt.entry.name, "scope_missing", &failure);
            if attempt.job.kind == TokenKind::Session {
                let (against, outlook) = (FailureScope::Session, RetryWhen::Passing);
                let next =
                    self.next_failure(&attempt.wanted.record_id, against, failure.clone(), outlook, REFUSED);
                self.note_request(store, attempt, against, next);
            }
            return Err(failure);
        }
        self.in_time()?;
        self.may_publish()?;
        let token = self.cached(attempt, answer, granted, asked);
        self.note(self.runtime.cache.put(&token, Now::read()));
        if attempt.job.kind == TokenKind::Session {
            self.clear_failure(store, &attempt.wanted.record_id, FailureScope::Session);
            self.seal_token(store, attempt, opened, &token, asked);
        }
        self.log_minted(attempt, &token);
        Ok(token)
    }

    /// The life of a token is counted from before the request, and a second less: an issuer counts from the start of
    /// its second. It ends earlier for us than for anybody else.
    fn cached(
        &self,
        attempt: &RefreshAttempt<'_>,
        answer: TokenAnswer,
        granted: ScopeSet,
        asked: Now,
    ) -> CachedToken {
        let life = answer.expires_in.saturating_sub(1).max(1);
        CachedToken {
            wanted: attempt.wanted.clone(),
            access_token: answer.access_token,
            granted,
            issuer: attempt.entry.issuer.clone(),
            boot_id: self.runtime.cache.boot_id().to_owned(),
            issued: asked.boot,
            ends: asked.boot + Duration::from_secs(life),
            expires_at: asked.unix.saturating_add(life),
            jti: answer.jti,
            reply: TokenReply::default(),
        }
    }

    /// A changed refresh token, whether or not the issuer says that it rotates: the old one may be dead. It goes into
    /// the room that was made for it before the issuer was asked, where there is any.
    pub(crate) fn keep_rotated(
        &mut self,
        store: &Store,
        account: &str,
        opened: &mut Opened,
        (new, expires_at): (Secret, Option<u64>),
        room: Option<Draft<'_>>,
    ) {
        let record = &mut opened.record;
        if new.expose() == record.refresh_token.expose() {
            return;
        }
        record.refresh_token = new;
        record.refresh_token_expires_at = expires_at;
        record.rotates = true;
        // It is written anyway: a site can retire a node key once this has been done everywhere.
        let _ = opened.renew_node_slots(&self.message.keys);
        let file = match opened.seal(&store.record_path(account)) {
            Ok(file) => file,
            Err(error) => return self.log_lost(account, &error),
        };
        let written = match room {
            Some(room) => room.commit(&file).map_err(StoreError::from),
            None => store.write_record(account, &file),
        };
        match written {
            Ok(()) => self.unsaved.remove(account),
            Err(error) => self.keep_in_memory(account, file, &error),
        }
    }

    /// A refresh token that the disk does not take yet.
    pub(crate) fn keep_in_memory(&mut self, account: &str, file: Vec<u8>, error: &StoreError) {
        let text = format!("the new refresh token could not be kept yet: {error}");
        self.log.event(Level::Error, "unsaved", &[("account", account), ("error", &text)]);
        self.unsaved.add(account, file);
    }

    /// What an issuer sent can be kept nowhere. A record has room for all that an issuer may send, so this is a kernel
    /// without randomness.
    pub(crate) fn log_lost(&self, account: &str, error: &StoreError) {
        let text = format!("what the issuer replaced cannot be sealed and is lost: {error}");
        self.log.event(Level::Error, "lost", &[("account", account), ("error", &text)]);
    }

    fn seal_token(
        &self,
        store: &Store,
        attempt: &RefreshAttempt<'_>,
        opened: &Opened,
        token: &CachedToken,
        asked: Now,
    ) {
        let sealed = SessionToken {
            access_token: token.access_token.duplicate(),
            scope: token.granted.clone(),
            asked: Some(token.wanted.scope.clone()),
            issued_at: asked.unix,
            expires_at: token.expires_at,
            jti: token.jti.clone(),
        };
        // Best effort: a home that cannot be written costs the next login one refresh.
        if let Some(file) = sealed.seal(opened) {
            let _ = store.write_token(&attempt.entry.name, &file);
        }
    }

    /// Notes why there is no token, and when the issuer may be asked again.
    pub(crate) fn note_refusal(
        &self,
        store: &Store,
        attempt: &RefreshAttempt<'_>,
        error: HelperError,
    ) -> Failure {
        let (against, outlook, pause) = consequence(&error, &attempt.job.kind);
        let class = match &error {
            HelperError::Issuer(error) => spelled(&error.class),
            _ => "helper".to_owned(),
        };
        let advice = match &error {
            HelperError::Issuer(error) => attempt.advice(error.class),
            _ => None,
        };
        let unanswered = !is_issuers(&error);
        let failure = match outlook {
            RetryWhen::Lasting => explain(error.into(), attempt.past),
            RetryWhen::Passing => error.into(),
        };
        let failure = Failure { info: advice.or(failure.info), ..failure };
        self.log_failure(&attempt.entry.name, &class, &failure);
        // What somebody named and may not have says nothing about the next request.
        if against == FailureScope::Record || attempt.job.kind == TokenKind::Session {
            let next = self.next_failure(&attempt.wanted.record_id, against, failure.clone(), outlook, pause);
            self.note_request(store, attempt, against, LastFailure { unanswered, ..next });
        }
        failure
    }

    /// Notes what failed on this host.
    pub(crate) fn note_here(&self, record_id: &str, against: FailureScope, failure: LastFailure) {
        self.note(self.last_failures(record_id).note(against, &failure.jittered(own_moment())));
    }

    pub(crate) fn next_failure(
        &self,
        record_id: &str,
        against: FailureScope,
        failure: Failure,
        outlook: RetryWhen,
        pause: RetryPause,
    ) -> LastFailure {
        let previous = self.last_failures(record_id).find(against);
        let boot_id = self.runtime.cache.boot_id();
        LastFailure::after(previous.as_ref(), failure, outlook, pause, boot_id, Now::read())
    }

    /// What the site's audit wants of a token; never the token.
    fn log_minted(&self, attempt: &RefreshAttempt<'_>, token: &CachedToken) {
        let (scope, expires_at) = (token.granted.to_string(), token.expires_at.to_string());
        self.log.event(
            Level::Info,
            "minted",
            &[
                ("account", &attempt.entry.name),
                ("issuer", &token.issuer),
                ("scope", &scope),
                ("audience", &token.wanted.audience),
                ("jti", token.jti.as_deref().unwrap_or_default()),
                ("expires_at", &expires_at),
            ],
        );
    }

    pub(crate) fn last_failures<'a>(&'a self, record_id: &'a str) -> LastFailures<'a> {
        self.runtime.last_failures(record_id)
    }
}

impl RefreshAttempt<'_> {
    /// What of the scope that was asked for is not in `granted`.
    fn missing(&self, granted: &ScopeSet) -> Vec<String> {
        self.scope_sets.with_words(&self.wanted.scope, granted).missing(&self.wanted.scope)
    }

    /// What to do, by the names of account and client, whatever the issuer says of them.
    fn advice(&self, class: ErrorClass) -> Option<String> {
        let AccountEntry { name, client_id, .. } = &self.entry;
        match class {
            ErrorClass::CredentialDead => Some(format!("enrol again: run 'iam-session reenroll {name}'")),
            ErrorClass::ClientGone => Some(format!(
                "ask the issuer's administrators for client '{client_id}', or enrol again: run 'iam-session reenroll {name}'"
            )),
            ErrorClass::ClientSuspended => {
                Some(format!("ask the issuer's administrators for client '{client_id}'"))
            }
            _ => None,
        }
    }
}

/// What a response without a scope grants: what was asked (RFC 6749 §5.1), unless this issuer otherwise says it. IAM
/// leaves the scope out when its policy has taken everything away.
fn unstated(attempt: &RefreshAttempt<'_>, record: &Record) -> ScopeSet {
    if record.states_scope { ScopeSet::default() } else { attempt.wanted.scope.clone() }
}

/// What of a granted scope an access token gives. Keycloak names `offline_access` in every answer to a refresh: it was
/// the wish for a refresh token (OpenID Connect Core §11), and is no right of who has the access token.
fn rights(granted: ScopeSet, asked: &ScopeSet) -> ScopeSet {
    if asked.allows("offline_access") {
        return granted;
    }
    granted.iter().filter(|scope| *scope != "offline_access").collect()
}

/// Compares what was granted with what was asked.
fn judge(attempt: &RefreshAttempt<'_>, granted: &ScopeSet, misses: Vec<String>) -> Result<(), Failure> {
    let (asked, entry) = (&attempt.wanted.scope, &attempt.entry);
    refuse_if_any(misses, |audience| not_for(&entry.issuer, &audience))?;
    match attempt.job.kind {
        TokenKind::Session if granted.is_empty() => {
            Err(Failure::refused(format!("{} granted none of '{asked}'", entry.issuer))
                .advise("its policy took them away: ask the issuer's administrators"))
        }
        // Less than policy allows is what the issuer decides; more must not get into the file (promise 3).
        TokenKind::Session => refuse_if_any(surplus(granted, asked), |surplus| {
            Failure::refused(format!("{} granted '{surplus}' though it was not asked for", entry.issuer))
                .advise("the site may allow it with 'session_scope' in the provider's file")
        }),
        TokenKind::Named { .. } => refuse_if_any(attempt.missing(granted), |missing| {
            Failure::refused(format!("{} did not grant '{missing}'", entry.issuer))
                .advise("its policy took it away: 'iam-session status' lists the scopes you have")
        }),
    }
}

/// What was not asked for. Who somebody is many issuers say unasked (Keycloak's default scopes); no storage opens to it.
pub(crate) fn surplus(granted: &ScopeSet, asked: &ScopeSet) -> Vec<String> {
    asked.missing(granted).into_iter().filter(|scope| !is_identity(scope)).collect()
}

fn refuse_if_any(scopes: Vec<String>, refusal: impl Fn(String) -> Failure) -> Result<(), Failure> {
    if scopes.is_empty() { Ok(()) } else { Err(refusal(some_of(&scopes))) }
}

/// As many as a line of a terminal is good for.
fn some_of(scopes: &[String]) -> String {
    let shown = scopes.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(" ");
    match scopes.len().saturating_sub(MAX_NAMED) {
        0 => shown,
        more => format!("{shown}' and {more} more like '{}", scopes.last().map_or("", String::as_str)),
    }
}

/// What fails with it, whether trying again may help, and how long the issuer is spared.
pub(crate) fn consequence(error: &HelperError, kind: &TokenKind) -> (FailureScope, RetryWhen, RetryPause) {
    use ErrorClass as E;
    let HelperError::Issuer(error) = error else {
        return (FailureScope::Record, RetryWhen::Passing, RetryPause::Doubling);
    };
    let issuers = error.retry_after.map(|seconds| RetryPause::Issuers(Duration::from_secs(seconds)));
    match error.class {
        E::CredentialDead => (FailureScope::Record, RetryWhen::Lasting, RetryPause::Doubling),
        // A client that is disabled can be enabled again, and no answer tells it from one that is gone.
        E::ClientGone => (FailureScope::Record, RetryWhen::Passing, issuers.unwrap_or(UNKNOWN_CLIENT)),
        E::Unreachable | E::Busy | E::Malformed => {
            (FailureScope::Record, RetryWhen::Passing, issuers.unwrap_or(RetryPause::Doubling))
        }
        E::ScopeRefused | E::AudienceRefused => (FailureScope::Session, RetryWhen::Passing, REFUSED),
        E::Refused | E::AccessDenied if *kind != TokenKind::Session => {
            (FailureScope::Session, RetryWhen::Passing, REFUSED)
        }
        // Somebody at the issuer, or the user on its page, has to do something: that takes a while.
        _ => (FailureScope::Record, RetryWhen::Passing, issuers.unwrap_or(REFUSED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::wire::IssuerError;

    #[test]
    fn what_is_named_and_refused_is_not_held_against_the_session() {
        use ErrorClass as E;
        let named =
            TokenKind::Named { scope: ScopeSet::parse("openid"), audience: "https://se.example".into() };
        let against = |class, kind| {
            let error = IssuerError { class, message: "m".into(), status: None, retry_after: None };
            consequence(&error.into(), kind).0
        };
        for class in [E::Refused, E::AccessDenied] {
            assert_eq!(against(class, &named), FailureScope::Session, "{class:?}");
            assert_eq!(against(class, &TokenKind::Session), FailureScope::Record, "{class:?}");
        }
        for class in
            [E::CredentialDead, E::ClientGone, E::ClientSuspended, E::UserSuspended, E::AupUnsigned, E::Busy]
        {
            assert_eq!(against(class, &named), FailureScope::Record, "{class:?}");
        }
    }

    #[test]
    fn a_client_that_is_not_known_is_asked_for_again_slowly() {
        let consequence = |class| {
            let error = IssuerError { class, message: "m".into(), status: Some(401), retry_after: None };
            consequence(&error.into(), &TokenKind::Session)
        };
        assert_eq!(
            consequence(ErrorClass::ClientGone),
            (FailureScope::Record, RetryWhen::Passing, RetryPause::Ours(Duration::from_secs(7200)))
        );
        assert_eq!(consequence(ErrorClass::CredentialDead).1, RetryWhen::Lasting);
    }

    #[test]
    fn who_somebody_is_may_be_said_unasked() {
        let surplus = |granted: &str| surplus(&ScopeSet::parse(granted), &ScopeSet::parse("storage.read:/"));
        assert!(surplus("openid profile email address phone storage.read:/a").is_empty());
        assert_eq!(surplus("email groups storage.modify:/"), ["groups", "storage.modify:/"]);
    }

    #[test]
    fn offline_access_that_was_not_asked_for_is_no_right_and_all_else_is() {
        let rights = |granted: &str, asked: &str| {
            rights(ScopeSet::parse(granted), &ScopeSet::parse(asked)).to_string()
        };
        assert_eq!(rights("offline_access openid storage.modify:/", "openid"), "openid storage.modify:/");
        assert_eq!(rights("offline_access openid", "offline_access"), "offline_access openid");
    }
}
