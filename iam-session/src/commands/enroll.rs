//! `iam-session enroll`: a device code, a browser somewhere, and the agent seals what comes of it.
//!
//! Touches the agent's socket, the terminal and, through a helper, one issuer. What an enrolment obtains is in
//! this process's memory until the agent has it, and nowhere else.

mod again;
mod flow;
mod plan;
mod provider;
mod qr;
mod report;
mod scopes;
mod signals;

use std::env;
use std::path::Path;

use clap::Parser;

use self::flow::{Flow, Obtained};
use self::plan::Plan;
use self::report::Report;
use super::account_name;
use crate::cli::{Exit, Outcome, Stop, warn};
use crate::client::{Agent, Places};
use crate::config::{ConfigError, Providers, Site};
use crate::helper::Helper;
use crate::paths::{HELPER, SITE_CONFIG};
use crate::protocol::{Enrolled, Failure, FailureKind, Request, Sealing, Status};
use crate::store::StoreError;

/// Enrol with an issuer, once, with a browser on any device.
#[derive(Debug, Default, Parser)]
#[command(name = "enroll", bin_name = "iam-session enroll")]
pub(crate) struct EnrollArgs {
    /// The issuer's URL, or the name of a provider of this site
    #[arg(value_name = "ISSUER-URL | PROVIDER")]
    pub(super) issuer: Option<String>,
    /// What to call the account
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
    /// Scopes to ask for; may be repeated, or name several; 'max' for all that the issuer offers
    #[arg(short, long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<String>,
    /// Print one object per event on standard output
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) fn run(args: EnrollArgs) -> Outcome {
    reported(Report::of(&args), |report| {
        let configuration = Configuration::load()?;
        // The agent first: without one, nothing must be registered that nobody will keep.
        let mut agent = Agent::find(&Places::of_environment())?;
        let status: Status = agent.ask(&Request::Status {})?;
        enroll(&args, &configuration, &mut agent, &status, report)
    })
}

/// As [`run`], for an account that is there: with its issuer and, unless others are named, the scopes that it has.
pub(super) fn again_for(account: String, mut args: EnrollArgs) -> Outcome {
    reported(Report::of(&args), |report| {
        let configuration = Configuration::load()?;
        let mut agent = Agent::find(&Places::of_environment())?;
        let name = account_name(&mut agent, &account)?;
        let status: Status = agent.ask(&Request::Status {})?;
        let known = status.accounts.iter().find(|account| account.name == name);
        let known = known.ok_or_else(|| Failure::from(StoreError::NoAccount { account: name.clone() }))?;
        if known.issuer.is_empty() {
            // Nothing opens it here: why is all there is to know.
            let failure = known.last_error.as_ref().map(|error| error.failure.clone());
            return Err(failure.unwrap_or_else(|| StoreError::NoAccount { account: name }.into()).into());
        }
        if args.scopes.is_empty() {
            args.scopes = known.scope.iter().map(str::to_owned).collect();
        }
        (args.issuer, args.account) = (Some(known.issuer.clone()), Some(name));
        enroll(&args, &configuration, &mut agent, &status, report)
    })
}

/// What the site says.
struct Configuration {
    site: Site,
    providers: Providers,
}

impl Configuration {
    fn load() -> Result<Self, ConfigError> {
        let directory = Path::new(SITE_CONFIG);
        Ok(Self { site: Site::load(directory)?, providers: Providers::load(directory)? })
    }
}

fn reported(report: Report, enroll: impl FnOnce(Report) -> Outcome) -> Outcome {
    let outcome = enroll(report);
    if let Err(Stop::Failure(failure)) = &outcome {
        // Whoever has stopped reading still gets the exit code.
        let _ = report.error(failure);
    }
    outcome
}

fn enroll(
    args: &EnrollArgs,
    configuration: &Configuration,
    agent: &mut Agent,
    status: &Status,
    report: Report,
) -> Outcome {
    let Configuration { site, providers } = configuration;
    if status.sealing == Sealing::Nothing {
        return Err(Failure::from(StoreError::NoSealingKey).into());
    }
    let provider = provider::choose(args.issuer.as_deref(), providers, site)?;
    let mut plan = Plan::new(args, provider, site, status, env::var_os("X509_CERT_DIR"))?;

    let again = match again::client_of(status, &plan) {
        Some(client_of) => again::run(agent, &mut plan, client_of, report)?,
        None => None,
    };
    let obtained = match again {
        Some(obtained) => obtained,
        None => first(agent, &plan, report)?,
    };
    finish(report, &plan, &obtained)
}

/// With a client that is registered for it.
fn first(agent: &mut Agent, plan: &Plan, report: Report) -> Result<Obtained, Stop> {
    let helper = Helper::start(Path::new(HELPER))?;
    Flow::new(helper, plan, report)?.run(|enrollment| {
        let reply: Enrolled = agent.ask(&Request::Enroll(Box::new(enrollment)))?;
        Ok(reply)
    })
}

fn finish(report: Report, plan: &Plan, obtained: &Obtained) -> Outcome {
    report.enrolled(plan, obtained)?;
    for (scope, reason) in obtained.shortfall.iter() {
        warn(&format!("scope '{scope}' was not granted: {reason}"));
    }
    if let Some(trouble) = &obtained.enrolled.trouble {
        warn(&format!("the enrolment is stored, but there is no token yet: {}", trouble.error));
        return Ok(Exit::With(trouble.kind));
    }
    let explicit = obtained.shortfall.any_of(plan.explicit());
    Ok(if explicit { Exit::With(FailureKind::Refused) } else { Exit::Done })
}
