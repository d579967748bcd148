//! The conversation with the issuer, and its tidy end whatever happens. Touches one helper, the signals and, where
//! something is missing, the terminal.

mod client;
mod code;
pub(in crate::commands) mod device;

use nix::errno::Errno;

use self::client::Held;
pub(in crate::commands) use self::code::Code;
use self::device::Pace;
use super::client::Given;
use super::person::Person;
use super::plan::Plan;
use super::report::Report;
use super::scopes::{self, Grantor, Shortfall, Wish};
use super::signals::Signals;
use crate::clock::boot_time;
use crate::config::OfflineAccess;
use crate::helper::{Helper, HelperError, no_device_flow};
use crate::issuer::wire::{Answer, Client, ClientAuth, Endpoints, Request, TokenAnswer};
use crate::outcome::{Stop, warn};
use crate::protocol::{Enrolled, Enrollment, Failure, FailureKind, NO_OFFLINE_ACCESS};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// The agent has not said what became of what it was given.
const UNCERTAIN: &str =
    "it is not known whether the enrolment was kept: 'iam-session status' tells; if it was not, enrol again";

/// What came of it.
pub(super) struct Obtained {
    pub(super) issuer: String,
    pub(super) granted: ScopeSet,
    pub(super) shortfall: Shortfall,
    /// What somebody has named, and misses if it was not granted.
    pub(super) explicit: ScopeSet,
    pub(super) enrolled: Enrolled,
}

/// The issuer as discovered.
struct Issuer {
    issuer: String,
    endpoints: Endpoints,
    offered: ScopeSet,
    methods: Vec<ClientAuth>,
}

/// One enrolment under way.
pub(super) struct Flow<'a> {
    helper: Helper,
    signals: Signals,
    plan: &'a Plan,
    report: Report,
    person: Option<Person>,
    /// The agent has been given the enrolment.
    handed_over: bool,
}

impl<'a> Flow<'a> {
    /// Takes the ending signals over: from here on they are answered, not obeyed.
    pub(super) fn new(
        helper: Helper,
        plan: &'a Plan,
        report: Report,
        person: Option<Person>,
    ) -> Result<Self, Stop> {
        let signals = Signals::take_over()
            .map_err(|errno: Errno| failure(format!("cannot wait for signals: {}", errno.desc()), None))?;
        Ok(Self { helper, signals, plan, report, person, handed_over: false })
    }

    /// Obtains an enrolment by the device flow and hands it to `keep`. What was registered or granted for it and
    /// comes to nothing is ended at the issuer.
    pub(super) fn run(
        &mut self,
        keep: impl FnOnce(Enrollment) -> Result<Enrolled, Stop>,
    ) -> Result<Obtained, Stop> {
        let issuer = self.discover()?;
        // Before anything is registered: without it the client would be of no use.
        if issuer.endpoints.device_authorization.is_none() {
            return Err(no_device_flow(&issuer.issuer).into());
        }
        let wish = self.wish(&issuer)?;
        let mut held = self.client(&issuer, &wish.wanted(&issuer.offered))?;
        let obtained = self.obtain(issuer, &mut held, &wish, keep);
        match &obtained {
            Ok(_) => {}
            Err(stop) if self.handed_over && is_uncertain(stop) => warn_of_uncertainty(),
            Err(_) => self.undo(held),
        }
        obtained
    }

    /// Hands over a refresh token that was obtained elsewhere. It is not presented here: whose it is and what it was
    /// granted is asked where it is sealed, in one refresh.
    pub(super) fn import(
        &mut self,
        given: &Given,
        refresh_token: Secret,
        keep: impl FnOnce(Enrollment) -> Result<Enrolled, Stop>,
    ) -> Result<Obtained, Stop> {
        let issuer = self.discover()?;
        let client = given.client(&issuer.methods);
        let (name, wanted) = (issuer.issuer.clone(), self.plan.wish.explicit().clone());
        let enrollment =
            Enrollment { imported: true, ..self.enrollment(issuer, client, refresh_token, &wanted) };
        let enrolled = keep(enrollment).inspect_err(|stop| {
            if is_uncertain(stop) {
                warn_of_uncertainty();
            }
        })?;
        let shortfall = Shortfall::new(&wanted, &wanted, &enrolled.scope, Grantor::Elsewhere);
        let granted = enrolled.scope.clone();
        Ok(Obtained { issuer: name, granted, shortfall, explicit: wanted, enrolled })
    }

    fn obtain(
        &mut self,
        issuer: Issuer,
        held: &mut Held,
        wish: &Wish,
        keep: impl FnOnce(Enrollment) -> Result<Enrolled, Stop>,
    ) -> Result<Obtained, Stop> {
        let wanted = wish.wanted(&issuer.offered);
        let asked = scopes::ask(&wanted, &held.scope);
        if !asked.allows("offline_access") && self.plan.provider.offline_access == OfflineAccess::Asked {
            return Err(no_refresh_token(&issuer.issuer));
        }
        let code = self.authorize(&issuer, held, &asked)?;
        self.report.code(self.plan, &code)?;
        let token = self
            .poll(&issuer.endpoints.token, &held.client, &code)
            .map_err(|stop| held.not_enrolled(stop))?;
        let refresh_token = token.refresh_token.ok_or_else(|| no_refresh_token(&issuer.issuer))?;
        held.granted(&issuer.endpoints, &refresh_token);
        // An absent scope means "as asked" (RFC 6749 §5.1). IAM also leaves it out when its policy took
        // everything away; but then there is no refresh token either.
        let states_scope = token.scope.is_some();
        let granted = token.scope.unwrap_or_else(|| asked.clone());
        let granted = self.plan.provider.scope_sets.with_words(&asked, &granted);
        let name = issuer.issuer.clone();
        let enrollment = Enrollment {
            refresh_token_expires_at: token.refresh_token_expires_at,
            states_scope,
            subject: token.subject,
            registered_scope: held.registered_scope(),
            client_name: held.is_ours().then(|| self.plan.client_name.clone()),
            ..self.enrollment(issuer, held.client.duplicate(), refresh_token, &granted)
        };
        self.handed_over = true;
        let enrolled = keep(enrollment)?;
        let shortfall = Shortfall::new(&wanted, &held.scope, &granted, held.grantor());
        Ok(Obtained { issuer: name, granted, shortfall, explicit: wish.explicit().clone(), enrolled })
    }

    fn enrollment(
        &self,
        issuer: Issuer,
        client: Client,
        refresh_token: Secret,
        scope: &ScopeSet,
    ) -> Enrollment {
        Enrollment {
            account: self.plan.account.clone(),
            issuer: issuer.issuer,
            endpoints: issuer.endpoints,
            client,
            refresh_token,
            refresh_token_expires_at: None,
            scope: scope.clone(),
            states_scope: false,
            imported: false,
            subject: None,
            audience_mode: self.plan.provider.audience_mode,
            transport: self.plan.provider.transport.clone(),
            registered_scope: None,
            client_name: None,
        }
    }

    fn discover(&mut self) -> Result<Issuer, Stop> {
        let request = Request::Discover {
            issuer: self.plan.provider.issuer.clone(),
            transport: self.plan.provider.transport.clone(),
        };
        match self.ask(&request)? {
            Answer::Discovered { issuer, endpoints, scopes_supported, auth_methods, .. } => {
                let endpoints = self.plan.provider.completed(endpoints);
                Ok(Issuer { issuer, endpoints, offered: scopes_supported, methods: auth_methods })
            }
            _ => Err(HelperError::Garbage.into()),
        }
    }

    /// What is wanted. Where neither the command line nor the provider's file says, whoever is there is asked.
    fn wish(&mut self, issuer: &Issuer) -> Result<Wish, Stop> {
        let wish = &self.plan.wish;
        match &mut self.person {
            Some(person) if wish.is_open() => {
                let question = wish.question(&issuer.issuer, &issuer.offered);
                let answer = person.ask(&question, Some(self.signals.descriptor()))?;
                Ok(wish.answered(&answer)?)
            }
            _ => Ok(wish.clone()),
        }
    }

    fn authorize(&mut self, issuer: &Issuer, held: &Held, scope: &ScopeSet) -> Result<Code, Stop> {
        let request = Request::AuthorizeDevice {
            endpoint: issuer.endpoints.device_authorization.clone().unwrap_or_default(),
            client: held.client.duplicate(),
            scope: scope.clone(),
            takes_verifier: true,
            transport: self.plan.provider.transport.clone(),
        };
        let answer = self.ask(&request).map_err(|stop| held.not_enrolled(held.explain(stop)))?;
        Ok(Code::of(answer)?)
    }

    fn poll(&mut self, endpoint: &str, client: &Client, code: &Code) -> Result<TokenAnswer, Stop> {
        let mut pace = Pace::new(code.interval, code.expires_in, boot_time());
        loop {
            let pause = pace.next(boot_time()).map_err(Stop::from)?;
            self.signals.wait(pause).map_err(|_| Stop::from(cancelled()))?;
            let request = Request::PollDevice {
                endpoint: endpoint.to_owned(),
                client: client.duplicate(),
                device_code: code.device_code.duplicate(),
                code_verifier: code.code_verifier.as_ref().map(Secret::duplicate),
                audience: String::new(),
                audience_mode: self.plan.provider.audience_mode,
                transport: self.plan.provider.transport.clone(),
            };
            match self.helper.ask(&request, Some(self.signals.descriptor())) {
                Ok(Answer::Token(token)) => return Ok(token),
                Ok(_) => return Err(HelperError::Garbage.into()),
                Err(HelperError::Interrupted) => return Err(cancelled().into()),
                Err(HelperError::Issuer(error)) => pace.answered(error)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A request that Ctrl-C may cut short.
    fn ask(&mut self, request: &Request) -> Result<Answer, Stop> {
        match self.helper.ask(request, Some(self.signals.descriptor())) {
            Err(HelperError::Interrupted) => Err(cancelled().into()),
            answer => Ok(answer?),
        }
    }
}

pub(super) fn failure(error: String, hint: Option<&str>) -> Stop {
    Stop::Failure(Failure { error, info: hint.map(str::to_owned), kind: FailureKind::Failed })
}

/// What Ctrl-C makes of an enrolment.
pub(super) fn cancelled() -> Failure {
    let error = "cancelled; nothing was stored".to_owned();
    Failure::failed(error)
}

/// Whether the agent may have kept the enrolment all the same: then its client must live. A failure that the agent
/// told has left nothing, but for the one that says that its time was up.
pub(super) fn is_uncertain(stop: &Stop) -> bool {
    let kind = if let Stop::Failure(failure) = stop { Some(failure.kind) } else { None };
    matches!(kind, Some(FailureKind::NoAgent | FailureKind::Unreachable))
}

pub(super) fn warn_of_uncertainty() {
    warn(UNCERTAIN);
}

fn no_refresh_token(issuer: &str) -> Stop {
    Stop::Failure(
        Failure::refused(format!("{issuer} gives no refresh token: scope 'offline_access' was not granted"))
            .advise(NO_OFFLINE_ACCESS),
    )
}
