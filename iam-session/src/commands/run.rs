//! `iam-session run`: runs a command with a token of its own in its environment, or with none. Touches the agent's
//! socket, and becomes that command.

use std::ffi::OsString;
use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use clap::Parser;

use super::token_options::{TokenOptions, fetch};
use crate::outcome::{Exit, IAM_SESSION, Outcome, Stop};
use crate::paths::{ENV_SESSION, ENV_SOCKET, ENV_TOKEN_FILE};
use crate::protocol::{Failure, TokenRequest};
use crate::secret::Secret;

/// What programs read before they look for a file (WLCG bearer token discovery).
const VARIABLE: &str = "BEARER_TOKEN";
/// As env(1) and nohup(1) have it: this program failed, …
const NOT_READY: u8 = 125;
/// … the command cannot be run, …
const NOT_RUNNABLE: u8 = 126;
/// … or does not exist.
const NOT_FOUND: u8 = 127;

/// Run a command with an access token in BEARER_TOKEN.
///
/// Without -s or --role: the session token. Nobody renews it; a command that outlives it should read the token file.
#[derive(Debug, Parser)]
#[command(name = "run", bin_name = "iam-session run")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    wanted: TokenOptions,
    /// Seconds that the token must still live
    #[arg(long, value_name = "SECONDS")]
    min_valid: Option<u32>,
    /// Run it without any of the session's variables, and so without a token
    #[arg(long, conflicts_with_all = ["scopes", "role", "audiences", "account", "min_valid"])]
    no_token: bool,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

impl RunArgs {
    fn request(&self) -> Result<TokenRequest, Failure> {
        self.wanted.request(self.min_valid.map_or(0, i64::from))
    }
}

/// Takes what the parser said, for a mistake on the command line must not look like the command's own end either.
pub(crate) fn run(args: Result<RunArgs, Stop>) -> Outcome {
    match args.and_then(|args| Ok((token(&args)?, args))) {
        Ok((token, args)) => Ok(exec(&args.command, token.as_ref())),
        Err(Stop::Failure(failure)) => {
            // It says why; the code is ours.
            let _ = Stop::Failure(failure).report(IAM_SESSION);
            Ok(Exit::Code(NOT_READY))
        }
        Err(stop) => Err(stop),
    }
}

/// None is asked for where none is wanted: then no agent need be there.
fn token(args: &RunArgs) -> Result<Option<Secret>, Stop> {
    if args.no_token {
        return Ok(None);
    }
    // The connection, if there is one, ends here, and so before the command begins.
    Ok(Some(fetch(&args.request()?)?.access_token))
}

/// Comes back only if the command does not begin.
fn exec(command: &[OsString], token: Option<&Secret>) -> Exit {
    let Some((program, arguments)) = command.split_first() else { return Exit::Code(NOT_FOUND) };
    let mut command = Command::new(program);
    command.args(arguments);
    match token {
        Some(token) => {
            command.env(VARIABLE, token.expose());
        }
        None => [VARIABLE, ENV_TOKEN_FILE, ENV_SOCKET, ENV_SESSION].into_iter().for_each(|name| {
            command.env_remove(name);
        }),
    }
    let error = command.exec();
    let failure = Failure::failed(format!("cannot run '{}': {}", program.to_string_lossy(), reason(&error)));
    let _ = Stop::Failure(failure).report(IAM_SESSION);
    Exit::Code(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE })
}

fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such command".to_owned(),
        ErrorKind::PermissionDenied => "it is not executable".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    fn parsed(line: &str) -> RunArgs {
        RunArgs::try_parse_from(line.split('|')).unwrap()
    }

    #[test]
    fn what_follows_the_command_is_the_commands() {
        for line in ["run|-s|a|ls|-l|--aud|x", "run|-s|a|--|ls|-l|--aud|x"] {
            let args = parsed(line);
            assert_eq!(args.command, ["ls", "-l", "--aud", "x"], "{line}");
            assert_eq!(args.request().unwrap().scope, ScopeSet::parse("a"));
            assert_eq!(args.request().unwrap().audience, "");
        }
        assert_eq!(parsed("run|--|-odd|--|x").command, ["-odd", "--", "x"]);
    }

    #[test]
    fn a_token_is_asked_for_as_by_token() {
        let request =
            parsed("run|-s|b a|--aud|x y|--aud|z|--account|cms|--min-valid|60|true").request().unwrap();
        assert_eq!((request.scope, request.audience.as_str()), (ScopeSet::parse("a b"), "x y z"));
        assert_eq!((request.account.as_deref(), request.min_valid_period), (Some("cms"), 60));
    }

    #[test]
    fn a_misspelt_option_is_no_command() {
        assert!(RunArgs::try_parse_from(["run", "--acount", "cms", "true"]).is_err());
        for other in ["-s=a", "--aud=x", "--account=a", "--role=r", "--min-valid=1"] {
            assert!(RunArgs::try_parse_from(["run", "--no-token", other, "true"]).is_err(), "{other}");
        }
        assert!(RunArgs::try_parse_from(["run"]).is_err() && RunArgs::try_parse_from(["run", "--"]).is_err());
    }
}
