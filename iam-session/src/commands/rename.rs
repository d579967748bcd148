//! `iam-session rename`: gives an account another name. Touches the agent's socket.

use clap::Parser;

use super::account_name;
use crate::account;
use crate::client::{AgentClient, Places};
use crate::outcome::{Exit, Outcome, print, warn};
use crate::protocol::{Failure, Renamed, Request};
use crate::text::printable;

/// Give an account another name.
#[derive(Debug, Parser)]
#[command(name = "rename", bin_name = "iam-session rename")]
pub(crate) struct RenameArgs {
    /// The account, as 'iam-session list' shows it
    #[arg(value_name = "OLD")]
    account: String,
    /// Its new name, which no account has
    #[arg(value_name = "NEW")]
    to: String,
}

pub(crate) fn run(args: RenameArgs) -> Outcome {
    account::validate(&args.to)
        .map_err(|error| Failure::usage(error.to_string()).advise("choose another name"))?;
    let mut agent = AgentClient::find(&Places::of_environment())?;
    let account = account_name(&mut agent, &args.account)?;
    let renamed: Renamed = agent.ask(&Request::Rename { account: account.clone(), to: args.to })?;
    print(
        format!("account '{}' is now '{}'\n", printable(&account), printable(&renamed.account)).as_bytes(),
    )?;
    if let Some(file) = &renamed.kept_file {
        warn(&format!(
            "its own token file is {file} now: run 'iam-session env --account {}' where it is used",
            renamed.account
        ));
    }
    if let Some(note) = &renamed.note {
        warn(note);
    }
    Ok(Exit::Done)
}
