//! `iam-session forget`: ends an account, and says what could not be ended. Touches the agent's socket.

use clap::Parser;

use crate::account;
use crate::cli::{Exit, Outcome, print, warn};
use crate::client::{Agent, Places};
use crate::protocol::{Failure, FailureKind, ForgetAction, ForgetStep, Forgotten, Request};
use crate::text::printable;

/// Revoke an account's refresh token, deregister its client and remove what is stored of it.
#[derive(Debug, Parser)]
#[command(name = "forget", bin_name = "iam-session forget")]
pub(crate) struct ForgetArgs {
    /// The account, as 'iam-session status' shows it
    #[arg(value_name = "NAME")]
    account: String,
}

pub(crate) fn run(args: ForgetArgs) -> Outcome {
    account::validate(&args.account).map_err(|error| Failure {
        error: error.to_string(),
        info: Some("'iam-session status' lists the accounts".to_owned()),
        kind: FailureKind::Usage,
    })?;
    let mut agent = Agent::find(&Places::of_environment())?;
    let forgotten: Forgotten = agent.ask(&Request::Forget { account: args.account })?;
    let mut exit = Exit::Done;
    for step in &forgotten.steps {
        match &step.error {
            None => print(format!("{}\n", done(step, &forgotten.account)).as_bytes())?,
            Some(error) => {
                warn(&format!("{}: {error}", left_behind(step, &forgotten.account)));
                exit = Exit::With(FailureKind::Failed);
            }
        }
    }
    Ok(exit)
}

fn done(step: &ForgetStep, account: &str) -> String {
    match step.step {
        ForgetAction::Revoke => "revoked the refresh token".to_owned(),
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
            let step = ForgetStep { step, error: None };
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
