//! `iam-session enroll`: the agent's mint has the issuer give a code, and this side shows it and keeps the pace.
//!
//! Touches the agent's socket, the terminal and the configuration. No secret is in this process but one that somebody
//! hands it: a client's, an initial access token, a refresh token from elsewhere.

mod flow;
mod plan;
mod report;
mod scopes;

use std::env;
use std::path::{Path, PathBuf};

use clap::Parser;

use self::flow::Flow;
use self::plan::EnrollPlan;
use self::report::EnrollOutcome;
use super::account_name;
use super::device_flow::{QrArgs, Report};
use super::named_client::ClientArgs;
use super::prompt::{self, Person};
use super::providers_for_user::{Membership, known_providers};
use super::secret_input::word;
use crate::client::{AgentClient, Places};
use crate::clock::unix_time;
use crate::config::{Providers, Site};
use crate::harden::harden;
use crate::outcome::{Exit, Outcome, Stop, warn};
use crate::paths::SITE_CONFIG;
use crate::protocol::{Failure, FailureKind, Request, Sealing, Status};
use crate::store::StoreError;

/// Enrol with an issuer, once, with a browser on any device.
#[derive(Debug, Default, Parser)]
#[command(name = "enroll", bin_name = "iam-session enroll")]
pub(crate) struct EnrollArgs {
    /// The issuer's URL, or the name of a provider ('iam-session providers' lists them)
    #[arg(value_name = "ISSUER-URL | PROVIDER")]
    issuer: Option<String>,
    /// What to call the account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Scopes to ask for; may be repeated, or name several; 'max' for all that the issuer offers
    #[arg(short, long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
    /// A file with the token that some issuers want before they register a client; '-' for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["client_id", "refresh_token_fd"])]
    initial_access_token_file: Option<PathBuf>,
    /// Keep a refresh token that was obtained elsewhere, the first line of this descriptor, instead of a device flow
    #[arg(long, value_name = "N")]
    refresh_token_fd: Option<u32>,
    #[command(flatten)]
    qr: QrArgs,
    /// Print one object per event on standard output
    #[arg(long)]
    json: bool,
}

impl EnrollArgs {
    /// Only these scopes, and how to report.
    pub(super) fn naming(scopes: Vec<String>, qr: QrArgs, json: bool) -> Self {
        Self { scopes, qr, json, ..Self::default() }
    }
}

pub(crate) fn run(args: EnrollArgs) -> Outcome {
    let report = report_of(&args);
    reported(report, || {
        let configuration = Configuration::load()?;
        // The agent first: without one, nothing must be registered that nobody will keep.
        let mut agent = AgentClient::find(&Places::of_environment())?;
        let status: Status = agent.ask(&Request::Status {})?;
        Enrolment { args, configuration, status, occasion: Occasion::First, report }.run(&mut agent)
    })
}

/// As [`run`], for an account that is there: with its issuer, its client and, unless others are named, the scopes that
/// it has.
pub(super) fn again_for(account: String, mut args: EnrollArgs) -> Outcome {
    let report = report_of(&args);
    reported(report, || {
        let configuration = Configuration::load()?;
        let mut agent = AgentClient::find(&Places::of_environment())?;
        let name = account_name(&mut agent, &account)?;
        let status: Status = agent.ask(&Request::Status {})?;
        let known = status.accounts.iter().find(|account| account.name == name);
        let known = known.ok_or_else(|| Failure::from(StoreError::NoAccount { account: name.clone() }))?;
        if known.issuer.is_empty() {
            // Nothing opens it here: why is all there is to know.
            let failure = known.last_error.as_ref().map(|error| error.failure.clone());
            return Err(failure.unwrap_or_else(|| StoreError::NoAccount { account: name }.into()).into());
        }
        let successor = configuration.providers.successor_of(&known.issuer);
        let issuer = successor.map_or(&known.issuer, |provider| &provider.issuer);
        if args.scopes.is_empty() {
            let provider = configuration.providers.by_issuer(issuer);
            let scope = provider.map(|provider| provider.scope_sets.contracted(&known.scope));
            args.scopes = scope.as_ref().unwrap_or(&known.scope).iter().map(str::to_owned).collect();
        }
        (args.issuer, args.account) = (Some(issuer.clone()), Some(name));
        Enrolment { args, configuration, status, occasion: Occasion::Again, report }.run(&mut agent)
    })
}

/// What the site and the user have configured.
struct Configuration {
    site: Site,
    providers: Providers,
}

impl Configuration {
    fn load() -> Result<Self, Stop> {
        // Before there is a secret in this process: no other one of the user's is to read it.
        harden().map_err(|errno| cannot("keep what is obtained from others", errno.desc()))?;
        Ok(Self { site: Site::load(Path::new(SITE_CONFIG))?, providers: known_providers()? })
    }
}

fn report_of(args: &EnrollArgs) -> Report {
    if args.json { Report::Json } else { Report::Text(args.qr.wanted()) }
}

fn reported(report: Report, enroll: impl FnOnce() -> Outcome) -> Outcome {
    let outcome = enroll();
    if let Err(Stop::Failure(failure)) = &outcome {
        // Whoever has stopped reading still gets the exit code.
        let _ = report::error(report, failure);
    }
    outcome
}

/// Whether it is the account's client that is asked for, or any that will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// `enroll`.
    First,
    /// `reenroll`.
    Again,
}

/// An enrolment that is asked for.
struct Enrolment {
    args: EnrollArgs,
    configuration: Configuration,
    status: Status,
    occasion: Occasion,
    report: Report,
}

impl Enrolment {
    fn run(&self, agent: &mut AgentClient) -> Outcome {
        let (args, status, report) = (&self.args, &self.status, self.report);
        if status.sealing == Sealing::Nothing {
            return Err(Failure::from(StoreError::NoSealingKey).into());
        }
        let mut person = Person::at_the_terminal(report);
        let mut plan = self.plan(person.as_mut())?;
        let import = match args.refresh_token_fd {
            None => None,
            Some(number) => {
                let client = plan.client.take().ok_or_else(no_client)?;
                let what = "a refresh token";
                Some((client, word::from_descriptor(number, what, "--refresh-token-fd")?))
            }
        };
        if let Some(notice) = &plan.provider.notice {
            report::notice(report, &notice.read()?)?;
        }
        let obtained = match import {
            Some((client, refresh_token)) => flow::import(agent, &plan, client, refresh_token)?,
            None => Flow::new(agent, plan, report, person)?.run()?,
        };
        conclude(report, &status.user, &obtained)
    }

    fn plan(&self, mut person: Option<&mut Person>) -> Result<EnrollPlan, Failure> {
        let (args, Configuration { site, providers }) = (&self.args, &self.configuration);
        let membership = Membership::default();
        let is_member = |groups: &[String]| membership.of(groups);
        let asked = person.as_deref_mut();
        let provider = prompt::choose(args.issuer.as_deref(), providers, site, is_member, asked)?;
        let cert_dir = env::var_os("X509_CERT_DIR");
        EnrollPlan::new(args, provider, person.as_deref(), &self.status, self.occasion, cert_dir)
    }
}

fn no_client() -> Failure {
    Failure::usage("a refresh token is good only with the client that it was issued to")
        .advise("name that with --client-id")
}

fn conclude(report: Report, user: &str, obtained: &EnrollOutcome) -> Outcome {
    report::enrolled(report, user, obtained)?;
    for (scope, reason) in obtained.shortfall.iter() {
        warn(&format!("scope '{scope}' was not granted: {reason}"));
    }
    if let Some(soon) = report::ends_soon(&obtained.enrolled, unix_time()) {
        warn(&soon);
    }
    if let Some(trouble) = &obtained.enrolled.trouble {
        warn(&format!("the enrolment is stored, but there is no token yet: {}", trouble.error));
        return Ok(Exit::With(trouble.kind));
    }
    let explicit = obtained.shortfall.any_of(&obtained.explicit);
    Ok(if explicit { Exit::With(FailureKind::Refused) } else { Exit::Done })
}

fn cannot(what: &str, why: &str) -> Failure {
    Failure::failed(format!("cannot {what}: {why}"))
}
