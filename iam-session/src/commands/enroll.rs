//! `iam-session enroll`: a device code, a browser somewhere, and the agent seals what comes of it.
//!
//! Touches the agent's socket, the terminal and, through a helper, one issuer. What an enrolment obtains is in
//! this process's memory until the agent has it, and nowhere else.

pub(in crate::commands) mod flow;
pub(in crate::commands) mod plan;
pub(in crate::commands) mod provider;
mod qr;
pub(in crate::commands) mod report;
mod scopes;
pub(in crate::commands) mod signals;

use std::env;
use std::path::Path;

use clap::Parser;

use self::flow::Flow;
use self::plan::Plan;
use self::report::Report;
use crate::cli::{Exit, Outcome, Stop, warn};
use crate::client::{Agent, Places};
use crate::config::{Providers, Site};
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
    issuer: Option<String>,
    /// What to call the account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Scopes to ask for; may be repeated, or name several; 'max' for all that the issuer offers
    #[arg(short, long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Print one object per event on standard output
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: EnrollArgs) -> Outcome {
    let report = if args.json { Report::Json } else { Report::Text };
    let outcome = enroll(&args, report);
    if let Err(Stop::Failure(failure)) = &outcome {
        // Whoever has stopped reading still gets the exit code.
        let _ = report.error(failure);
    }
    outcome
}

fn enroll(args: &EnrollArgs, report: Report) -> Outcome {
    let configuration = Path::new(SITE_CONFIG);
    let site = Site::load(configuration)?;
    let providers = Providers::load(configuration)?;
    // The agent first: without one, nothing must be registered that nobody will keep.
    let mut agent = Agent::find(&Places::of_environment())?;
    let status: Status = agent.ask(&Request::Status {})?;
    if status.sealing == Sealing::Nothing {
        return Err(Failure::from(StoreError::NoSealingKey).into());
    }
    let provider = provider::choose(args.issuer.as_deref(), &providers, &site)?;
    let plan = Plan::new(args, provider, &site, &status, env::var_os("X509_CERT_DIR"))?;

    let helper = Helper::start(Path::new(HELPER))?;
    let mut flow = Flow::new(helper, &plan, report)?;
    let obtained = flow.run(|enrollment| {
        let reply: Enrolled = agent.ask(&Request::Enroll(Box::new(enrollment)))?;
        Ok(reply)
    })?;
    report.enrolled(&plan, &obtained)?;
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
