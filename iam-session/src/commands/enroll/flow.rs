//! The conversation with the agent, whose mint speaks to the issuer: shows the code, keeps the pace, and has the flow
//! ended that does not come to a good end. Touches the agent's socket, the terminal and this process's signals.

use data_encoding::HEXLOWER;

use super::plan::EnrollPlan;
use super::report::{self, EnrollOutcome};
use super::scopes::{Grantor, Shortfall};
use crate::client::{AgentClient, ClientError};
use crate::commands::device_flow::{self, Report, Signals, cancelled};
use crate::commands::prompt::Person;
use crate::helper::HelperError;
use crate::issuer::wire::IssuerError;
use crate::outcome::{Stop, print_error, warn};
use crate::protocol::{
    Beginning, Begun, Cancelled, Code, Enrolled, Failure, Import, NamedClient, Polled, Request,
};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::text::printable;

/// As many as ssh and sudo give.
const TRIES: u32 = 3;

/// One enrolment under way.
pub(super) struct Flow<'a> {
    agent: &'a AgentClient,
    signals: Signals,
    plan: EnrollPlan,
    report: Report,
    person: Option<Person>,
    /// Names it for the mint, also where no answer has come yet.
    name: String,
}

impl<'a> Flow<'a> {
    /// Takes the ending signals over: from here on they are answered, not obeyed.
    pub(super) fn new(
        agent: &'a AgentClient,
        plan: EnrollPlan,
        report: Report,
        person: Option<Person>,
    ) -> Result<Self, Failure> {
        let signals = Signals::take_over()
            .map_err(|errno| Failure::failed(format!("cannot wait for signals: {}", errno.desc())))?;
        let mut name = [0; 16];
        getrandom::fill(&mut name)
            .map_err(|error| Failure::failed(format!("there is no randomness: {error}")))?;
        Ok(Self { agent, signals, plan, report, person, name: HEXLOWER.encode(&name) })
    }

    /// Obtains an enrolment. What was registered for it and comes to nothing is ended at the issuer.
    pub(super) fn run(mut self) -> Result<EnrollOutcome, Stop> {
        let wanted = self.wanted()?;
        self.converse(wanted).inspect_err(|_| self.cancel())
    }

    /// What is wanted. Where neither the command line nor the provider's file says, whoever is there is asked.
    fn wanted(&mut self) -> Result<ScopeSet, Stop> {
        if !self.plan.wish.depends_on_offer() {
            return Ok(self.plan.wish.wanted(&ScopeSet::default()));
        }
        let request = Request::Enroll(Box::new(Beginning {
            flow: self.name.clone(),
            target: self.plan.target(),
            ..Beginning::default()
        }));
        let (issuer, offered) = match self.ask(&request) {
            Ok(Begun::Offered { issuer, scope }) => (issuer, scope),
            Ok(_) => return Err(garbage()),
            Err(ClientError::Interrupted) => return Err(cancelled().into()),
            Err(error) => return Err(error.into()),
        };
        if let Some(person) = self.person.as_mut().filter(|_| self.plan.wish.is_open()) {
            let question = self.plan.wish.question(&issuer, &offered);
            let answer = person.ask(&question, Some(self.signals.descriptor()))?;
            self.plan.wish = self.plan.wish.answered(&answer)?;
        }
        Ok(self.plan.wish.wanted(&offered))
    }

    fn converse(&mut self, wanted: ScopeSet) -> Result<EnrollOutcome, Stop> {
        let code = self.begin(wanted.clone())?;
        if let Some(error) = &code.unusable {
            print_error(&format!(
                "The client of account '{}' cannot be used: {}. {}",
                printable(self.plan.client_of.as_deref().unwrap_or_default()),
                printable(error),
                if code.is_new { "A new one is registered." } else { "The site's own is used." }
            ));
        }
        report::code(self.report, &self.plan, &code)?;
        let enrolled = self.poll(&code)?;
        let grantor = if code.is_new { Grantor::Policy } else { Grantor::PolicyOrClient };
        let shortfall = Shortfall::new(&wanted, &code.scope, &enrolled.scope, grantor);
        Ok(EnrollOutcome { shortfall, explicit: self.plan.wish.explicit().clone(), enrolled })
    }

    /// Has a code given. Whoever is there is asked for a token where the issuer wants to see one before it registers a
    /// client.
    fn begin(&mut self, wanted: ScopeSet) -> Result<Code, Stop> {
        let mut request = Request::Enroll(Box::new(Beginning {
            flow: self.name.clone(),
            target: self.plan.target(),
            scope: Some(wanted),
            client_of: self.plan.client_of.clone(),
            client: self.plan.client.take(),
            initial_access_token: self.plan.initial_access_token.take(),
        }));
        for attempt in 1.. {
            let error = match self.ask(&request) {
                Ok(Begun::Code(code)) => return Ok(code),
                Ok(Begun::RegistrationClosed { error }) => error,
                Ok(Begun::Offered { .. }) => break,
                Err(ClientError::Interrupted) => {
                    let _ = self.signals.came();
                    print_error(
                        "Waiting for the issuer's answer, to leave nothing behind; Ctrl-C again does not wait.",
                    );
                    return Err(cancelled().into());
                }
                Err(error) => return Err(error.into()),
            };
            let Request::Enroll(beginning) = &mut request else { break };
            let was_given = beginning.initial_access_token.is_some();
            if attempt == TRIES {
                return Err(closed(error, true).into());
            }
            beginning.initial_access_token = Some(self.ask_for_token(error, was_given)?);
        }
        Err(garbage())
    }

    fn ask_for_token(&self, error: IssuerError, was_given: bool) -> Result<Secret, Failure> {
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

    fn poll(&self, code: &Code) -> Result<Enrolled, Stop> {
        device_flow::poll(&code.shown, &self.signals, || {
            match self.ask(&Request::Poll { ticket: code.ticket.clone() })? {
                Polled::NoToken { error } => Ok(Err(error)),
                Polled::Enrolled(enrolled) => Ok(Ok(enrolled)),
            }
        })
    }

    /// Ends what was begun. Whoever is impatient may press Ctrl-C once more: the mint has been told.
    fn cancel(&self) {
        if let Ok(Cancelled { error: Some(error) }) = self.ask(&Request::Cancel { flow: self.name.clone() }) {
            warn(&error);
        }
    }

    /// A connection of its own each time: an agent that is short of room lets go of those that ask nothing.
    fn ask<T: serde::de::DeserializeOwned>(&self, request: &Request) -> Result<T, ClientError> {
        self.agent.another()?.ask_unless(request, Some(self.signals.descriptor()))
    }
}

/// Hands over a refresh token that was obtained elsewhere. It is not presented here: whose it is and what it was granted
/// is asked where it is sealed, in one refresh.
pub(super) fn import(
    agent: &mut AgentClient,
    plan: &EnrollPlan,
    client: NamedClient,
    refresh_token: Secret,
) -> Result<EnrollOutcome, Stop> {
    let wanted = plan.wish.explicit().clone();
    let import = Import { target: plan.target(), client, refresh_token, scope: wanted.clone() };
    let enrolled: Enrolled = agent.ask(&Request::Import(Box::new(import)))?;
    let shortfall = Shortfall::new(&wanted, &wanted, &enrolled.scope, Grantor::Elsewhere);
    Ok(EnrollOutcome { shortfall, explicit: wanted, enrolled })
}

/// The issuer registers no client: not at all, or not for the token that was given.
fn closed(error: IssuerError, token_was_given: bool) -> Failure {
    let failure = Failure::from(HelperError::Issuer(error));
    match token_was_given {
        true => failure.advise(
            "the initial access token did not help: name a client with --client-id, or ask the issuer's administrators",
        ),
        false => failure,
    }
}

fn garbage() -> Stop {
    Failure::failed("the agent answered something else than was asked").advise("log in again").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::wire::ErrorClass;

    #[test]
    fn a_token_that_did_not_help_is_not_asked_for_again() {
        let info = |was_given| {
            let error = IssuerError {
                class: ErrorClass::RegistrationClosed,
                message: "m".into(),
                status: Some(403),
                retry_after: None,
            };
            closed(error, was_given).info.unwrap()
        };
        let (before, after) = (info(false), info(true));
        assert!(before.find("--client-id") < before.find("--initial-access-token-file"), "{before}");
        assert!(after.contains("--client-id") && !after.contains("--initial-access-token-file"), "{after}");
    }
}
