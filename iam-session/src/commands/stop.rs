//! `iam-session stop`: ends the agent that `start` has started for this shell. Touches the agent's socket.

use std::env;
use std::path::PathBuf;

use clap::Parser;
use nix::unistd::geteuid;

use crate::client::{AgentClient, ClientError};
use crate::outcome::{Exit, Outcome, print, warn};
use crate::paths::{ENV_SESSION, ENV_SOCKET, ENV_TOKEN_FILE};
use crate::protocol::{Failure, Heeded, Request, StopMode};
use crate::shell::ShellSyntax;

/// End the agent that 'iam-session start' started, and forget it: eval "$(iam-session stop)".
#[derive(Debug, Default, Parser)]
#[command(name = "stop", bin_name = "iam-session stop")]
pub(crate) struct StopArgs {
    /// The shell whose language is printed; the default follows $SHELL
    #[arg(long, value_enum, value_name = "SHELL")]
    shell: Option<ShellSyntax>,
}

pub(crate) fn run(args: &StopArgs) -> Outcome {
    let shell = ShellSyntax::choose(args.shell);
    let path = env::var_os(ENV_SOCKET).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = path.ok_or_else(|| {
        Failure::no_agent(format!("{ENV_SOCKET} is not set: this shell has no agent"))
            .advise("run it in the shell where you ran 'iam-session start'")
    })?;
    match AgentClient::connect(&path, geteuid().as_raw()) {
        Ok(mut agent) => {
            agent.ask::<Heeded>(&Request::Stop { mode: StopMode::Started })?;
            agent.wait_for_its_end();
        }
        Err(ClientError::Dead { .. }) => warn("the agent has ended already"),
        Err(error) => return Err(error.into()),
    }
    print(shell.unset(&[ENV_TOKEN_FILE, ENV_SOCKET, ENV_SESSION]).as_bytes())?;
    Ok(Exit::Done)
}
