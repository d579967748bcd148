//! `iam-session-admin revoke` and `unrevoke`: a user gets no agent any more, and loses what there is. Touches
//! /etc/iam-session/revoked; ends agents; starts a mint as the user.

mod ending;
mod report;

use std::path::PathBuf;

use clap::Parser;
use nix::sys::signal::{SigSet, Signal};

use self::report::Report;
use super::account::Account;
use super::kill::count;
use super::process::Agent;
use super::revoked::{self, Listed};
use super::sessions::{agents_with, who};
use super::{advised, audit, failed, node_key, runtime, say};
use crate::agent::errand::{Errand, ErrandError, Inventory, LiveToken, Owner};
use crate::cli::{Exit, Outcome, warn};
use crate::protocol::{Failure, ForgetAction, ForgetStep};
use crate::store::Keyring;
use crate::text::{printable, utc};

/// A user has one runtime directory, and perhaps one of `iam-session start`; more could only be meant to take our time.
const MAX_PLACES: usize = 3;

/// Give a user no agent any more: list in /etc/iam-session/revoked and end the agents.
#[derive(Debug, Parser)]
pub(super) struct RevokeArgs {
    /// A user name or a uid
    user: String,
    /// Also revoke the enrolments at their issuers, delete their clients there and remove them from the user's store
    #[arg(long)]
    at_issuer: bool,
}

/// Give a user agents again.
#[derive(Debug, Parser)]
pub(super) struct UnrevokeArgs {
    /// A user name or a uid
    user: String,
}

pub(super) fn run(args: &RevokeArgs) -> Outcome {
    // A connection that drops in the middle of it must not end it there.
    let _ = SigSet::from(Signal::SIGHUP).thread_block();
    let (account, uid) = who(&args.user)?;
    if uid == Some(0) {
        return Err(advised("root never has an agent".to_owned(), "give another user").into());
    }
    let mut report = Report::default();
    let name = list(&args.user, account.as_ref(), uid, &mut report)?;
    revoke(args, account.as_ref(), uid, &name, &mut report);
    report.tell()
}

/// What follows the list. Each step is tried, whatever becomes of those before it.
fn revoke(args: &RevokeArgs, account: Option<&Account>, uid: Option<u32>, name: &str, report: &mut Report) {
    let Some(uid) = uid else {
        report.failed(advised(
            format!(
                "{name} is listed, but no such user is known: agents may live, and are found by the uid alone"
            ),
            "give the uid: 'iam-session-admin revoke UID'; 'iam-session-admin sessions' lists the agents",
        ));
        return;
    };
    // Before they end: the last one takes the cache with it.
    let agents = agents_with(uid).unwrap_or_default();
    let before = account.map(|account| look(account, &agents)).unwrap_or_default();
    let ended = ending::end_all(uid);
    audit(&format!("ended {} of {name}", count(ended.agents.len())));
    report.say(format!("ended {} of {}", count(ended.agents.len()), printable(name)));
    if ended.jobs > 0 {
        report.say(format!("ended what worked for them: {} mints and helpers", ended.jobs));
    }
    ended.trouble.into_iter().for_each(|failure| report.failed(failure));
    let Some(account) = account else {
        report.failed(advised(
            format!("{name} is listed, but no such user is known, so nothing else can be looked at"),
            "if the home is still there, the issuer's administrators can end the enrolments",
        ));
        return;
    };
    let tokens = before.iter().flat_map(|inventory| inventory.tokens.clone()).collect::<Vec<_>>();
    tell_tokens(&tokens, report);
    if !args.at_issuer {
        report.say("what is enrolled stays good at the issuers: 'iam-session-admin revoke --at-issuer', or have the user disabled there".to_owned());
    } else if let Err(failure) = at_issuer(account, report) {
        audit(&format!("ended no enrolment of {name} at an issuer: {}", failure.error));
        report.failed(failure);
    }
}

pub(super) fn unrevoke(args: &UnrevokeArgs) -> Outcome {
    let (account, uid) = who(&args.user)?;
    let changed = revoked::remove(&listed(&args.user, account.as_ref(), uid))?;
    let user = printable(&args.user);
    match changed {
        true => say(&format!(
            "{user} is not in {} any more, and gets an agent at the next login",
            revoked::REVOKED
        ))?,
        false => say(&format!("{user} was not in {}", revoked::REVOKED))?,
    }
    if changed {
        audit(&format!("gives agents to {user} again"));
    }
    Ok(Exit::Done)
}

fn listed<'a>(user: &'a str, account: Option<&'a Account>, uid: Option<u32>) -> Listed<'a> {
    let mut names: Vec<&str> = account.map(|account| account.name.as_str()).into_iter().collect();
    names.push(user);
    Listed { names, uid }
}

fn list(
    user: &str,
    account: Option<&Account>,
    uid: Option<u32>,
    report: &mut Report,
) -> Result<String, Failure> {
    let name = account.map_or_else(|| user.to_owned(), |account| account.name.clone());
    let added = revoked::add(&listed(user, account, uid))?;
    audit(&format!("revoked {name}"));
    let shown = printable(&name);
    report.say(match added {
        true => {
            format!("{shown} is listed in {}: no login on this host gets an agent or a key", revoked::REVOKED)
        }
        false => format!("{shown} was listed in {} already", revoked::REVOKED),
    });
    report.say("each host that shares the homes has a list of its own: run this there, too".to_owned());
    Ok(name)
}

/// What there is, where the user's agents meet; what cannot be looked at is told and no obstacle.
fn look(account: &Account, agents: &[Agent]) -> Vec<Inventory> {
    let directories = runtime::of(account.uid, account.gid, agents).unwrap_or_default();
    let look = |runtime: PathBuf| -> Result<Inventory, ErrandError> {
        // Without a key: tokens lie in the cache in clear.
        Errand::start(&owner(account, runtime), Keyring::default)?.inventory()
    };
    let looked = directories.into_iter().take(MAX_PLACES).map(look);
    let told =
        |error: &ErrandError| warn(&format!("the access tokens of {} are not known: {error}", account.name));
    looked.filter_map(|inventory| inventory.inspect_err(told).ok()).collect()
}

fn owner(account: &Account, runtime: PathBuf) -> Owner {
    Owner {
        user: account.name.clone(),
        uid: account.uid,
        gid: account.gid,
        home: account.home.clone().into(),
        runtime,
    }
}

fn tell_tokens(tokens: &[LiveToken], report: &mut Report) {
    if tokens.is_empty() {
        return report.say(
            "no access token is known that lives; one that was copied is good until it ends".to_owned(),
        );
    }
    report.say("access tokens that were given out stay good until they end:".to_owned());
    for token in tokens {
        let jti = token.jti.as_deref().unwrap_or("unknown");
        let audience = if token.audience.is_empty() { "the issuer's default" } else { &token.audience };
        let LiveToken { issuer, scope, .. } = token;
        let line = format!(
            "until {}  jti {jti}  of {issuer}  scope '{scope}'  audience {audience}",
            utc(token.expires_at)
        );
        report.say(format!("  {}", printable(&line)));
    }
}

/// Account by account, with what a login would be given.
fn at_issuer(account: &Account, report: &mut Report) -> Result<(), Failure> {
    let user = &account.name;
    let runtime = runtime::of(account.uid, account.gid, &[])?.into_iter().next().unwrap_or_default();
    let failed_errand = |error: ErrandError| {
        advised(
            format!("the enrolments of {user} are as they were: {error}"),
            "the system log may say more; then run it again",
        )
    };
    let mut errand =
        Errand::start(&owner(account, runtime), || node_key::keyring(account.uid)).map_err(failed_errand)?;
    let inventory = errand.inventory().map_err(failed_errand)?;
    if let Some(trouble) = inventory.trouble {
        return Err(Failure { error: format!("the store of {user}: {}", trouble.error), ..trouble });
    }
    if inventory.accounts.is_empty() {
        report.say(format!("{} has no enrolment on this host", printable(user)));
    }
    for entry in &inventory.accounts {
        // What does not open here is left to a host that has its key, or to the user's passphrase.
        let steps = match &entry.trouble {
            Some(trouble) if entry.enrolled_at.is_none() => Err(trouble.error.clone()),
            _ => errand.forget(entry).map(|forgotten| forgotten.steps).map_err(|error| error.to_string()),
        };
        for line in tell_steps(&entry.name, steps, report) {
            audit(&format!("of {user}, {line}"));
        }
    }
    Ok(())
}

/// A line for each step of one account, in the report and for the log.
fn tell_steps(name: &str, steps: Result<Vec<ForgetStep>, String>, report: &mut Report) -> Vec<String> {
    let name = printable(name);
    let steps = match steps {
        Ok(steps) => steps,
        Err(error) => {
            let line = format!("account '{name}' stays as it is: {error}");
            report.warn(line.clone());
            return vec![line];
        }
    };
    let told = steps.into_iter().map(|ForgetStep { step, error }| {
        let (done, not_done) = match step {
            ForgetAction::Revoke => ("revoked at the issuer", "is still good at the issuer"),
            ForgetAction::Deregister => {
                ("its client deleted at the issuer", "its client stays at the issuer")
            }
            ForgetAction::Remove => ("removed from the user's store", "stays in the user's store"),
        };
        match error {
            None => {
                let line = format!("account '{name}': {done}");
                report.say(line.clone());
                line
            }
            Some(error) => {
                let line = format!("account '{name}': {not_done}: {error}");
                report.warn(line.clone());
                line
            }
        }
    });
    told.collect()
}

impl From<ErrandError> for Failure {
    fn from(error: ErrandError) -> Self {
        failed(error.to_string())
    }
}

#[cfg(test)]
mod tests;
