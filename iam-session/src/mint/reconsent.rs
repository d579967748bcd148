//! A new consent for a client that is there already: the device flow, one short job a step. Touches the store and one
//! helper.
//!
//! Nothing is remembered from one step to the next, and no lock is held while the user thinks.

use std::time::Duration;

use super::Mint;
use super::accounts::usage;
use super::client::{Fit, SEALED_OTHERWISE, allowed};
use super::enroll::{Origin, unwanted};
use super::policy::Policy;
use crate::account;
use crate::helper::{HelperError, no_device_flow};
use crate::issuer::wire::{Answer, ErrorClass, Request, TokenAnswer};
use crate::protocol::{
    Authorization, Authorized, DeviceCode, Enrollment, Failure, NO_OFFLINE_ACCESS, Poll, Polled,
};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::store::{Opened, Record, Store, StoreError};

impl Mint {
    /// Has the issuer begin a device flow with the client of an account.
    pub(crate) fn authorize(&mut self, asked: &Authorization) -> Result<Authorized, Failure> {
        let (store, opened) = self.granter(asked)?;
        self.message.keys.sealing().ok_or(StoreError::NoSealingKey)?;
        if !self.may_share_client(&opened) {
            return Ok(Authorized::NoClient { error: format!("it {SEALED_OTHERWISE}") });
        }
        let (record, scope) = match self.fit(&store, &asked.client_of, opened.record, &asked.scope)? {
            Fit::Scope(record, scope) => (record, scope),
            Fit::Not(error) => return Ok(Authorized::NoClient { error }),
        };
        if asked.scope.allows("offline_access") && !scope.allows("offline_access") {
            let error = format!("{} does not let it ask for 'offline_access'", record.issuer);
            return Ok(Authorized::NoClient { error });
        }
        let Some(endpoint) = self.device_endpoint(&record)? else {
            return Err(no_device_flow(&record.issuer));
        };
        let request = Request::AuthorizeDevice {
            endpoint,
            client: record.client.duplicate(),
            scope: scope.clone(),
            takes_verifier: true,
            transport: record.transport.clone(),
        };
        match self.ask(&request) {
            Ok(answer) => code(answer, scope, record.client_name),
            Err(HelperError::Issuer(error)) if error.class == ErrorClass::ClientGone => {
                Ok(Authorized::NoClient { error: error.message })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The record whose client is meant, if what is to come of it may take its place in the store.
    fn granter(&self, asked: &Authorization) -> Result<(Store, Opened), Failure> {
        for name in [&asked.account, &asked.client_of] {
            account::validate(name).map_err(|error| usage(error.to_string(), "choose another name"))?;
        }
        let policy = Policy::load(&self.message)?;
        let no_account = || StoreError::NoAccount { account: asked.client_of.clone() };
        let store = self.store(&policy)?.ok_or_else(no_account)?;
        let opened = self.open(&store, &asked.client_of)?;
        allowed(&policy, &opened.record)?;
        self.former(&store, &asked.account, &opened.record.issuer)?;
        Ok((store, opened))
    }

    /// As pinned; of an issuer that had none when it was pinned, as it says now.
    fn device_endpoint(&mut self, record: &Record) -> Result<Option<String>, Failure> {
        if record.endpoints.device_authorization.is_some() {
            return Ok(record.endpoints.device_authorization.clone());
        }
        let request =
            Request::Discover { issuer: record.issuer.clone(), transport: record.transport.clone() };
        match self.ask(&request)? {
            Answer::Discovered { endpoints, .. } => Ok(endpoints.device_authorization),
            _ => Err(HelperError::Garbage.into()),
        }
    }

    /// Asks once what the user decided; what was granted is sealed, until `by` on CLOCK_BOOTTIME.
    pub(crate) fn poll(&mut self, poll: Poll, by: Duration) -> Result<Polled, Failure> {
        let Poll { authorization: asked, device_code, code_verifier } = poll;
        let (_, opened) = self.granter(&asked)?;
        if !self.may_share_client(&opened) {
            let error = format!("account '{}' {SEALED_OTHERWISE}", asked.client_of);
            return Err(Failure::refused(error));
        }
        let record = opened.record;
        self.may_ask()?;
        let request = Request::PollDevice {
            endpoint: record.endpoints.token.clone(),
            client: record.client.duplicate(),
            device_code,
            code_verifier,
            audience: String::new(),
            audience_mode: record.audience_mode,
            transport: record.transport.clone(),
        };
        match self.ask(&request) {
            Ok(Answer::Token(token)) => self.granted(asked, record, token, by),
            Ok(_) => Err(HelperError::Garbage.into()),
            Err(HelperError::Issuer(error)) => match error.class {
                ErrorClass::AuthorizationPending => Ok(Polled::Pending {}),
                ErrorClass::SlowDown => Ok(Polled::SlowDown {}),
                ErrorClass::AccessDenied => Ok(Polled::Denied {}),
                ErrorClass::ExpiredToken => Ok(Polled::Expired {}),
                ErrorClass::Unreachable | ErrorClass::Busy | ErrorClass::Malformed => {
                    Ok(Polled::Unreachable { error: error.message, retry_after: error.retry_after })
                }
                _ => Err(HelperError::Issuer(error).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn granted(
        &mut self,
        asked: Authorization,
        record: Record,
        mut token: TokenAnswer,
        by: Duration,
    ) -> Result<Polled, Failure> {
        let issuer = record.issuer.clone();
        let refresh_token = token.refresh_token.take().ok_or_else(|| {
            Failure::refused(format!("{issuer} gives no refresh token: 'offline_access' was not granted"))
                .advise(NO_OFFLINE_ACCESS)
        })?;
        let (name, client_of) = (asked.account.clone(), asked.client_of.clone());
        let before = self.record_file(&name);
        let enrollment = enrollment(asked, record, token, refresh_token);
        let unwanted = unwanted(&enrollment);
        match self.enroll(enrollment, Origin::ClientOf(client_of), by) {
            Ok(enrolled) => Ok(Polled::Enrolled { enrolled, issuer }),
            Err(failure) => {
                // What is, or may be, in the store must live.
                if before.is_some() && self.record_file(&name) == before {
                    self.endings.extend(unwanted);
                }
                Err(failure)
            }
        }
    }

    /// An account's record as it lies there, and no bytes where there is none: a host that is locked has it, too.
    /// `None` where that cannot be said.
    fn record_file(&self, name: &str) -> Option<Vec<u8>> {
        let policy = Policy::load(&self.message).ok()?;
        let Some(store) = self.store(&policy).ok()? else { return Some(Vec::new()) };
        match store.read_record(name) {
            Ok(record) => Some(record),
            Err(StoreError::NoAccount { .. }) => Some(Vec::new()),
            Err(_) => None,
        }
    }
}

fn code(answer: Answer, scope: ScopeSet, client_name: Option<String>) -> Result<Authorized, Failure> {
    let Answer::DeviceAuthorization {
        device_code,
        user_code,
        verification_uri,
        verification_uri_complete,
        expires_in,
        interval,
        code_verifier,
    } = answer
    else {
        return Err(HelperError::Garbage.into());
    };
    Ok(Authorized::Code(DeviceCode {
        device_code,
        code_verifier,
        user_code,
        verification_uri,
        verification_uri_complete,
        expires_in,
        interval,
        scope,
        client_name,
    }))
}

/// As a first enrolment would have it: what the client is stays, what was granted is new.
fn enrollment(asked: Authorization, record: Record, token: TokenAnswer, refresh_token: Secret) -> Enrollment {
    Enrollment {
        account: asked.account,
        issuer: record.issuer,
        endpoints: record.endpoints,
        client: record.client,
        refresh_token,
        refresh_token_expires_at: token.refresh_token_expires_at,
        states_scope: token.scope.is_some(),
        // An absent scope means "as asked" (RFC 6749 §5.1).
        scope: token.scope.unwrap_or(asked.scope),
        subject: token.subject,
        audience_mode: record.audience_mode,
        transport: record.transport,
        registered_scope: record.registered_scope,
        imported: false,
        client_name: record.client_name,
    }
}
