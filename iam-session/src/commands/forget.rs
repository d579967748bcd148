//! `iam-session forget`: ends an account, and says what could not be ended. Touches the agent's socket.

use clap::Parser;

use crate::account;
use crate::client::{AgentClient, Places};
use crate::outcome::{Exit, Outcome, Stop, print, warn};
use crate::protocol::{Ending, Failure, FailureKind, ForgetAction, ForgetStep, Forgotten, Request};
use crate::text::printable;

/// Revoke an account's refresh token, deregister its client and remove it from the store.
#[derive(Debug, Parser)]
#[command(name = "forget", bin_name = "iam-session forget")]
pub(crate) struct ForgetArgs {
    /// The account, as 'iam-session list' shows it
    #[arg(value_name = "NAME")]
    account: String,
    /// Remove it only here: no issuer is asked, and no passphrase is needed
    #[arg(long)]
    local: bool,
}

pub(crate) fn run(args: ForgetArgs) -> Outcome {
    account::validate(&args.account)
        .map_err(|error| Failure::usage(error.to_string()).advise("'iam-session list' shows the accounts"))?;
    let mut agent = AgentClient::find(&Places::of_environment())?;
    let mode = if args.local { Ending::Remove } else { Ending::Forget };
    let forgotten: Forgotten = agent.ask(&Request::EndAccount { account: args.account, mode })?;
    tell(&forgotten, "")?;
    // Where it is removed here alone, what stays at the issuer was meant to.
    let counts = |step: &ForgetStep| mode == Ending::Forget || step.step == ForgetAction::Remove;
    let is_left = forgotten.steps.iter().any(|step| counts(step) && step.error.is_some());
    Ok(if is_left { Exit::With(FailureKind::Failed) } else { Exit::Done })
}

/// A line for each step, after `prefix`; whether all of them were done.
pub(super) fn tell(forgotten: &Forgotten, prefix: &str) -> Result<bool, Stop> {
    for step in &forgotten.steps {
        match &step.error {
            None => print(format!("{prefix}{}\n", done(step, &forgotten.account)).as_bytes())?,
            Some(error) => warn(&format!("{prefix}{}: {error}", left_behind(step, &forgotten.account))),
        }
    }
    Ok(forgotten.steps.iter().all(|step| step.error.is_none()))
}

fn done(step: &ForgetStep, account: &str) -> String {
    match step.step {
        ForgetAction::Revoke if step.was_gone => {
            "the issuer knew neither the client nor its refresh token any more".to_owned()
        }
        ForgetAction::Revoke => "revoked the refresh token".to_owned(),
        ForgetAction::Deregister if step.was_gone => {
            "the issuer does not know the client any more".to_owned()
        }
        ForgetAction::Deregister => "deregistered the client".to_owned(),
        ForgetAction::Remove => format!("removed account '{}'", printable(account)),
    }
}

fn left_behind(step: &ForgetStep, account: &str) -> String {
    match step.step {
        ForgetAction::Revoke => "the refresh token stays valid at the issuer".to_owned(),
        ForgetAction::Deregister => "the client stays registered at the issuer".to_owned(),
        ForgetAction::Remove => format!("account '{account}' stays stored here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_told_either_way() {
        let told = |step| {
            let step = ForgetStep { step, error: None, was_gone: false };
            (done(&step, "wlcg"), left_behind(&step, "wlcg"))
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            told(ForgetAction::Revoke),
            pair("revoked the refresh token", "the refresh token stays valid at the issuer")
        );
        assert_eq!(
            told(ForgetAction::Deregister),
            pair("deregistered the client", "the client stays registered at the issuer")
        );
        assert_eq!(
            told(ForgetAction::Remove),
            pair("removed account 'wlcg'", "account 'wlcg' stays stored here")
        );
    }

    #[test]
    fn exactly_one_account_is_named() {
        assert!(ForgetArgs::try_parse_from(["forget", "a"]).is_ok());
        assert!(ForgetArgs::try_parse_from(["forget", "a", "b"]).is_err());
        assert!(ForgetArgs::try_parse_from(["forget"]).is_err());
    }
}
