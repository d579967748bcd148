//! Ends an account: at the issuer first, while there is still something to end it with. Touches store, cache and
//! one helper.

use data_encoding::HEXLOWER;

use super::Mint;
use super::policy::Policy;
use crate::account;
use crate::agent::failure::Against;
use crate::agent::token_file::Others;
use crate::helper::HelperError;
use crate::issuer::wire::{ErrorClass, Request};
use crate::log::Level;
use crate::protocol::{Failure, FailureKind, ForgetAction, ForgetStep, Forgotten};
use crate::store::{Opened, Record, Store, StoreError};

impl Mint {
    /// Revokes, deregisters, removes, and says what of it could not be done.
    pub(super) fn forget(&mut self, name: &str) -> Result<Forgotten, Failure> {
        account::validate(name).map_err(|error| Failure {
            error: error.to_string(),
            info: Some("'iam-session status' lists the accounts".into()),
            kind: FailureKind::Usage,
        })?;
        let policy = Policy::load(&self.message)?;
        let no_account = || StoreError::NoAccount { account: name.to_owned() };
        let store = self.store(&policy)?.ok_or_else(no_account)?;
        let locks = self.lock(&store, &self.patience())?;
        let steps = self.forget_under_lock(&store, name);
        let book = self.look_with(&policy);
        let published = self.publish_book(&book);
        self.align_file(&book, Others::Leave);
        self.release(locks);
        let steps = steps?;
        published.map(|()| Forgotten { account: name.to_owned(), steps })
    }

    fn forget_under_lock(&mut self, store: &Store, name: &str) -> Result<Vec<ForgetStep>, Failure> {
        let steps = match self.open(store, name) {
            Ok(opened) => {
                // Of two refresh tokens it is the newer one that the issuer knows.
                let (opened, _) = self.recover(store, name, opened);
                self.end(store, name, &opened)
            }
            Err(error @ (StoreError::NoAccount { .. } | StoreError::HostLocked)) => return Err(error.into()),
            // Nothing opens it here. Removing it is what the user asked for; the rest cannot be done.
            Err(error) => vec![
                ForgetStep { step: ForgetAction::Revoke, error: Some(error.to_string()) },
                remove(store, name),
            ],
        };
        if steps.iter().any(|step| step.step == ForgetAction::Remove && step.error.is_none()) {
            self.unsaved.remove(name);
            self.log.event(Level::Info, "forgotten", &[("account", name)]);
        }
        Ok(steps)
    }

    fn end(&mut self, store: &Store, name: &str, opened: &Opened) -> Vec<ForgetStep> {
        let revoked = self.revoke(&opened.record);
        if let Err((Keep::Record, error)) = revoked {
            let kept = "it is kept so that its refresh token can still be revoked; try again later";
            return vec![
                ForgetStep { step: ForgetAction::Revoke, error: Some(error) },
                ForgetStep { step: ForgetAction::Remove, error: Some(kept.to_owned()) },
            ];
        }
        let error = revoked.err().map(|(_, error)| error);
        let mut steps = vec![ForgetStep { step: ForgetAction::Revoke, error }];
        if let Some(request) = deregistration(&opened.record) {
            let error = ended(self.ask(&request)).err().map(|error| error.to_string());
            steps.push(ForgetStep { step: ForgetAction::Deregister, error });
        }
        steps.push(remove(store, name));
        let record_id = HEXLOWER.encode(&opened.id());
        self.forget_record(&record_id);
        steps
    }

    /// What is cached and noted of a record that is no more.
    pub(super) fn forget_record(&self, record_id: &str) {
        let setbacks = self.setbacks(record_id);
        self.note(setbacks.clear(Against::Record));
        self.note(setbacks.clear(Against::Session));
        self.note(self.runtime.cache.forget(record_id));
    }

    fn revoke(&mut self, record: &Record) -> Result<(), (Keep, String)> {
        let Some(request) = revocation(record) else {
            return Err((Keep::Nothing, format!("{} offers no revocation", record.issuer)));
        };
        ended(self.ask(&request)).map_err(|error| match error.is_passing() {
            true => (Keep::Record, error.to_string()),
            false => (Keep::Nothing, error.to_string()),
        })
    }
}

/// What is worth keeping after a revocation that failed.
enum Keep {
    /// It may work later, and needs the record for that.
    Record,
    /// It will not.
    Nothing,
}

/// Revocation of a record's refresh token, where the issuer has an endpoint for it.
pub(super) fn revocation(record: &Record) -> Option<Request> {
    Some(Request::Revoke {
        endpoint: record.endpoints.revocation.clone()?,
        client: record.client.duplicate(),
        refresh_token: record.refresh_token.duplicate(),
        transport: record.transport.clone(),
    })
}

/// Deletion of a record's client, where it is one that we registered and may manage.
pub(super) fn deregistration(record: &Record) -> Option<Request> {
    Some(Request::Deregister {
        registration_client_uri: record.client.registration_client_uri.clone()?,
        registration_access_token: record.client.registration_access_token.as_ref()?.duplicate(),
        transport: record.transport.clone(),
    })
}

/// What is gone already need not be ended.
fn ended<T>(answer: Result<T, HelperError>) -> Result<(), HelperError> {
    match answer {
        Err(HelperError::Issuer(error))
            if matches!(error.class, ErrorClass::CredentialDead | ErrorClass::ClientGone) =>
        {
            Ok(())
        }
        answer => answer.map(|_| ()),
    }
}

fn remove(store: &Store, name: &str) -> ForgetStep {
    let error = store.remove(name).err().map(|error| error.to_string());
    ForgetStep { step: ForgetAction::Remove, error }
}
