//! `iam-session seal`: lists what opens the accounts, and moves them to the newest node key. Touches the agent's
//! socket.

mod list;

use clap::{Parser, Subcommand};

use super::print_json;
use crate::client::{AgentClient, Places};
use crate::outcome::{Exit, Outcome, print, warn};
use crate::protocol::{Failure, Request, SealAction, SealReport, SealRequest, SealedAccount};
use crate::text::printable;

/// Show what opens your enrolments: a login on this host, or a passphrase.
#[derive(Debug, Parser)]
#[command(name = "seal", bin_name = "iam-session seal", args_conflicts_with_subcommands = true)]
pub(crate) struct SealArgs {
    #[command(subcommand)]
    command: Option<SealCommand>,
    /// One account only
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Print one object instead
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum SealCommand {
    /// Seal them under the newest node key of this host instead of older ones
    Renew {
        /// One account only
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
}

pub(crate) fn run(args: SealArgs) -> Outcome {
    match args.command {
        None => {
            let report = ask(SealAction::List, args.account)?;
            match args.json {
                true => print_json(&report)?,
                false => print(list::render(&report.accounts).as_bytes())?,
            }
            Ok(Exit::Done)
        }
        Some(SealCommand::Renew { account }) => conclude(&ask(SealAction::Renew, account)?),
    }
}

fn ask(action: SealAction, account: Option<String>) -> Result<SealReport, Failure> {
    let mut agent = AgentClient::find(&Places::of_environment())?;
    Ok(agent.ask(&Request::Seal(SealRequest { action, account }))?)
}

/// What was done is a result; what was not, an error each.
fn conclude(report: &SealReport) -> Outcome {
    let mut failed = None;
    if report.accounts.is_empty() {
        return Err(Failure::not_enrolled("you have not enrolled on this host")
            .advise("run 'iam-session enroll'")
            .into());
    }
    for account in &report.accounts {
        match &account.trouble {
            None => print(renewed(account).as_bytes())?,
            Some(trouble) => {
                warn(&format!("account '{}': {}", account.name, trouble.line()));
                failed = failed.or(Some(trouble.kind));
            }
        }
    }
    Ok(failed.map_or(Exit::Done, Exit::With))
}

fn renewed(account: &SealedAccount) -> String {
    let already = if account.changed { "" } else { " already" };
    format!("'{}' is sealed under the newest node key of this host{already}\n", printable(&account.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sealed_under_what_a_user_gives() {
        for line in
            ["seal add passphrase", "seal add node", "seal remove node", "seal renew --passphrase-fd 3"]
        {
            assert!(SealArgs::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        for line in ["seal", "seal --json", "seal --account x --json", "seal renew", "seal renew --account x"]
        {
            assert!(SealArgs::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
