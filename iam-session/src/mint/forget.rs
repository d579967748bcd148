//! Ends an account: first at the issuer, while there is still something to end it with, then here. Touches store,
//! cache and one helper.

use data_encoding::HEXLOWER;

use super::Mint;
use super::client::ClientUse;
use super::policy::Policy;
use crate::config::Revocation;
use crate::end_grant::{GrantEnd, deregistration, revocation};
use crate::helper::HelperError;
use crate::issuer::wire::ErrorClass;
use crate::log::Level;
use crate::protocol::{Ending, Failure, ForgetAction, ForgetStep, Forgotten};
use crate::runtime::last_failure::FailureScope;
use crate::runtime::token_file::ForeignToken;
use crate::store::{Cover, Opened, Record, Store};
use crate::text::{printable, utc};

impl Mint {
    /// Ends an account in the way that is asked for, and says what of it could not be done.
    pub(crate) fn end_account(&mut self, name: &str, ending: Ending) -> Result<Forgotten, Failure> {
        let end = |mint: &mut Self, policy: &Policy, store: &Store| {
            let steps = mint.end_under_lock(store, policy, name, ending);
            let book = mint.look_with(policy);
            let published = mint.publish_book(&book);
            mint.align_files(Some(policy), &book, ForeignToken::Leave);
            published.map(|()| Forgotten { account: name.to_owned(), steps })
        };
        match ending {
            // It takes nothing that a lock keeps.
            Ending::Remove => self.with_account_though_locked(name, end),
            Ending::Forget | Ending::Revoke => self.with_account(name, end),
        }
    }

    fn end_under_lock(
        &mut self,
        store: &Store,
        policy: &Policy,
        name: &str,
        ending: Ending,
    ) -> Vec<ForgetStep> {
        let cover = self.cover(store, name).ok();
        let steps = match (ending, self.open(store, name)) {
            (Ending::Remove, opened) => here_alone(store, name, cover.as_ref(), opened.ok().as_ref()),
            (_, Ok(opened)) => {
                // Of two refresh tokens it is the newer one that the issuer knows.
                let (mut opened, _) = self.recover(store, name, opened);
                let revocation = match ending {
                    Ending::Forget => policy.revocation(&opened.record.issuer),
                    // All are to end.
                    Ending::Revoke | Ending::Remove => Revocation::Token,
                };
                self.end(store, policy, revocation, name, &mut opened)
            }
            // Nothing opens it here. Removing it is what the user asked for; the rest cannot be done.
            (Ending::Forget, Err(error)) => {
                vec![behind(ForgetAction::Revoke, error.to_string()), remove(store, name)]
            }
            (Ending::Revoke, Err(error)) => {
                let kept = format!("it is kept so that it can still be revoked; {}", error.hint());
                vec![behind(ForgetAction::Revoke, error.to_string()), behind(ForgetAction::Remove, kept)]
            }
        };
        if steps.iter().any(|step| step.step == ForgetAction::Remove && step.error.is_none()) {
            self.removed(store, name, cover.as_ref());
        }
        steps
    }

    /// Its record is gone: so is all that was known of it here.
    fn removed(&mut self, store: &Store, name: &str, cover: Option<&Cover>) {
        self.unsaved.remove(name);
        if store.default_account().as_deref() == Some(name) {
            // A name that no account has chooses nothing.
            let _ = store.forget_default();
        }
        self.forget_kept(name, None);
        if let Some(cover) = cover {
            self.forget_record(store, &HEXLOWER.encode(&cover.id));
        }
        self.log.event(Level::Info, "forgotten", &[("account", name)]);
    }

    fn end(
        &mut self,
        store: &Store,
        policy: &Policy,
        revocation: Revocation,
        name: &str,
        opened: &mut Opened,
    ) -> Vec<ForgetStep> {
        let need = self.need(store, name, &opened.record);
        if revocation == Revocation::Grant && !matches!(need, ClientUse::None) {
            let shared = "its issuer would end another account of the same client with it; it ends with the last of them";
            return vec![behind(ForgetAction::Revoke, shared.to_owned()), remove(store, name)];
        }
        let revoked = self.revoke(store, policy, name, opened);
        if let Err((KeepAfterFailure::Record, error)) = revoked {
            let kept = "it is kept so that its refresh token can still be revoked; try again later";
            let kept = format!("{kept}, or remove it with 'iam-session forget --local {}'", printable(name));
            return vec![behind(ForgetAction::Revoke, error), behind(ForgetAction::Remove, kept)];
        }
        let mut steps = vec![match revoked {
            Ok(step) => step,
            Err((_, error)) => behind(ForgetAction::Revoke, error),
        }];
        steps.extend(self.deregister(&opened.record, need));
        steps.push(remove(store, name));
        steps
    }

    /// Ends a client that was registered here, unless another account goes on with it: then that is what it is for.
    fn deregister(&mut self, record: &Record, need: ClientUse) -> Option<ForgetStep> {
        const STEP: ForgetAction = ForgetAction::Deregister;
        let Some(request) = deregistration(&record.client, &record.transport) else {
            // An issuer gives no means to who registers with a token of a user's.
            let is_ours = record.client_name.is_some() && matches!(need, ClientUse::None);
            let (issuer, client) = (&record.issuer, printable(&record.client.client_id));
            return is_ours.then(|| {
                behind(
                    STEP,
                    format!("{issuer} gave no means to delete it; delete client {client} on its pages"),
                )
            });
        };
        match need {
            ClientUse::Account => None,
            ClientUse::Unknown(error) => Some(behind(STEP, format!("another account may need it: {error}"))),
            ClientUse::None => Some(match GrantEnd::by(self.ask(&request)) {
                GrantEnd::Now => done(STEP),
                GrantEnd::Before => gone(STEP),
                GrantEnd::Refused(error) | GrantEnd::NotYet(error) => behind(STEP, error.to_string()),
            }),
        }
    }

    /// What is cached and noted of a record that is no more.
    pub(crate) fn forget_record(&self, store: &Store, record_id: &str) {
        self.clear_failure(store, record_id, FailureScope::Record);
        self.clear_failure(store, record_id, FailureScope::Session);
        self.note(self.runtime.cache.forget(record_id));
    }

    fn revoke(
        &mut self,
        store: &Store,
        policy: &Policy,
        name: &str,
        opened: &mut Opened,
    ) -> Result<ForgetStep, (KeepAfterFailure, String)> {
        let record = &opened.record;
        let endpoint = record.endpoints.revocation.as_deref();
        let Some(request) = revocation(record, endpoint, &record.transport) else {
            return Err((KeepAfterFailure::Nothing, format!("{} offers no revocation", record.issuer)));
        };
        match GrantEnd::by(self.ask(&request)) {
            GrantEnd::Now => Ok(done(ForgetAction::Revoke)),
            GrantEnd::Before => Ok(gone(ForgetAction::Revoke)),
            GrantEnd::Refused(error) => Err((KeepAfterFailure::Nothing, error.to_string())),
            GrantEnd::NotYet(error) if is_unclear(&error) => {
                match self.takes_refresh_token(store, policy, name, opened) {
                    Some(false) => Ok(done(ForgetAction::Revoke)),
                    Some(true) => Err((KeepAfterFailure::Record, format!("{error}; it still gives tokens"))),
                    None => Err((KeepAfterFailure::Record, error.to_string())),
                }
            }
            GrantEnd::NotYet(error) => Err((KeepAfterFailure::Record, error.to_string())),
        }
    }
}

/// An answer that is neither RFC 7009's success nor its error: the issuer may have revoked all the same, as IAM does where
/// it redirects.
fn is_unclear(error: &HelperError) -> bool {
    matches!(error, HelperError::Issuer(error) if error.class == ErrorClass::Malformed && error.status.is_some())
}

/// What is worth keeping after a revocation that failed.
enum KeepAfterFailure {
    /// It may work later, and needs the record for that.
    Record,
    /// It will not.
    Nothing,
}

/// Without the issuer, and without anything that opens the record: what stays there is named.
fn here_alone(store: &Store, name: &str, cover: Option<&Cover>, opened: Option<&Opened>) -> Vec<ForgetStep> {
    let issuer = cover.map_or("its issuer", |cover| &cover.issuer);
    let until = opened.and_then(|opened| opened.record.refresh_token_expires_at);
    let until = until.map(|end| format!(" It ends by itself at {}.", utc(end))).unwrap_or_default();
    let mut steps =
        vec![behind(ForgetAction::Revoke, format!("{issuer} was not asked; revoke it on its pages.{until}"))];
    let client = cover.map(|cover| format!(" ({})", printable(&cover.client_id))).unwrap_or_default();
    let managed = opened.is_none_or(|opened| opened.record.client.registration_client_uri.is_some());
    if managed {
        let error = format!("{issuer} was not asked; delete the client{client} on its pages");
        steps.push(behind(ForgetAction::Deregister, error));
    }
    steps.push(remove(store, name));
    steps
}

fn behind(step: ForgetAction, error: String) -> ForgetStep {
    ForgetStep { step, error: Some(error), was_gone: false }
}

fn done(step: ForgetAction) -> ForgetStep {
    ForgetStep { step, error: None, was_gone: false }
}

fn gone(step: ForgetAction) -> ForgetStep {
    ForgetStep { step, error: None, was_gone: true }
}

fn remove(store: &Store, name: &str) -> ForgetStep {
    match store.remove(name) {
        Ok(()) => done(ForgetAction::Remove),
        Err(error) => behind(ForgetAction::Remove, error.to_string()),
    }
}
