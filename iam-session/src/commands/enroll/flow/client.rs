//! The client of an enrolment: registered for it, or one that is there; and its end where the enrolment comes to
//! nothing. Touches helpers.

use std::path::Path;

use super::{Flow, Issuer, cancelled, failure};
use crate::commands::enroll::client::{Given, Origin};
use crate::commands::enroll::scopes::Grantor;
use crate::end_grant::Ended;
use crate::helper::{Helper, HelperError};
use crate::issuer::wire::{Answer, Client, ClientAuth, Endpoints, ErrorClass, IssuerError, Request};
use crate::outcome::{Stop, print_error, warn};
use crate::paths::HELPER;
use crate::protocol::{Failure, FailureKind};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// As many as ssh and sudo give.
const TRIES: u32 = 3;

/// Whose the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ownership {
    /// Registered for this enrolment.
    Ours,
    /// There before it, and after it.
    Others,
}

/// A client that can be used.
pub(super) struct Held {
    pub(super) client: Client,
    /// The scopes it may ask for, as far as is known.
    pub(super) scope: ScopeSet,
    ownership: Ownership,
    /// Revokes what the client was granted.
    revocation: Option<(String, Secret)>,
}

impl Held {
    /// Takes note of a refresh token that must not outlive a failure.
    pub(super) fn granted(&mut self, endpoints: &Endpoints, refresh_token: &Secret) {
        self.revocation = endpoints.revocation.clone().map(|endpoint| (endpoint, refresh_token.duplicate()));
    }

    /// What it may ask for, where the issuer has told us.
    pub(super) fn registered_scope(&self) -> Option<ScopeSet> {
        self.is_ours().then(|| self.scope.clone())
    }

    /// Whether it was registered for this enrolment.
    pub(super) fn is_ours(&self) -> bool {
        self.ownership == Ownership::Ours
    }

    /// Who has the say about its scopes.
    pub(super) fn grantor(&self) -> Grantor {
        match self.ownership {
            Ownership::Ours => Grantor::Policy,
            Ownership::Others => Grantor::PolicyOrClient,
        }
    }

    /// Who is just enrolling is not told to enrol.
    pub(super) fn not_enrolled(&self, stop: Stop) -> Stop {
        let Stop::Failure(failure) = stop else { return stop };
        if failure.kind != FailureKind::NotEnrolled {
            return Stop::Failure(failure);
        }
        let id = &self.client.client_id;
        let info = match self.ownership {
            Ownership::Ours => {
                format!("client '{id}' has only just been registered: ask the issuer's administrators")
            }
            Ownership::Others => format!("look at the id and the secret of client '{id}', or ask its owner"),
        };
        Stop::Failure(Failure { info: Some(info), kind: FailureKind::Refused, ..failure })
    }

    /// What of a client that we did not register cannot be known beforehand.
    pub(super) fn explain(&self, stop: Stop) -> Stop {
        let Stop::Failure(failure) = stop else { return stop };
        if self.ownership == Ownership::Ours || failure.kind != FailureKind::Refused {
            return Stop::Failure(failure);
        }
        let id = &self.client.client_id;
        let info =
            format!("client '{id}' may lack a scope or the device flow: ask for fewer with -s, or its owner");
        Stop::Failure(Failure { info: Some(info), ..failure })
    }
}

/// Why there is no new client.
enum Refusal {
    /// The issuer wants to see a token first, or another one.
    Closed(IssuerError),
    Stop(Stop),
}

impl Flow<'_> {
    /// The client of this enrolment.
    pub(super) fn client(&mut self, issuer: &Issuer, wanted: &ScopeSet) -> Result<Held, Stop> {
        match &self.plan.origin {
            Origin::Given(given) => Ok(held(given, issuer, wanted)),
            Origin::Registered { initial_access_token } => {
                let token = initial_access_token.as_ref().map(Secret::duplicate);
                self.register(issuer, wanted, token)
            }
        }
    }

    /// Registers one. Whoever is there is asked for a token where the issuer wants to see one.
    fn register(
        &mut self,
        issuer: &Issuer,
        wanted: &ScopeSet,
        mut token: Option<Secret>,
    ) -> Result<Held, Stop> {
        self.plan.provider.registers()?;
        let endpoint =
            issuer.endpoints.registration.clone().ok_or_else(|| no_registration(&issuer.issuer))?;
        for _ in 1..TRIES {
            let was_given = token.is_some();
            match self.register_once(&endpoint, issuer, wanted, token.take()) {
                Ok(held) => return Ok(held),
                Err(Refusal::Stop(stop)) => return Err(stop),
                Err(Refusal::Closed(error)) => token = Some(self.ask_for_token(error, was_given)?),
            }
        }
        self.register_once(&endpoint, issuer, wanted, token).map_err(|refusal| match refusal {
            Refusal::Closed(error) => closed(error, true),
            Refusal::Stop(stop) => stop,
        })
    }

    fn ask_for_token(&mut self, error: IssuerError, was_given: bool) -> Result<Secret, Stop> {
        // 400, 404 and 405: there is nothing that a token could open.
        let opens = matches!(error.status, Some(401 | 403));
        let Some(person) = self.person.as_ref().filter(|_| opens) else {
            return Err(closed(error, was_given));
        };
        print_error(&format!(
            "{error}.\nWith a client of your own you need no registration: Ctrl-C, and name it with --client-id.\n\
             Or its administrators, or its pages, give initial access tokens."
        ));
        let token = person.ask_in_secret("Initial access token (not shown; Enter for none): ")?;
        if token.is_empty() { Err(closed(error, was_given)) } else { Ok(token) }
    }

    fn register_once(
        &mut self,
        endpoint: &str,
        issuer: &Issuer,
        wanted: &ScopeSet,
        initial_access_token: Option<Secret>,
    ) -> Result<Held, Refusal> {
        let request = Request::Register {
            endpoint: endpoint.to_owned(),
            client_name: self.plan.client_name.clone(),
            scope: wanted.clone(),
            auth: preferred(&issuer.methods),
            initial_access_token,
            transport: self.plan.provider.transport.clone(),
        };
        match self.ask_to_the_end(&request)? {
            Answer::Registered { client, scope } => {
                Ok(Held { client, scope, ownership: Ownership::Ours, revocation: None })
            }
            _ => Err(Refusal::Stop(HelperError::Garbage.into())),
        }
    }

    /// A request whose answer is needed to undo it: the first Ctrl-C waits for it.
    fn ask_to_the_end(&mut self, request: &Request) -> Result<Answer, Refusal> {
        match self.helper.ask(request, Some(self.signals.descriptor())) {
            Ok(answer) => return Ok(answer),
            Err(HelperError::Issuer(error)) if error.class == ErrorClass::RegistrationClosed => {
                return Err(Refusal::Closed(error));
            }
            Err(HelperError::Interrupted) => {}
            Err(error) => return Err(Refusal::Stop(error.into())),
        }
        let _ = self.signals.came();
        print_error("Waiting for the issuer's answer, to leave nothing behind; Ctrl-C again gives that up.");
        if let Ok(Answer::Registered { client, .. }) = self.helper.receive(Some(self.signals.descriptor())) {
            self.deregister(client);
        }
        Err(Refusal::Stop(cancelled().into()))
    }

    /// Leaves nothing behind that nobody keeps: our client, or what another one was granted.
    pub(super) fn undo(&mut self, held: Held) {
        // Whoever is impatient may press Ctrl-C once more, and lives with what is left.
        let _ = self.signals.came();
        match (held.ownership, held.revocation) {
            (Ownership::Ours, _) => self.deregister(held.client),
            (Ownership::Others, Some((endpoint, refresh_token))) => {
                let transport = self.plan.provider.transport.clone();
                let request = Request::Revoke { endpoint, client: held.client, refresh_token, transport };
                if let Err(error) = self.ask_another_helper(&request) {
                    warn(&format!("what was granted stays good at {}: {error}", self.plan.provider.issuer));
                }
            }
            (Ownership::Others, None) => {}
        }
    }

    fn deregister(&mut self, client: Client) {
        let name = &self.plan.client_name;
        let managed = client.registration_client_uri.zip(client.registration_access_token);
        let Some((registration_client_uri, registration_access_token)) = managed else {
            return warn(&format!("client '{name}' stays registered at {}", self.plan.provider.issuer));
        };
        let transport = self.plan.provider.transport.clone();
        let request = Request::Deregister { registration_client_uri, registration_access_token, transport };
        if let Ended::Refused(error) | Ended::NotYet(error) = Ended::by(self.ask_another_helper(&request)) {
            warn(&format!("client '{name}' stays registered at {}: {error}", self.plan.provider.issuer));
        }
    }

    /// Best effort, through a helper of its own: the other one may still be busy with what was interrupted.
    fn ask_another_helper(&self, request: &Request) -> Result<Answer, HelperError> {
        Helper::start(Path::new(HELPER))?.ask(request, Some(self.signals.descriptor()))
    }
}

/// The issuer registers no client: not at all, or not for the token that was given.
fn closed(error: IssuerError, token_was_given: bool) -> Stop {
    let failure = Failure::from(HelperError::Issuer(error));
    let with_token = "the initial access token did not help: name a client with --client-id, or ask the issuer's \
                      administrators";
    let info = if token_was_given { Some(with_token.to_owned()) } else { failure.info };
    Stop::Failure(Failure { info, ..failure })
}

fn held(given: &Given, issuer: &Issuer, wanted: &ScopeSet) -> Held {
    let client = given.client(&issuer.methods);
    Held { client, scope: wanted.clone(), ownership: Ownership::Others, revocation: None }
}

/// RFC 6749 §2.3.1 wants every server to take Basic; the others are for those that say they do not.
fn preferred(methods: &[ClientAuth]) -> ClientAuth {
    let known = [ClientAuth::Basic, ClientAuth::Post, ClientAuth::Public];
    known.into_iter().find(|method| methods.contains(method)).unwrap_or_default()
}

fn no_registration(issuer: &str) -> Stop {
    let hint = "register one on its pages and name it with --client-id, or ask the site for a client of its own \
                ('client_id' in the provider's file)";
    failure(format!("{issuer} registers no clients by itself"), Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_did_not_help_is_not_asked_for_again() {
        let info = |was_given| {
            let error = IssuerError {
                class: ErrorClass::RegistrationClosed,
                message: "m".into(),
                status: Some(403),
                retry_after: None,
            };
            let Stop::Failure(failure) = closed(error, was_given) else { panic!() };
            failure.info.unwrap()
        };
        let (before, after) = (info(false), info(true));
        assert!(before.find("--client-id") < before.find("--initial-access-token-file"), "{before}");
        assert!(after.contains("--client-id") && !after.contains("--initial-access-token-file"), "{after}");
    }

    #[test]
    fn who_is_enrolling_is_not_told_to_enrol() {
        for ownership in [Ownership::Ours, Ownership::Others] {
            let client = Client {
                client_id: "id-1".into(),
                client_secret: None,
                auth: ClientAuth::Public,
                registration_client_uri: None,
                registration_access_token: None,
            };
            let held = Held { client, scope: ScopeSet::default(), ownership, revocation: None };
            let error = IssuerError {
                class: ErrorClass::ClientGone,
                message: "m".into(),
                status: Some(401),
                retry_after: None,
            };
            let Stop::Failure(failure) = held.not_enrolled(HelperError::Issuer(error).into()) else {
                panic!()
            };
            let info = failure.info.unwrap();
            assert!(info.contains("'id-1'") && !info.contains("enrol"), "{info}");
            assert_eq!(failure.kind, FailureKind::Refused);
        }
    }

    #[test]
    fn basic_is_preferred_and_the_default() {
        use ClientAuth::{Basic, Post, Public};
        assert_eq!(preferred(&[]), Basic);
        assert_eq!(preferred(&[Public, Post, Basic]), Basic);
        assert_eq!(preferred(&[Public, Post]), Post);
        assert_eq!(preferred(&[Public]), Public);
    }
}
