//! The conversation with the issuer, and its tidy end whatever happens. Touches one helper and the signals.

pub(super) mod device;

use std::path::Path;

use nix::errno::Errno;

use self::device::Pace;
use super::plan::Plan;
use super::report::Report;
use super::scopes::{self, Shortfall};
use super::signals::Signals;
use crate::cli::{Stop, print_error, warn};
use crate::clock::boot_time;
use crate::helper::{Helper, HelperError};
use crate::issuer::wire::{Answer, Client, ClientAuth, Endpoints, Request, TokenAnswer};
use crate::paths::HELPER;
use crate::protocol::{Enrolled, Enrollment, Failure, FailureKind};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// What the user must be shown (RFC 8628 §3.2).
pub(super) struct Code {
    pub(super) device_code: Secret,
    pub(super) user_code: String,
    pub(super) verification_uri: String,
    pub(super) verification_uri_complete: Option<String>,
    pub(super) expires_in: u64,
    pub(super) interval: u64,
}

impl Code {
    /// The address that needs the least typing.
    pub(super) fn link(&self) -> &str {
        self.verification_uri_complete.as_deref().unwrap_or(&self.verification_uri)
    }
}

/// What came of it.
pub(super) struct Obtained {
    pub(super) issuer: String,
    pub(super) granted: ScopeSet,
    pub(super) shortfall: Shortfall,
    pub(super) enrolled: Enrolled,
}

/// The issuer as discovered.
struct Issuer {
    issuer: String,
    endpoints: Endpoints,
    offered: ScopeSet,
    auth: ClientAuth,
}

/// One enrolment under way.
pub(super) struct Flow<'a> {
    helper: Helper,
    signals: Signals,
    plan: &'a Plan,
    report: Report,
    /// The agent has been given the enrolment.
    handed_over: bool,
}

impl<'a> Flow<'a> {
    /// Takes the ending signals over: from here on they are answered, not obeyed.
    pub(super) fn new(helper: Helper, plan: &'a Plan, report: Report) -> Result<Self, Stop> {
        let signals = Signals::take_over()
            .map_err(|errno: Errno| failure(format!("cannot wait for signals: {}", errno.desc()), None))?;
        Ok(Self { helper, signals, plan, report, handed_over: false })
    }

    /// Obtains an enrolment and hands it to `keep`. A client that was registered for it and comes to nothing
    /// is deregistered.
    pub(super) fn run(
        &mut self,
        keep: impl FnOnce(Enrollment) -> Result<Enrolled, Stop>,
    ) -> Result<Obtained, Stop> {
        let issuer = self.discover()?;
        let wanted = self.plan.wish.wanted(&issuer.offered);
        let (client, registered) = self.register(&issuer, &wanted)?;
        let spare = client.duplicate();
        let obtained = self.obtain(issuer, client, &wanted, &registered, keep);
        match &obtained {
            Ok(_) => {}
            Err(stop) if self.handed_over && is_uncertain(stop) => warn_of_uncertainty(),
            Err(_) => self.deregister(spare),
        }
        obtained
    }

    fn obtain(
        &mut self,
        issuer: Issuer,
        client: Client,
        wanted: &ScopeSet,
        registered: &ScopeSet,
        keep: impl FnOnce(Enrollment) -> Result<Enrolled, Stop>,
    ) -> Result<Obtained, Stop> {
        let asked = scopes::ask(wanted, registered);
        if !asked.allows("offline_access") {
            return Err(no_refresh_token(&issuer.issuer));
        }
        let code = self.authorize(&issuer, &client, &asked)?;
        self.report.code(self.plan, &code)?;
        let token = self.poll(&issuer.endpoints.token, &client, &code)?;
        let refresh_token = token.refresh_token.ok_or_else(|| no_refresh_token(&issuer.issuer))?;
        // An absent scope means "as asked" (RFC 6749 §5.1). IAM also leaves it out when its policy took
        // everything away; but then there is no refresh token either.
        let states_scope = token.scope.is_some();
        let granted = token.scope.unwrap_or_else(|| asked.clone());
        self.handed_over = true;
        let enrolled = keep(Enrollment {
            account: self.plan.account.clone(),
            issuer: issuer.issuer.clone(),
            endpoints: issuer.endpoints,
            client,
            refresh_token,
            refresh_token_expires_at: token.refresh_token_expires_at,
            scope: granted.clone(),
            states_scope,
            subject: token.subject,
            audience_mode: self.plan.provider.audience_mode,
            transport: self.plan.provider.transport.clone(),
            registered_scope: Some(registered.clone()),
            client_name: Some(self.plan.client_name.clone()),
        })?;
        let shortfall = Shortfall::new(wanted, registered, &granted);
        Ok(Obtained { issuer: issuer.issuer, granted, shortfall, enrolled })
    }

    fn discover(&mut self) -> Result<Issuer, Stop> {
        let request = Request::Discover {
            issuer: self.plan.provider.issuer.clone(),
            transport: self.plan.provider.transport.clone(),
        };
        match self.ask(&request)? {
            Answer::Discovered { issuer, endpoints, scopes_supported, auth_methods } => {
                let auth = preferred(&auth_methods);
                Ok(Issuer { issuer, endpoints, offered: scopes_supported, auth })
            }
            _ => Err(HelperError::Garbage.into()),
        }
    }

    fn register(&mut self, issuer: &Issuer, wanted: &ScopeSet) -> Result<(Client, ScopeSet), Stop> {
        // Before anything is registered: without it the client would be of no use.
        if issuer.endpoints.device_authorization.is_none() {
            return Err(failure(format!("{} offers no device flow", issuer.issuer), None));
        }
        let endpoint = issuer.endpoints.registration.clone().ok_or_else(|| {
            let hint = "this issuer registers no clients by itself: ask its administrators";
            failure(format!("{} offers no client registration", issuer.issuer), Some(hint))
        })?;
        let request = Request::Register {
            endpoint,
            client_name: self.plan.client_name.clone(),
            scope: wanted.clone(),
            auth: issuer.auth,
            initial_access_token: None,
            transport: self.plan.provider.transport.clone(),
        };
        match self.ask_to_the_end(&request)? {
            Answer::Registered { client, scope } => Ok((client, scope)),
            _ => Err(HelperError::Garbage.into()),
        }
    }

    fn authorize(&mut self, issuer: &Issuer, client: &Client, scope: &ScopeSet) -> Result<Code, Stop> {
        let request = Request::AuthorizeDevice {
            endpoint: issuer.endpoints.device_authorization.clone().unwrap_or_default(),
            client: client.duplicate(),
            scope: scope.clone(),
            transport: self.plan.provider.transport.clone(),
        };
        match self.ask(&request)? {
            Answer::DeviceAuthorization {
                device_code,
                user_code,
                verification_uri,
                verification_uri_complete,
                expires_in,
                interval,
            } => Ok(Code {
                device_code,
                user_code,
                verification_uri,
                verification_uri_complete,
                expires_in,
                interval,
            }),
            _ => Err(HelperError::Garbage.into()),
        }
    }

    fn poll(&mut self, endpoint: &str, client: &Client, code: &Code) -> Result<TokenAnswer, Stop> {
        let mut pace = Pace::new(code.interval, code.expires_in, boot_time());
        loop {
            let pause = pace.next(boot_time()).map_err(Stop::from)?;
            self.signals.wait(pause).map_err(|_| cancelled())?;
            let request = Request::PollDevice {
                endpoint: endpoint.to_owned(),
                client: client.duplicate(),
                device_code: code.device_code.duplicate(),
                transport: self.plan.provider.transport.clone(),
            };
            match self.helper.ask(&request, Some(self.signals.descriptor())) {
                Ok(Answer::Token(token)) => return Ok(token),
                Ok(_) => return Err(HelperError::Garbage.into()),
                Err(HelperError::Interrupted) => return Err(cancelled()),
                Err(HelperError::Issuer(error)) => pace.answered(error)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Best effort, through a helper of its own: the other one may still be busy with what was interrupted.
    fn deregister(&mut self, client: Client) {
        // Whoever is impatient may press Ctrl-C once more, and lives with the client.
        let _ = self.signals.came();
        let name = &self.plan.client_name;
        let managed = client.registration_client_uri.zip(client.registration_access_token);
        let Some((registration_client_uri, registration_access_token)) = managed else {
            return warn(&format!("client '{name}' stays registered at {}", self.plan.provider.issuer));
        };
        let request = Request::Deregister {
            registration_client_uri,
            registration_access_token,
            transport: self.plan.provider.transport.clone(),
        };
        let helper = Helper::start(Path::new(HELPER));
        let done = helper.and_then(|mut helper| helper.ask(&request, Some(self.signals.descriptor())));
        if let Err(error) = done {
            warn(&format!("client '{name}' stays registered at {}: {error}", self.plan.provider.issuer));
        }
    }

    /// A request that Ctrl-C may cut short.
    fn ask(&mut self, request: &Request) -> Result<Answer, Stop> {
        match self.helper.ask(request, Some(self.signals.descriptor())) {
            Err(HelperError::Interrupted) => Err(cancelled()),
            answer => Ok(answer?),
        }
    }

    /// A request whose answer is needed to undo it: the first Ctrl-C waits for it.
    fn ask_to_the_end(&mut self, request: &Request) -> Result<Answer, Stop> {
        match self.helper.ask(request, Some(self.signals.descriptor())) {
            Err(HelperError::Interrupted) => {}
            answer => return Ok(answer?),
        }
        let _ = self.signals.came();
        print_error("Waiting for the issuer's answer, to leave nothing behind; Ctrl-C again gives that up.");
        match self.helper.receive(Some(self.signals.descriptor())) {
            Ok(Answer::Registered { client, .. }) => {
                self.deregister(client);
                Err(cancelled())
            }
            _ => Err(cancelled()),
        }
    }
}

/// RFC 6749 §2.3.1 wants every server to take Basic; the others are for those that say they do not.
fn preferred(methods: &[ClientAuth]) -> ClientAuth {
    let known = [ClientAuth::Basic, ClientAuth::Post, ClientAuth::Public];
    known.into_iter().find(|method| methods.contains(method)).unwrap_or_default()
}

pub(super) fn failure(error: String, hint: Option<&str>) -> Stop {
    Stop::Failure(Failure { error, info: hint.map(str::to_owned), kind: FailureKind::Failed })
}

pub(super) fn cancelled() -> Stop {
    failure("cancelled; nothing was stored".to_owned(), None)
}

/// Whether the agent may have kept the enrolment all the same: then its client must live. A failure that the agent
/// told has left nothing, but for the one that says that its time was up.
pub(super) fn is_uncertain(stop: &Stop) -> bool {
    let kind = if let Stop::Failure(failure) = stop { Some(failure.kind) } else { None };
    matches!(kind, Some(FailureKind::NoAgent | FailureKind::Unreachable))
}

pub(super) fn warn_of_uncertainty() {
    warn(
        "it is not known whether the enrolment was kept: 'iam-session status' tells; if it was not, enrol again",
    );
}

fn no_refresh_token(issuer: &str) -> Stop {
    Stop::Failure(Failure {
        error: format!("{issuer} gives no refresh token: scope 'offline_access' was not granted"),
        info: Some(
            "approve offline access on the consent page, or ask the issuer's administrators".to_owned(),
        ),
        kind: FailureKind::Refused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_preferred_and_the_default() {
        use ClientAuth::{Basic, Post, Public};
        assert_eq!(preferred(&[]), Basic);
        assert_eq!(preferred(&[Public, Post, Basic]), Basic);
        assert_eq!(preferred(&[Public, Post]), Post);
        assert_eq!(preferred(&[Public]), Public);
    }
}
