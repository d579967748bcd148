//! An enrolment by device flow, one short job a step. Touches the store and one helper.
//!
//! Nothing is remembered from one step to the next, and no lock is held while the user thinks. Later steps find what they
//! need in the ticket and, where a client was registered for the enrolment, in the store.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Mint;
use super::accounts::usage;
use super::client::{GrantableScope, SEALED_OTHERWISE, allowed, go_to_the_same};
use super::policy::Policy;
use super::verify_subject::NewGrant;
use crate::account;
use crate::clock::boot_time;
use crate::config::{Provider, same_issuer};
use crate::end_grant::deregistration;
use crate::helper::{HelperError, no_device_flow};
use crate::issuer::wire::{
    ClientAuth, DeviceCode, ErrorClass, HelperAnswer, IssuerError, Operation, TokenAnswer, Transport,
};
use crate::protocol::{
    Beginning, Begun, Code, Enrolled, Failure, FailureKind, Import, NO_OFFLINE_ACCESS, Polled,
};
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_option_to, expose_to};
use crate::store::{Record, Store, StoreError, ticket};

/// A ticket is good for no longer, however long the issuer's code lives.
const TICKET_LIFE: Duration = Duration::from_secs(30 * 60);

/// What a poll must know.
#[derive(Serialize, Deserialize)]
struct Ticket {
    flow: String,
    account: String,
    client: ClientSource,
    /// All of a client that is kept here; of another one its issuer, its id, and where it goes.
    record: Option<Record>,
    /// What was asked for.
    scope: ScopeSet,
    #[serde(serialize_with = "expose_to")]
    device_code: Secret,
    #[serde(serialize_with = "expose_option_to")]
    code_verifier: Option<Secret>,
    /// On CLOCK_BOOTTIME.
    until: Duration,
}

/// Where the client of a flow is kept meanwhile.
#[derive(Serialize, Deserialize)]
enum ClientSource {
    /// It was registered for this flow, and is sealed in the store.
    Pending,
    /// In the record of this account.
    Account(String),
    /// In the ticket: it was registered elsewhere, and is not ours to delete.
    Ticket,
}

/// An issuer as it says of itself.
struct Discovered {
    /// Without a client.
    record: Record,
    offered: ScopeSet,
    methods: Vec<ClientAuth>,
}

/// What was asked for with which client.
struct Asked {
    record: Record,
    scope: ScopeSet,
    device: DeviceCode,
}

impl Mint {
    /// Has the issuer begin a device flow, with a client that is registered first where there is none to use.
    pub(crate) fn begin(&mut self, beginning: &Beginning) -> Result<Begun, Failure> {
        let policy = Policy::load(&self.message)?;
        let provider = policy.provider(&self.message, &beginning.target)?;
        let Some(wanted) = &beginning.scope else {
            let Discovered { record, offered, .. } = self.discover(&provider.issuer, &provider.transport)?;
            return Ok(Begun::Offered { issuer: record.issuer, scope: offered });
        };
        let name = &beginning.target.account;
        account::validate(name).map_err(|error| usage(error.to_string(), "choose another name"))?;
        self.message.keys.sealing().ok_or(StoreError::NoSealingKey)?;
        let store = self.store_to_write(&policy)?;
        // Before a code is shown: what nobody could keep, or could be told to be theirs, needs no approval.
        self.can_be_locked(&store)?;
        self.can_be_verified(&policy, &provider.issuer)?;
        self.former(&store, &policy, name, &provider.issuer)?;
        let mut unusable = None;
        if let Some(account) = &beginning.client_of {
            match self.begin_with_client_of(&policy, &store, account, &provider, wanted)? {
                Ok(asked) => {
                    return self.code(beginning, ClientSource::Account(account.clone()), asked, None);
                }
                Err(error) => unusable = Some(error),
            }
        }
        let Discovered { mut record, methods, .. } = self.discover(&provider.issuer, &provider.transport)?;
        record.audience_mode = provider.audience_mode;
        record.endpoints = provider.completed(record.endpoints);
        // Before anything is registered: without it the client would be of no use.
        let endpoint = record.endpoints.device_authorization.clone();
        let endpoint = endpoint.ok_or_else(|| no_device_flow(&record.issuer))?;
        if let Some(named) = &beginning.client {
            record.client = named.client(&methods);
            let device =
                self.authorize(endpoint, &record, wanted).map_err(|error| of_others(error, &record))?;
            let asked = Asked { record, scope: wanted.clone(), device };
            return self.code(beginning, ClientSource::Ticket, asked, unusable);
        }
        provider.registers()?;
        let record = match self.register(&policy, &store, beginning, record, &methods)? {
            Ok(record) => record,
            Err(error) => return Ok(Begun::RegistrationClosed { error }),
        };
        let scope = fitting(&record, wanted);
        if wanted.allows("offline_access") && !scope.allows("offline_access") {
            return Err(no_refresh_token(&record.issuer));
        }
        let device = self.authorize(endpoint, &record, &scope).map_err(|error| of_ours(error, &record))?;
        self.code(beginning, ClientSource::Pending, Asked { record, scope, device }, unusable)
    }

    fn code(
        &self,
        beginning: &Beginning,
        client: ClientSource,
        asked: Asked,
        unusable: Option<String>,
    ) -> Result<Begun, Failure> {
        let Asked { record, scope, device } = asked;
        let is_new = matches!(client, ClientSource::Pending);
        let (client_id, client_name) = (record.client.client_id.clone(), record.client_name.clone());
        let ticket = Ticket {
            flow: beginning.flow.clone(),
            account: beginning.target.account.clone(),
            record: Some(if matches!(client, ClientSource::Ticket) { record } else { outline(record) }),
            client,
            scope: scope.clone(),
            device_code: device.device_code,
            code_verifier: device.code_verifier,
            until: boot_time() + Duration::from_secs(device.shown.expires_in).min(TICKET_LIFE),
        };
        Ok(Begun::Code(Code {
            ticket: self.seal_ticket(&ticket)?,
            shown: device.shown,
            scope,
            client_id,
            client_name,
            is_new,
            unusable,
        }))
    }

    /// With the client of an account; or why that cannot be used.
    fn begin_with_client_of(
        &mut self,
        policy: &Policy,
        store: &Store,
        account: &str,
        provider: &Provider,
        wanted: &ScopeSet,
    ) -> Result<Result<Asked, String>, Failure> {
        account::validate(account).map_err(|error| usage(error.to_string(), "choose another name"))?;
        let opened = self.open(store, account)?;
        allowed(policy, &opened.record)?;
        if !same_issuer(&opened.record.issuer, &provider.issuer) {
            return Ok(Err(format!("account '{account}' is one of {}", opened.record.issuer)));
        }
        if !self.may_share_client(&opened) {
            return Ok(Err(format!("it {SEALED_OTHERWISE}")));
        }
        let (record, scope) = match self.fit(store, account, opened.record, wanted)? {
            GrantableScope::Scope(record, scope) => (*record, scope),
            GrantableScope::Not(error) => return Ok(Err(error)),
        };
        if wanted.allows("offline_access") && !scope.allows("offline_access") {
            return Ok(Err(format!("{} does not let it ask for 'offline_access'", record.issuer)));
        }
        // As pinned; of an issuer that had none when it was pinned, as it says now.
        let endpoint = match &record.endpoints.device_authorization {
            Some(endpoint) => Some(endpoint.clone()),
            None => {
                let discovered = self.discover(&record.issuer, &record.transport)?;
                provider.completed(discovered.record.endpoints).device_authorization
            }
        };
        let endpoint = endpoint.ok_or_else(|| no_device_flow(&record.issuer))?;
        match self.authorize(endpoint, &record, &scope) {
            Ok(device) => Ok(Ok(Asked { record, scope, device })),
            Err(HelperError::Issuer(error)) if error.class == ErrorClass::ClientGone => {
                Ok(Err(error.message))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn discover(&mut self, issuer: &str, transport: &Transport) -> Result<Discovered, Failure> {
        let request = Operation::Discover { issuer: issuer.to_owned() }.over(transport);
        match self.ask(&request)? {
            // What is configured is found by the spelling: by another one the site's issuer would be reached as a user says.
            HelperAnswer::Discovered { issuer: own, .. } if !same_issuer(&own, issuer) => {
                Err(usage(format!("{issuer} calls itself {own}"), "name it so"))
            }
            HelperAnswer::Discovered { issuer, endpoints, scopes_supported, auth_methods, .. } => {
                Ok(Discovered {
                    record: Record::without_client(issuer, endpoints, transport.clone()),
                    offered: scopes_supported,
                    methods: auth_methods,
                })
            }
            _ => Err(HelperError::Garbage.into()),
        }
    }

    /// A client of its own for this flow, sealed before anything else happens; or what the issuer says where it wants to
    /// see a token first, or another one.
    fn register(
        &mut self,
        policy: &Policy,
        store: &Store,
        beginning: &Beginning,
        mut record: Record,
        methods: &[ClientAuth],
    ) -> Result<Result<Record, IssuerError>, Failure> {
        let endpoint =
            record.endpoints.registration.clone().ok_or_else(|| no_registration(&record.issuer))?;
        let pending = self.room_for_pending(store, &beginning.flow)?;
        let client_name = policy.client_name(&self.message.user);
        let request = Operation::Register {
            endpoint,
            client_name: client_name.clone(),
            scope: beginning.scope.clone().unwrap_or_default(),
            auth: preferred(methods),
            initial_access_token: beginning.initial_access_token.as_ref().map(Secret::duplicate),
        }
        .over(&record.transport);
        match self.ask(&request) {
            Ok(HelperAnswer::Registered { client, scope }) => {
                record.client = client;
                (record.registered_scope, record.client_name) = (Some(scope), Some(client_name));
                self.keep_pending(store, &pending, record).map(Ok)
            }
            Ok(_) => Err(HelperError::Garbage.into()),
            Err(HelperError::Issuer(error)) if error.class == ErrorClass::RegistrationClosed => {
                Ok(Err(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn authorize(
        &mut self,
        endpoint: String,
        record: &Record,
        scope: &ScopeSet,
    ) -> Result<DeviceCode, HelperError> {
        let request = Operation::AuthorizeDevice {
            endpoint,
            client: record.client.duplicate(),
            scope: scope.clone(),
            takes_verifier: true,
        }
        .over(&record.transport);
        match self.ask(&request)? {
            HelperAnswer::DeviceAuthorization(code) => Ok(code),
            _ => Err(HelperError::Garbage),
        }
    }

    /// Asks once what the user decided, and seals what was granted.
    pub(crate) fn poll(&mut self, ticket: &str) -> Result<Polled, Failure> {
        let mut ticket = self.open_ticket(ticket)?;
        if boot_time() >= ticket.until {
            let message = "the code has ended".to_owned();
            let class = ErrorClass::ExpiredToken;
            let error = IssuerError { class, message, status: None, retry_after: None };
            return Ok(Polled::NoToken { error });
        }
        let policy = Policy::load(&self.message)?;
        let store = self.store_to_write(&policy)?;
        let mut record = self.client_of(&policy, &store, &mut ticket)?;
        self.former(&store, &policy, &ticket.account, &record.issuer)?;
        self.may_ask()?;
        let request = Operation::PollDevice {
            endpoint: record.endpoints.token.clone(),
            client: record.client.duplicate(),
            device_code: ticket.device_code.duplicate(),
            code_verifier: ticket.code_verifier.as_ref().map(Secret::duplicate),
            audience: String::new(),
            audience_mode: record.audience_mode,
        }
        .over(&record.transport);
        match self.ask(&request) {
            Ok(HelperAnswer::Token(token)) => {
                self.granted(&store, &policy, ticket, record, token).map(Polled::Enrolled)
            }
            Ok(HelperAnswer::Unusable { refresh_token, error, .. }) => {
                // The code is used up, and nobody else has what came for it.
                record.refresh_token = refresh_token;
                let unkept = self.end_of_unkept(&store, &policy, &record);
                self.endings.extend(unkept);
                Err(HelperError::Issuer(error).into())
            }
            Ok(_) => Err(HelperError::Garbage.into()),
            Err(HelperError::Issuer(error))
                if matches!(error.class, ErrorClass::ClientGone | ErrorClass::CredentialDead) =>
            {
                Err(match ticket.client {
                    ClientSource::Pending => of_ours(error.into(), &record),
                    ClientSource::Ticket => of_others(error.into(), &record),
                    // The next time it is found out before a code is shown, and a new client is registered.
                    ClientSource::Account(_) => {
                        Failure::from(HelperError::Issuer(error)).advise("run the same command again")
                    }
                })
            }
            Err(HelperError::Issuer(error)) => Ok(Polled::NoToken { error }),
            Err(error) => Err(error.into()),
        }
    }

    /// What is known of the client that a ticket is for. Whoever may write in the store can put another file there while
    /// the user is asked. So it must be sealed as this mint has sealed it, and the device code must go where it came from.
    fn client_of(&self, policy: &Policy, store: &Store, ticket: &mut Ticket) -> Result<Record, Failure> {
        let begun = ticket.record.take().ok_or_else(ended)?;
        let opened = match &ticket.client {
            ClientSource::Ticket => return Ok(begun),
            ClientSource::Pending => {
                let pending = store.pending_of(&ticket.flow)?.ok_or_else(ended)?;
                self.open_pending(store, &pending)?.ok_or_else(ended)?
            }
            ClientSource::Account(account) => {
                let opened = self.open(store, account)?;
                allowed(policy, &opened.record)?;
                opened
            }
        };
        if !self.may_share_client(&opened) {
            return Err(Failure::refused(format!("the client of this enrolment {SEALED_OTHERWISE}")));
        }
        if go_to_the_same(&opened.record, &begun) { Ok(opened.record) } else { Err(ended()) }
    }

    fn granted(
        &mut self,
        store: &Store,
        policy: &Policy,
        ticket: Ticket,
        mut record: Record,
        token: TokenAnswer,
    ) -> Result<Enrolled, Failure> {
        record.refresh_token = token.refresh_token.ok_or_else(|| no_refresh_token(&record.issuer))?;
        record.refresh_token_expires_at = token.refresh_token_expires_at;
        record.states_scope = token.scope.is_some();
        // An absent scope means "as asked" (RFC 6749 §5.1). IAM also leaves it out when its policy took everything away;
        // but then there is no refresh token either.
        record.scope = match token.scope {
            Some(granted) => policy.scope_sets(&record.issuer).with_words(&ticket.scope, &granted),
            None => ticket.scope,
        };
        record.subject = token.subject;
        let name = ticket.account;
        let is_pending = matches!(ticket.client, ClientSource::Pending);
        let ends_with_client = is_pending && deregistration(&record.client, &record.transport).is_some();
        let unwanted = if ends_with_client { None } else { self.end_of_unkept(store, policy, &record) };
        let obtained = NewGrant { account: name.clone(), record, imported: false };
        let before = record_file(store, &name);
        let client_of = match &ticket.client {
            ClientSource::Account(account) => Some(&**account),
            ClientSource::Pending | ClientSource::Ticket => None,
        };
        let enrolled = self.enroll(obtained, client_of).inspect_err(|_| {
            // What is, or may be, in the store must live.
            if before.is_some() && record_file(store, &name) == before {
                self.endings.extend(unwanted);
            }
        })?;
        // One that stays is seen to belong to an account when it is to be ended.
        if is_pending && let Ok(Some(pending)) = store.pending_of(&ticket.flow) {
            let _ = store.remove_named(pending.name());
        }
        Ok(enrolled)
    }

    /// Seals a refresh token that was obtained elsewhere.
    pub(crate) fn import(&mut self, import: Import) -> Result<Enrolled, Failure> {
        let policy = Policy::load(&self.message)?;
        let provider = policy.provider(&self.message, &import.target)?;
        let Discovered { mut record, methods, .. } = self.discover(&provider.issuer, &provider.transport)?;
        record.audience_mode = provider.audience_mode;
        record.client = import.client.client(&methods);
        (record.refresh_token, record.scope) = (import.refresh_token, import.scope);
        self.enroll(NewGrant { account: import.target.account, record, imported: true }, None)
    }

    fn seal_ticket(&self, ticket: &Ticket) -> Result<String, Failure> {
        let key = self.message.keys.sealing().ok_or(StoreError::NoSealingKey)?;
        let text = serde_json::to_vec(ticket).map(Zeroizing::new).ok();
        let sealed = text.and_then(|text| ticket::seal(&text, key, &self.ticket_bound()));
        Ok(sealed.ok_or(StoreError::NoSealingKey)?)
    }

    fn open_ticket(&self, text: &str) -> Result<Ticket, Failure> {
        let ticket = ticket::open(text, &self.message.keys, &self.ticket_bound());
        ticket.and_then(|ticket| serde_json::from_slice(&ticket).ok()).ok_or_else(|| {
            Failure::refused("this agent has not begun that enrolment, or has another key by now")
                .advise("run the command again")
        })
    }

    /// It is of no use to another user, nor after the next boot: its time is counted from this one.
    fn ticket_bound(&self) -> Vec<u8> {
        [&self.message.uid.to_be_bytes()[..], self.runtime.cache.boot_id().as_bytes()].concat()
    }
}

/// What a ticket has of a client that is in the store.
fn outline(record: Record) -> Record {
    let mut outline = Record::without_client(record.issuer, record.endpoints, record.transport);
    outline.client.client_id = record.client.client_id;
    outline
}

/// An account's record as it lies there, and no bytes where there is none: a host that is locked has it, too. `None` where
/// that cannot be said.
fn record_file(store: &Store, name: &str) -> Option<Vec<u8>> {
    match store.read_record(name) {
        Ok(record) => Some(record),
        Err(StoreError::NoAccount { .. }) => Some(Vec::new()),
        Err(_) => None,
    }
}

/// What the client may ask for: an issuer answers `invalid_scope` to anything that it did not register.
fn fitting(record: &Record, wanted: &ScopeSet) -> ScopeSet {
    let registered = record.registered_scope.as_ref();
    wanted.iter().filter(|scope| registered.is_none_or(|registered| registered.allows(scope))).collect()
}

/// RFC 6749 §2.3.1 wants every server to take Basic; the others are for those that say they do not.
fn preferred(methods: &[ClientAuth]) -> ClientAuth {
    let known = [ClientAuth::Basic, ClientAuth::Post, ClientAuth::Public];
    known.into_iter().find(|method| methods.contains(method)).unwrap_or_default()
}

/// A failure with a client that was registered for this. Who is just enrolling is not told to enrol.
fn of_ours(error: HelperError, record: &Record) -> Failure {
    let id = &record.client.client_id;
    let hint = format!("client '{id}' has only just been registered: ask the issuer's administrators");
    advised(error, FailureKind::NotEnrolled, hint)
}

/// A failure with a client that was there before: what of it cannot be known beforehand.
fn of_others(error: HelperError, record: &Record) -> Failure {
    let id = &record.client.client_id;
    let lacks =
        format!("client '{id}' may lack a scope or the device flow: ask for fewer with -s, or its owner");
    let wrong = format!("look at the id and the secret of client '{id}', or ask its owner");
    let failure = advised(error, FailureKind::Refused, lacks);
    advised(failure, FailureKind::NotEnrolled, wrong)
}

fn advised(failure: impl Into<Failure>, kind: FailureKind, hint: String) -> Failure {
    let failure = failure.into();
    if failure.kind == kind { Failure::refused(failure.error).advise(hint) } else { failure }
}

fn ended() -> Failure {
    Failure::failed("this enrolment has been ended meanwhile").advise("run the command again")
}

fn no_registration(issuer: &str) -> Failure {
    Failure::failed(format!("{issuer} registers no clients by itself")).advise(
        "register one on its pages and name it with --client-id, or ask the site for a client of its own \
         ('client_id' in the provider's file)",
    )
}

fn no_refresh_token(issuer: &str) -> Failure {
    Failure::refused(format!("{issuer} gives no refresh token: scope 'offline_access' was not granted"))
        .advise(NO_OFFLINE_ACCESS)
}
