//! `iam-session use`: chooses the account whose token is in the file. Touches the agent's socket.

use clap::Parser;

use super::account_name;
use crate::client::{AgentClient, Places};
use crate::outcome::{Exit, Outcome, print, warn};
use crate::protocol::{Request, Used};
use crate::text::printable;

/// Put this account's token into the token file, now and at every login.
#[derive(Debug, Parser)]
#[command(name = "use", bin_name = "iam-session use")]
pub(crate) struct UseArgs {
    /// The account, or the issuer's URL if you have one there
    #[arg(value_name = "NAME")]
    account: String,
}

pub(crate) fn run(args: &UseArgs) -> Outcome {
    let mut agent = AgentClient::find(&Places::of_environment())?;
    let account = account_name(&mut agent, &args.account)?;
    let used: Used = agent.ask(&Request::Use { account })?;
    print(
        format!("account '{}' is in use: {}\n", printable(&used.account), printable(&used.token_file))
            .as_bytes(),
    )?;
    if let Some(trouble) = used.trouble {
        warn(&format!("there is no token in the file yet: {}", trouble.error));
        return Ok(Exit::With(trouble.kind));
    }
    Ok(Exit::Done)
}
