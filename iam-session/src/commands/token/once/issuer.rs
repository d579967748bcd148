//! The conversation with the issuer. Touches one helper, the terminal and this process's signals.

use nix::errno::Errno;
use nix::unistd::gethostname;

use super::plan::{Login, TokenPlan};
use super::tell;
use crate::commands::device_flow::{self, Report, Signals, cancelled};
use crate::commands::passphrase::{Purpose, Terminal};
use crate::config::ScopeTable;
use crate::helper::{Helper, HelperError, no_device_flow};
use crate::issuer::wire::{
    AudienceMode, Client, DeviceCode, Endpoints, ErrorClass, HelperAnswer, HelperRequest, Operation,
    TokenAnswer, Transport, UserCode,
};
use crate::outcome::Stop;
use crate::protocol::{Failure, FailureKind};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::text::printable;

/// An issuer that has been discovered, and the client that asks it.
pub(super) struct Issuer {
    helper: Helper,
    signals: Signals,
    /// As it spells itself.
    name: String,
    endpoints: Endpoints,
    client: Client,
    hints: Hints,
    /// As asked.
    audience: String,
    /// What of it is sent: the rest is asked for by scopes.
    named_audience: String,
    audience_mode: AudienceMode,
    transport: Transport,
    /// What the token must be good for.
    asked: ScopeSet,
    /// What is sent for that: an audience may have a scope, which is in no token.
    sent: ScopeSet,
    scope_sets: ScopeTable,
}

/// What to look at where the issuer refuses.
struct Hints {
    /// The client.
    client: &'static str,
    /// What was asked for, where the user has named no scope: the client may lack it.
    scope: Option<String>,
}

impl Issuer {
    /// Takes the ending signals over: from here on Ctrl-C ends the conversation, and the terminal stays in order.
    pub(super) fn discover(mut helper: Helper, plan: TokenPlan) -> Result<Self, Stop> {
        let signals = Signals::take_over().map_err(|errno: Errno| {
            failure(format!("cannot wait for signals: {}", errno.desc()), None, FailureKind::Failed)
        })?;
        let request =
            Operation::Discover { issuer: plan.provider.issuer.clone() }.over(&plan.provider.transport);
        let mut hints = Hints { client: plan.client_hint, scope: None };
        let answer = helper.ask(&request, Some(signals.descriptor()));
        match answer.map_err(|error| hints.refused(error))? {
            HelperAnswer::Discovered { issuer, endpoints, scopes_supported, auth_methods, .. } => {
                let asked = plan.wanted(&scopes_supported);
                if !plan.names_scopes() {
                    hints.scope =
                        Some(format!("'{asked}' was asked for: name with -s what the client may ask for"));
                }
                let (sent, named_audience) = plan.provider.asking(&asked, &plan.audience);
                Ok(Self {
                    asked,
                    sent,
                    scope_sets: plan.provider.scope_sets.clone(),
                    named_audience,
                    client: plan.client.client(&auth_methods),
                    hints,
                    helper,
                    signals,
                    name: issuer,
                    endpoints: plan.provider.completed(endpoints),
                    audience: plan.audience,
                    audience_mode: plan.provider.audience_mode,
                    transport: plan.provider.transport,
                })
            }
            _ => Err(HelperError::Garbage.into()),
        }
    }

    /// The issuer's URL.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Who the token is for, as asked.
    pub(super) fn audience(&self) -> &str {
        &self.audience
    }

    /// What the token must be good for.
    pub(super) fn asked(&self) -> &ScopeSet {
        &self.asked
    }

    /// Which scopes stand for others there.
    pub(super) fn scope_sets(&self) -> &ScopeTable {
        &self.scope_sets
    }

    /// One token.
    pub(super) fn token(&mut self, login: Login, report: Report) -> Result<TokenAnswer, Stop> {
        match login {
            Login::Device => {
                let code = self.authorize()?;
                self.show(&code.shown, report)?;
                self.poll(&code)
            }
            Login::Password { username, password } => {
                let password = password.map_or_else(|| self.ask_password(&username), Ok)?;
                self.log_in(username, password)
            }
        }
    }

    fn authorize(&mut self) -> Result<DeviceCode, Stop> {
        let endpoint = self.endpoints.device_authorization.clone();
        let endpoint = endpoint.ok_or_else(|| no_device_flow(&self.name))?;
        let request = Operation::AuthorizeDevice {
            endpoint,
            client: self.client.duplicate(),
            scope: self.sent.clone(),
            takes_verifier: true,
        }
        .over(&self.transport);
        match self.ask(&request)? {
            HelperAnswer::DeviceAuthorization(code) => Ok(code),
            _ => Err(HelperError::Garbage.into()),
        }
    }

    /// On standard error, as a line of `enroll --json` for a program: standard output is the token's alone.
    fn show(&self, code: &UserCode, report: Report) -> Result<(), Stop> {
        match report {
            Report::Text(qr_codes) => device_flow::show(&self.instructions(code), code, qr_codes),
            Report::Json => tell(&device_flow::event(code))?,
        }
        Ok(())
    }

    fn instructions(&self, code: &UserCode) -> String {
        let host = gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        format!(
            "One token of {issuer} for this command on {host}; nothing is stored.\n\
             \n\
             {steps}\
             \n\
             It is asked for by the client '{client}'.\n\
             Nobody from the site ever sends you a code: approve only one that you see in your own terminal.\n",
            issuer = printable(&self.name),
            host = printable(&host),
            steps = device_flow::steps(code),
            client = printable(&self.client.client_id),
        )
    }

    fn poll(&mut self, code: &DeviceCode) -> Result<TokenAnswer, Stop> {
        let request = Operation::PollDevice {
            endpoint: self.endpoints.token.clone(),
            client: self.client.duplicate(),
            device_code: code.device_code.duplicate(),
            code_verifier: code.code_verifier.as_ref().map(Secret::duplicate),
            audience: self.named_audience.clone(),
            audience_mode: self.audience_mode,
        }
        .over(&self.transport);
        device_flow::poll(&code.shown, &self.signals, || {
            match self.helper.ask(&request, Some(self.signals.descriptor())) {
                Err(HelperError::Issuer(error)) if !is_about_the_client(error.class) => Ok(Err(error)),
                answer => token(answer.map_err(|error| self.hints.refused(error))?).map(Ok),
            }
        })
    }

    fn ask_password(&self, username: &str) -> Result<Secret, Stop> {
        let prompt = format!("Password of '{}' at {}: ", printable(username), printable(&self.name));
        let password = Terminal::open_for(Purpose::Password)?.ask(&prompt)?;
        if password.is_empty() {
            let hint = Some("try again");
            return Err(failure("the password is empty".to_owned(), hint, FailureKind::Usage));
        }
        Ok(password)
    }

    fn log_in(&mut self, username: String, password: Secret) -> Result<TokenAnswer, Stop> {
        let request = Operation::Password {
            endpoint: self.endpoints.token.clone(),
            client: self.client.duplicate(),
            username,
            password,
            scope: self.sent.clone(),
            audience: self.named_audience.clone(),
            audience_mode: self.audience_mode,
        }
        .over(&self.transport);
        token(self.ask(&request)?)
    }

    fn ask(&mut self, request: &HelperRequest) -> Result<HelperAnswer, Stop> {
        let answer = self.helper.ask(request, Some(self.signals.descriptor()));
        answer.map_err(|error| self.hints.refused(error))
    }
}

fn token(answer: HelperAnswer) -> Result<TokenAnswer, Stop> {
    match answer {
        HelperAnswer::Token(token) => Ok(token),
        HelperAnswer::Unusable { error, .. } => Err(HelperError::from(error).into()),
        _ => Err(HelperError::Garbage.into()),
    }
}

fn is_about_the_client(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::ClientGone | ErrorClass::CredentialDead)
}

impl Hints {
    /// What a helper's error means where nobody has enrolled.
    fn refused(&self, error: HelperError) -> Stop {
        match (error, &self.scope) {
            (HelperError::Interrupted, _) => cancelled().into(),
            (HelperError::Issuer(error), _) if is_about_the_client(error.class) => {
                failure(error.to_string(), Some(self.client), FailureKind::Refused)
            }
            (HelperError::Issuer(error), Some(hint)) if error.class == ErrorClass::ScopeRefused => {
                failure(error.to_string(), Some(hint), FailureKind::Refused)
            }
            (error, _) => error.into(),
        }
    }
}

fn failure(error: String, hint: Option<&str>, kind: FailureKind) -> Stop {
    Stop::Failure(Failure { error, info: hint.map(str::to_owned), kind })
}
