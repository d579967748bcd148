//! `iam-session token --once`: gets one token of an issuer, without an agent, and stores nothing.
//!
//! Touches the terminal, the configuration, the files and descriptors that options name and, through a helper, one
//! issuer. From the answer it takes the access token, and drops the rest unread.

mod issuer;
mod plan;

use std::env;
use std::path::Path;

use clap::{Args, ValueEnum};
use serde::Serialize;

use self::issuer::Issuer;
use self::plan::{Login, TokenPlan};
use super::{TokenArgs, print_token};
use crate::clock::unix_time;
use crate::commands::device_flow::{self, QrArgs, Report};
use crate::commands::named_client::ClientArgs;
use crate::commands::print_json;
use crate::commands::prompt::{self, Person};
use crate::commands::providers_for_user::{Membership, known_providers};
use crate::config::{ScopeTable, Site};
use crate::harden::harden;
use crate::helper::{Helper, HelperError, not_for};
use crate::issuer::wire::{MAX_LINE, TokenAnswer};
use crate::line::encode;
use crate::outcome::{Exit, Outcome, print_error, warn};
use crate::paths::{HELPER, SITE_CONFIG};
use crate::protocol::Failure;
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_to};

/// A notice of 256 KiB, each byte of it escaped, has room.
const MAX_EVENT: usize = 8 * MAX_LINE;

/// What `--once` needs to know, and no agent does.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "With --once", mut_arg("client_id", |arg| arg.requires("once")), mut_arg("no_qr", |arg| arg.requires("once")))]
pub(super) struct OnceArgs {
    /// Ask the issuer for one token, without an agent and an enrolment; nothing is stored
    #[arg(long, conflicts_with_all = ["account", "min_valid", "force"])]
    pub(super) once: bool,
    /// The issuer's URL, or the name of a provider of this site
    #[arg(long, value_name = "ISSUER-URL | PROVIDER", requires = "once")]
    issuer: Option<String>,
    /// How you log in: with a browser on any device, or with a password, if the site lets you
    #[arg(long, value_enum, value_name = "FLOW", requires = "once", default_value_t)]
    flow: OnceFlow,
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    qr: QrArgs,
    /// Your name at the issuer, for a password; the default is your name on this host
    #[arg(long, value_name = "NAME", requires = "once")]
    username: Option<String>,
    /// Read the password from the first line of this descriptor
    #[arg(long, value_name = "N", requires = "once")]
    password_fd: Option<u32>,
}

/// The grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OnceFlow {
    /// RFC 8628.
    #[default]
    Device,
    /// RFC 6749 §4.3.
    Password,
}

/// The object of `--json`: as an agent's token, without an account.
#[derive(Serialize)]
struct Once<'a> {
    #[serde(serialize_with = "expose_to")]
    access_token: Secret,
    issuer: &'a str,
    scope: &'a ScopeSet,
    audience: &'a str,
    expires_at: u64,
}

pub(super) fn run(args: &TokenArgs) -> Outcome {
    // Before a secret is read: a client's, a password, a token.
    harden()
        .map_err(|errno| Failure::failed(format!("cannot keep secrets from others: {}", errno.desc())))?;
    let report = if args.json { Report::Json } else { Report::Text(args.once.qr.wanted()) };
    let site = Site::load(Path::new(SITE_CONFIG))?;
    let plan = plan(args, &site, report)?;
    let login = Login::new(&args.once, &site)?;
    if let Some(notice) = &plan.provider.notice {
        announce(&notice.read()?, report)?;
    }
    let mut issuer = Issuer::discover(Helper::start(Path::new(HELPER))?, plan)?;
    let token = issuer.token(login, report)?;
    let granted = granted(&token, issuer.asked(), issuer.scope_sets(), issuer.name())?;
    is_for(&token, issuer.audience(), issuer.name())?;
    if !args.json {
        print_token(&token.access_token)?;
        return Ok(Exit::Done);
    }
    print_json(&Once {
        issuer: issuer.name(),
        scope: &granted,
        audience: issuer.audience(),
        expires_at: unix_time().saturating_add(token.expires_in),
        access_token: token.access_token,
    })?;
    Ok(Exit::Done)
}

/// What the site has its users read first. On standard error: standard output is the token's alone.
fn announce(text: &str, report: Report) -> Result<(), Failure> {
    match report {
        Report::Text(_) => print_error(&format!("{text}\n")),
        Report::Json => tell(&device_flow::notice(text))?,
    }
    Ok(())
}

/// A line as of `enroll --json` for a program, on standard error.
fn tell(event: &impl Serialize) -> Result<(), HelperError> {
    let line = encode(event, MAX_EVENT).map_err(HelperError::Broken)?;
    print_error(String::from_utf8_lossy(&line).trim_end());
    Ok(())
}

/// Who is asked for what. Whoever is at the terminal is asked for what is not said, as at an enrolment.
fn plan(args: &TokenArgs, site: &Site, report: Report) -> Result<TokenPlan, Failure> {
    let mut person = Person::at_the_terminal(report);
    let membership = Membership::default();
    let is_member = |groups: &[String]| membership.of(groups);
    let issuer = args.once.issuer.as_deref();
    let provider = prompt::choose(issuer, &known_providers()?, site, is_member, person.as_mut())?;
    TokenPlan::new(args, provider, site, env::var_os("X509_CERT_DIR"), person.as_ref())
}

/// The scopes of a token, if none that was asked for is missing. One that stands for others is there with a part of them.
fn granted(
    token: &TokenAnswer,
    asked: &ScopeSet,
    scope_sets: &ScopeTable,
    issuer: &str,
) -> Result<ScopeSet, Failure> {
    let Some(granted) = token.rights() else {
        // RFC 6749 §5.1 lets an issuer leave it out when it granted what was asked; IAM also does when its policy took
        // everything away. Who has never been heard of before may be either.
        warn(&format!("{issuer} does not say which scopes the token has"));
        return Ok(asked.clone());
    };
    let missing = scope_sets.with_words(asked, &granted).missing(asked);
    if missing.is_empty() {
        return Ok(granted);
    }
    Err(Failure::refused(format!("{issuer} did not grant '{}'", missing.join(" ")))
        .advise("ask for fewer scopes with -s, or ask the issuer's administrators for more"))
}

/// Whether it is for whom it was asked for, as far as that can be read.
fn is_for(token: &TokenAnswer, audience: &str, issuer: &str) -> Result<(), Failure> {
    match token.missing_audience(audience) {
        missing if missing.is_empty() => Ok(()),
        missing => Err(not_for(issuer, &missing.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FailureKind;

    fn answer(scope: Option<&str>) -> TokenAnswer {
        TokenAnswer {
            access_token: Secret::new("at".into()),
            expires_in: 60,
            scope: scope.map(ScopeSet::parse),
            refresh_token: None,
            refresh_token_expires_at: None,
            subject: None,
            jti: None,
            own_scope: None,
            audience: None,
        }
    }

    #[test]
    fn what_is_missing_is_named_and_no_token_is_given() {
        let asked = ScopeSet::parse("openid storage.read:/a compute.read");
        let none = ScopeTable::default();
        let missing = granted(&answer(Some("openid storage.read:/")), &asked, &none, "https://i.example/");
        let failure = missing.unwrap_err();
        assert_eq!(
            (failure.error.as_str(), failure.kind),
            ("https://i.example/ did not grant 'compute.read'", FailureKind::Refused)
        );
        let more = "compute.read openid profile storage.read:/";
        assert_eq!(granted(&answer(Some(more)), &asked, &none, "i"), Ok(ScopeSet::parse(more)));
        assert!(granted(&answer(Some("")), &asked, &none, "i").is_err());
    }

    #[test]
    fn what_the_token_itself_says_counts() {
        let asked = ScopeSet::parse("storage.read:/a");
        let wrong = TokenAnswer {
            own_scope: Some(ScopeSet::parse("profile email")),
            ..answer(Some("storage.read:/"))
        };
        assert_eq!(
            granted(&wrong, &asked, &ScopeTable::default(), "i").unwrap_err().kind,
            FailureKind::Refused
        );
        let others = TokenAnswer { audience: Some(vec!["b".into()]), ..answer(None) };
        assert_eq!(is_for(&others, "a", "i").unwrap_err().error, "i did not make the token for 'a'");
        assert!(is_for(&others, "b", "i").is_ok() && is_for(&others, "", "i").is_ok());
    }

    #[test]
    fn what_is_not_said_is_as_asked() {
        let asked = ScopeSet::parse("openid");
        assert_eq!(granted(&answer(None), &asked, &ScopeTable::default(), "i"), Ok(asked.clone()));
    }
}
