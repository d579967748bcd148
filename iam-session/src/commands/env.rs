//! `iam-session env`: the variables of this session, or of a second file for one account, for a shell's eval. Touches
//! the agent's socket.
//!
//! `--shell-hook` and `--alias` are for start-up files, which run for every shell: they ask no agent, and so wait for
//! nothing. They read the environment, the user's configuration and whether the token file is there.
//!
//! Standard output is for the shell's eval and carries nothing else.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::Parser;
use nix::unistd::geteuid;

use super::account_name;
use super::status::own_home;
use crate::client::{AgentClient, Places};
use crate::config::User;
use crate::outcome::{Exit, Outcome, Stop, print, warn};
use crate::paths::{ENV_SESSION, ENV_SOCKET, ENV_TOKEN_FILE, RuntimePaths};
use crate::protocol::{Failure, Request, Status, Used};
use crate::shell::ShellSyntax;

/// Print what a shell needs: the session's variables, or a token file for one account: eval "$(iam-session env)".
#[derive(Debug, Default, Parser)]
#[command(name = "env", bin_name = "iam-session env")]
pub(crate) struct EnvArgs {
    /// Keep a second file fresh, with this account's token, and print where
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// For a shell's start-up file: set BEARER_TOKEN_FILE if there is a token, also after each enrolment
    #[arg(long, conflicts_with = "account")]
    shell_hook: bool,
    /// For a shell's start-up file: start the programs of 'without_token' without a token
    #[arg(long, conflicts_with = "account")]
    alias: bool,
    /// The shell whose language is printed; the default follows $SHELL
    #[arg(long, value_enum, value_name = "SHELL")]
    shell: Option<ShellSyntax>,
}

pub(crate) fn run(args: &EnvArgs) -> Outcome {
    let shell = ShellSyntax::choose(args.shell);
    if args.shell_hook || args.alias {
        return at_start(shell, args);
    }
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

/// What is wrong here must spoil no shell's start: `status` and `doctor` say it.
fn at_start(shell: ShellSyntax, args: &EnvArgs) -> Outcome {
    let user = own_home().and_then(|home| User::load(&home).ok()).unwrap_or_default();
    if args.shell_hook {
        print(shell.after_enrolling().as_bytes())?;
        let file = token_file().filter(|_| user.export.is_yes());
        if let Some(file) = file.as_deref().and_then(Path::to_str) {
            export(shell, &[(ENV_TOKEN_FILE, file)])?;
        }
    }
    if args.alias {
        let line = |name: &String| shell.alias(name, &format!("iam-session run --no-token -- {name}"));
        print(user.without_token.iter().map(line).collect::<String>().as_bytes())?;
    }
    Ok(Exit::Done)
}

/// The session's token file, if it is there and this shell does not know any.
fn token_file() -> Option<PathBuf> {
    if env::var_os(ENV_TOKEN_FILE).is_some_and(|value| !value.is_empty()) {
        return None;
    }
    let socket = PathBuf::from(env::var_os(ENV_SOCKET)?);
    let directory = socket.parent()?.parent().filter(|directory| directory.is_absolute())?;
    let file = RuntimePaths::new(directory, geteuid().as_raw()).token_file();
    // Su and sudo may have kept the variables of another user.
    let is_own = |its: fs::Metadata| its.is_file() && its.uid() == geteuid().as_raw();
    fs::symlink_metadata(&file).is_ok_and(is_own).then_some(file)
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
