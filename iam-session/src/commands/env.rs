//! `iam-session env`: the variables of this session, or of a second file for one account, for a shell's eval. Touches
//! the agent's socket.
//!
//! Standard output is for the shell's eval and carries nothing else.

use std::path::Path;

use clap::Parser;

use super::account_name;
use super::shell::ShellSyntax;
use crate::client::{AgentClient, Places};
use crate::outcome::{Exit, Outcome, Stop, print, warn};
use crate::paths::{ENV_SESSION, ENV_SOCKET, ENV_TOKEN_FILE};
use crate::protocol::{Failure, Request, Status, Used};

/// Print what a shell needs: the session's variables, or a token file for one account: eval "$(iam-session env)".
#[derive(Debug, Default, Parser)]
#[command(name = "env", bin_name = "iam-session env")]
pub(crate) struct EnvArgs {
    /// Keep a second file fresh, with this account's token, and print where
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// The shell whose language is printed; the default follows $SHELL
    #[arg(long, value_enum, value_name = "SHELL")]
    shell: Option<ShellSyntax>,
}

pub(crate) fn run(args: &EnvArgs) -> Outcome {
    let shell = ShellSyntax::choose(args.shell);
    let mut agent = AgentClient::find(&Places::of_environment())?;
    match &args.account {
        None => {
            let status: Status = agent.ask(&Request::Status {})?;
            session(shell, agent.path(), &status)
        }
        Some(account) => of_account(shell, &mut agent, account),
    }
}

/// Prints what names a session.
pub(super) fn session(shell: ShellSyntax, socket: &Path, status: &Status) -> Outcome {
    let socket = socket.to_str().ok_or_else(|| unprintable("the socket's path"))?;
    let variables =
        [(ENV_TOKEN_FILE, &*status.token_file), (ENV_SOCKET, socket), (ENV_SESSION, &*status.session)];
    export(shell, &variables)?;
    Ok(Exit::Done)
}

fn of_account(shell: ShellSyntax, agent: &mut AgentClient, account: &str) -> Outcome {
    let account = account_name(agent, account)?;
    let kept: Used = agent.ask(&Request::Keep { account })?;
    // The file is kept from now on: the shell should know it, whether or not there is a token yet.
    export(shell, &[(ENV_TOKEN_FILE, &*kept.token_file)])?;
    if let Some(trouble) = kept.trouble {
        warn(&format!("there is no token in {} yet: {}", kept.token_file, trouble.error));
        return Ok(Exit::With(trouble.kind));
    }
    Ok(Exit::Done)
}

fn export(shell: ShellSyntax, variables: &[(&str, &str)]) -> Result<(), Stop> {
    // A newline would end the line within a value, and in csh even within quotes.
    if variables.iter().any(|(_, value)| value.contains(char::is_control)) {
        return Err(unprintable("the runtime directory's path").into());
    }
    print(shell.export(variables).as_bytes())
}

fn unprintable(what: &str) -> Failure {
    Failure::failed(format!("{what} holds characters that cannot be given to a shell"))
        .advise("tell the administrator")
}
