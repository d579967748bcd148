//! `iam-session token --once`: one token of an issuer, without an agent, and nothing stored.
//!
//! Touches the terminal, the site's configuration, the files and descriptors that options name and, through a helper,
//! one issuer. What is no access token of what comes back is dropped unread.

mod client;
mod issuer;
mod plan;

use std::env;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use self::issuer::Issuer;
use self::plan::{Login, Plan};
use super::{TokenArgs, print_token};
use crate::cli::{Exit, Outcome, warn};
use crate::clock::unix_time;
use crate::commands::enroll::report::Report;
use crate::commands::print_json;
use crate::config::{Providers, Site};
use crate::harden::harden;
use crate::helper::Helper;
use crate::issuer::wire::{ClientAuth, TokenAnswer};
use crate::paths::{HELPER, SITE_CONFIG};
use crate::protocol::{Failure, FailureKind};
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_to};

/// What `--once` needs to know, and no agent does.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "With --once")]
pub(super) struct OnceArgs {
    /// Ask the issuer for one token, without an agent and an enrolment; nothing is stored
    #[arg(long, conflicts_with_all = ["account", "min_valid", "force"])]
    pub(super) once: bool,
    /// The issuer's URL, or the name of a provider of this site
    #[arg(long, value_name = "ISSUER-URL | PROVIDER", requires = "once")]
    issuer: Option<String>,
    /// How you log in: with a browser on any device, or with a password, where the site lets you
    #[arg(long, value_enum, value_name = "FLOW", requires = "once", default_value_t)]
    flow: Flow,
    /// The client that asks
    #[arg(long, value_name = "ID", requires = "once", required_if_eq("once", "true"))]
    client_id: Option<String>,
    /// A file whose first line is the client's secret
    #[arg(long, value_name = "FILE", requires = "once")]
    client_secret_file: Option<PathBuf>,
    /// How the client authenticates, where the issuer's own word is not to be followed
    #[arg(long, value_enum, value_name = "METHOD", requires = "once")]
    client_auth: Option<Method>,
    /// Who logs in with a password; otherwise the name you have on this host
    #[arg(long, value_name = "NAME", requires = "once")]
    username: Option<String>,
    /// Read the password from the first line of this descriptor
    #[arg(long, value_name = "N", requires = "once")]
    password_fd: Option<u32>,
}

/// The grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Flow {
    /// RFC 8628.
    #[default]
    Device,
    /// RFC 6749 §4.3.
    Password,
}

/// `token_endpoint_auth_method` (RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Method {
    /// HTTP Basic
    #[value(name = "client_secret_basic", alias = "basic")]
    Basic,
    /// In the form
    #[value(name = "client_secret_post", alias = "post")]
    Post,
    /// A public client
    #[value(name = "none")]
    Public,
}

impl From<Method> for ClientAuth {
    fn from(method: Method) -> Self {
        match method {
            Method::Basic => Self::Basic,
            Method::Post => Self::Post,
            Method::Public => Self::Public,
        }
    }
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
    harden().map_err(|errno| Failure {
        error: format!("cannot keep secrets from others: {}", errno.desc()),
        info: None,
        kind: FailureKind::Failed,
    })?;
    let configuration = Path::new(SITE_CONFIG);
    let site = Site::load(configuration)?;
    let providers = Providers::load(configuration)?;
    let plan = Plan::new(args, &providers, &site, env::var_os("X509_CERT_DIR"))?;
    let login = Login::new(&args.once, &site)?;
    let mut issuer = Issuer::discover(Helper::start(Path::new(HELPER))?, plan)?;
    let asked = issuer.wanted();
    let report = if args.json { Report::Json } else { Report::Text };
    let token = issuer.token(login, &asked, report)?;
    let granted = granted(&token, &asked, issuer.name())?;
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

/// The scopes of a token, if none that was asked for is missing.
fn granted(token: &TokenAnswer, asked: &ScopeSet, issuer: &str) -> Result<ScopeSet, Failure> {
    let Some(granted) = &token.scope else {
        // RFC 6749 §5.1 lets an issuer leave it out when it granted what was asked; IAM also does when its policy took
        // everything away. Who has never been heard of before may be either.
        warn(&format!("{issuer} does not say which scopes the token has"));
        return Ok(asked.clone());
    };
    let missing = granted.missing(asked);
    if missing.is_empty() {
        return Ok(granted.clone());
    }
    Err(Failure {
        error: format!("{issuer} did not grant '{}'", missing.join(" ")),
        info: Some("ask for fewer scopes with -s, or ask the issuer's administrators for more".to_owned()),
        kind: FailureKind::Refused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(scope: Option<&str>) -> TokenAnswer {
        TokenAnswer {
            access_token: Secret::new("at".into()),
            expires_in: 60,
            scope: scope.map(ScopeSet::parse),
            refresh_token: None,
            refresh_token_expires_at: None,
            subject: None,
            jti: None,
        }
    }

    #[test]
    fn what_is_missing_is_named_and_no_token_is_given() {
        let asked = ScopeSet::parse("openid storage.read:/a compute.read");
        let missing = granted(&answer(Some("openid storage.read:/")), &asked, "https://i.example/");
        let failure = missing.unwrap_err();
        assert_eq!(
            (failure.error.as_str(), failure.kind),
            ("https://i.example/ did not grant 'compute.read'", FailureKind::Refused)
        );
        let more = "compute.read openid profile storage.read:/";
        assert_eq!(granted(&answer(Some(more)), &asked, "i"), Ok(ScopeSet::parse(more)));
        assert!(granted(&answer(Some("")), &asked, "i").is_err());
    }

    #[test]
    fn what_is_not_said_is_as_asked() {
        let asked = ScopeSet::parse("openid");
        assert_eq!(granted(&answer(None), &asked, "i"), Ok(asked.clone()));
    }
}
