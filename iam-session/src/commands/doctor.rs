//! `iam-session doctor`: why has this login no token? Starts itself again, and there threads; what each check touches
//! stands in its file.
//!
//! Each check has a thread and a deadline of its own: a home on a dead file server hangs its check and no other. And
//! all of them have a process of their own, which is not waited for: while one of its threads waits for such a file
//! system, the kernel may not let it end.

mod deadline;
mod finding;
mod installed;
mod issuers;
mod logind;
mod pam;
mod programs;
mod runtime;
mod session;
mod storage;
mod subprocess;
mod surroundings;
mod token_file;

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use self::deadline::Check;
use self::finding::{Finding, Severity, render};
use self::session::SessionLook;
use self::storage::StorageUrl;
use super::print_json;
use super::status::mistakes;
use crate::client::Places;
use crate::outcome::{Exit, Outcome, print};
use crate::protocol::{End, Failure, FailureKind};

/// What needs no more than this host: longer, and what it looks at hangs.
const LOCAL: Duration = Duration::from_secs(5);
/// Connecting to a stopped agent takes 5 s, and its answer may take 10.
const AGENT: Duration = Duration::from_secs(16);
/// An issuer that takes longer to say who it is is out of reach for a login.
const ISSUER: Duration = Duration::from_secs(20);
/// As long as xrdfs is let run, and a moment.
const STORAGE: Duration = Duration::from_secs(32);

/// Find out why this login has no token, or why a storage element refuses it.
///
/// Each line is one finding, with the command that mends it if there is one.
#[derive(Debug, Default, Parser)]
#[command(name = "doctor", bin_name = "iam-session doctor")]
pub(crate) struct DoctorArgs {
    /// A file or directory of a storage element, roots://HOST[:PORT]//PATH, to try the token on
    #[arg(value_name = "URL")]
    url: Option<StorageUrl>,
    /// Print one object instead
    #[arg(long)]
    json: bool,
    /// Look, in this process, and print the findings for the one that started it
    #[arg(long, hide = true)]
    look: bool,
}

/// What `--json` prints.
#[derive(Serialize, Deserialize)]
struct DoctorReport {
    healthy: bool,
    findings: Vec<Finding>,
}

impl DoctorReport {
    fn of(findings: Vec<Finding>) -> Self {
        Self { healthy: findings.iter().all(|finding| finding.state != Severity::Wrong), findings }
    }
}

pub(crate) fn run(args: DoctorArgs) -> Outcome {
    if args.look {
        print_json(&DoctorReport::of(examine(args.url)))?;
        return Ok(Exit::Done);
    }
    if args.url.is_some() && geteuid().is_root() {
        // xrdfs is whatever PATH says, which may be a user's.
        return Err(Failure::failed("root has no token to try")
            .advise("run this as the user whose token is refused")
            .into());
    }
    let report = subprocess::report(args.url.as_ref())?;
    if args.json {
        print_json(&report)?;
    } else {
        print(render(&report.findings).as_bytes())?;
    }
    Ok(if report.healthy { Exit::Done } else { Exit::With(FailureKind::Failed) })
}

/// The agent first, for the rest looks where it says; then all at once.
fn examine(url: Option<StorageUrl>) -> Vec<Finding> {
    let places = Places::of_environment();
    let uid = places.uid();
    let (session, found) = match deadline::first(AGENT, move || session::look(&places)) {
        Some((session, findings)) => (session, findings),
        None => (SessionLook::default(), vec![Finding::unknown("agent", "it does not answer in time")]),
    };
    let session = Arc::new(session);
    let mut checks = Vec::new();
    let mut add = |name, patience, check: fn(&SessionLook, u32) -> Vec<Finding>| {
        let session = Arc::clone(&session);
        checks.push(Check::new(name, patience, move || check(&session, uid)));
    };
    // What 'iam-session start' started needs neither module nor node key.
    if !session.status.as_ref().is_some_and(|status| status.ends == End::Shell) {
        add("PAM", LOCAL, |_, uid| pam::look(uid));
        add("module", LOCAL, |_, _| installed::module());
    }
    add("programs", LOCAL, |_, uid| installed::programs_and_keys(uid));
    add("runtime directory", LOCAL, runtime::look);
    add("configuration", LOCAL, |_, _| configuration());
    add("token file", LOCAL, token_file::look);
    add("environment", LOCAL, surroundings::look);
    add("your programs", LOCAL, |_, uid| programs::look(uid));
    add("issuer", ISSUER, |session, _| issuers::look(session));
    if let Some(url) = url {
        let session = Arc::clone(&session);
        checks.push(Check::new("storage", STORAGE, move || storage::look(&url, &session)));
    }
    let mut findings = found;
    findings.extend(deadline::all(checks));
    findings
}

fn configuration() -> Vec<Finding> {
    let mistakes = mistakes();
    if mistakes.is_empty() {
        return vec![Finding::ok("configuration", "no mistakes")];
    }
    let wrong = |error: &crate::config::ConfigError| Finding::wrong("configuration", &error.to_string(), "");
    mistakes.iter().map(wrong).collect()
}
