//! `iam-session-admin revoke` and `unrevoke`: a user gets no agent any more, and loses what there is. Touches
//! /etc/iam-session/revoked; ends agents; starts a mint as the user.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Parser;

use super::account::{self, Account};
use super::kill::{count, end};
use super::process::Agent;
use super::revoked::{self, Listed};
use super::sessions::agents_of;
use super::{advised, audit, failed, node_key, runtime, say};
use crate::agent::errand::{Errand, ErrandError, Inventory, LiveToken, Owner};
use crate::cli::{Exit, Outcome, Stop, warn};
use crate::protocol::{Failure, FailureKind, ForgetAction, ForgetStep};
use crate::store::Keyring;
use crate::text::{printable, utc};

/// A login that had read the list before it was changed has its agent by then; the module waits no longer for one.
const LAST_LOGIN: Duration = Duration::from_millis(300);
/// A user who logs in again and again with an agent that was started by then has no more of those.
const ROUNDS: u32 = 5;
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
    let account = account::find(&args.user)?;
    if account.as_ref().is_some_and(|account| account.uid == 0) {
        return Err(advised("root never has an agent".to_owned(), "give another user").into());
    }
    let name = list(&args.user, account.as_ref())?;
    // Before they end: the last one takes the cache with it.
    let (_, agents) = agents_of(&args.user).unwrap_or_default();
    let before = account.as_ref().map(|account| look(account, &agents)).unwrap_or_default();
    end_all(&args.user, &name)?;
    let account = account.ok_or_else(|| {
        let error = format!("{name} is listed, but no such user is known, so nothing else can be looked at");
        advised(error, "if the home is still there, the issuer's administrators can end the enrolments")
    })?;
    let tokens = before.iter().flat_map(|inventory| inventory.tokens.clone()).collect::<Vec<_>>();
    tell_tokens(&tokens)?;
    if args.at_issuer {
        return at_issuer(&account);
    }
    say(
        "what is enrolled stays good at the issuers: 'iam-session-admin revoke --at-issuer', or have the user disabled there",
    )?;
    Ok(Exit::Done)
}

pub(super) fn unrevoke(args: &UnrevokeArgs) -> Outcome {
    let account = account::find(&args.user)?;
    let changed = revoked::remove(&listed(&args.user, account.as_ref()))?;
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

fn listed<'a>(user: &'a str, account: Option<&'a Account>) -> Listed<'a> {
    let mut names: Vec<&str> = account.map(|account| account.name.as_str()).into_iter().collect();
    names.push(user);
    Listed { names, uid: account.map(|account| account.uid).or_else(|| user.parse().ok()) }
}

fn list(user: &str, account: Option<&Account>) -> Result<String, Stop> {
    let name = account.map_or_else(|| user.to_owned(), |account| account.name.clone());
    let added = revoked::add(&listed(user, account))?;
    audit(&format!("revoked {name}"));
    say(&match added {
        true => {
            format!("{} is listed in {}: no login gets an agent or a key", printable(&name), revoked::REVOKED)
        }
        false => format!("{} was listed in {} already", printable(&name), revoked::REVOKED),
    })?;
    Ok(name)
}

/// Ends the agents, and those of logins that were on their way when the user was listed.
fn end_all(user: &str, name: &str) -> Result<(), Stop> {
    let (mut ended, mut remarks) = (0, String::new());
    for round in 0..ROUNDS {
        let Ok((_, agents)) = agents_of(user) else { break };
        if agents.is_empty() && round > 0 {
            break;
        }
        remarks.push_str(&end(&agents)?);
        ended += agents.len();
        thread::sleep(LAST_LOGIN);
    }
    say(&format!("ended {} of {}{remarks}", count(ended), printable(name)))
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

fn tell_tokens(tokens: &[LiveToken]) -> Result<(), Stop> {
    if tokens.is_empty() {
        return say("no access token is known that lives; one that was copied is good until it ends");
    }
    say("access tokens that were given out stay good until they end:")?;
    for token in tokens {
        let jti = token.jti.as_deref().unwrap_or("unknown");
        let audience = if token.audience.is_empty() { "the issuer's default" } else { &token.audience };
        let LiveToken { issuer, scope, .. } = token;
        let line = format!(
            "until {}  jti {jti}  of {issuer}  scope '{scope}'  audience {audience}",
            utc(token.expires_at)
        );
        say(&format!("  {}", printable(&line)))?;
    }
    Ok(())
}

/// Account by account, with what a login would be given.
fn at_issuer(account: &Account) -> Outcome {
    let runtime = runtime::of(account.uid, account.gid, &[])?.into_iter().next().unwrap_or_default();
    let failed_errand = |error: ErrandError| {
        advised(
            format!("the enrolments of {} are as they were: {error}", account.name),
            "the system log may say more; then run it again",
        )
    };
    let mut errand =
        Errand::start(&owner(account, runtime), || node_key::keyring(account.uid)).map_err(failed_errand)?;
    let inventory = errand.inventory().map_err(failed_errand)?;
    if let Some(trouble) = inventory.trouble {
        return Err(Failure {
            error: format!("the store of {}: {}", account.name, trouble.error),
            ..trouble
        }
        .into());
    }
    if inventory.accounts.is_empty() {
        say(&format!("{} has no enrolment on this host", printable(&account.name)))?;
    }
    let mut exit = Exit::Done;
    for entry in &inventory.accounts {
        // What does not open here is left to a host that has its key, or to the user's passphrase.
        let steps = match &entry.trouble {
            Some(trouble) if entry.enrolled_at.is_none() => Err(trouble.error.clone()),
            _ => errand.forget(entry).map(|forgotten| forgotten.steps).map_err(|error| error.to_string()),
        };
        if !tell_steps(&entry.name, steps)? {
            exit = Exit::With(FailureKind::Failed);
        }
    }
    audit(&format!("ended the enrolments of {} at their issuers", account.name));
    Ok(exit)
}

/// Whether all was done.
fn tell_steps(name: &str, steps: Result<Vec<ForgetStep>, String>) -> Result<bool, Stop> {
    let name = printable(name);
    let steps = match steps {
        Ok(steps) => steps,
        Err(error) => {
            warn(&format!("account '{name}' stays as it is: {error}"));
            return Ok(false);
        }
    };
    let mut all = true;
    for ForgetStep { step, error } in steps {
        let (done, not_done) = match step {
            ForgetAction::Revoke => ("revoked at the issuer", "is still good at the issuer"),
            ForgetAction::Deregister => {
                ("its client deleted at the issuer", "its client stays at the issuer")
            }
            ForgetAction::Remove => ("removed from the user's store", "stays in the user's store"),
        };
        match error {
            None => say(&format!("account '{name}': {done}"))?,
            Some(error) => {
                all = false;
                warn(&format!("account '{name}': {not_done}: {error}"));
            }
        }
    }
    Ok(all)
}

impl From<ErrandError> for Failure {
    fn from(error: ErrandError) -> Self {
        failed(error.to_string())
    }
}
