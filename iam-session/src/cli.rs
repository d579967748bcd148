//! The command line: finds the command that is meant, and turns its end into an exit code. Touches the standard
//! streams.
//!
//! `token` runs in scripts, often. So the first argument is matched by hand, and only the parser of that one command
//! is built. The parser of the whole line is for help, versions and mistakes.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _, Parser};

use crate::commands::decode::DecodeArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::enroll::EnrollArgs;
use crate::commands::env::EnvArgs;
use crate::commands::forget::ForgetArgs;
use crate::commands::list::ListArgs;
use crate::commands::lock::LockArgs;
use crate::commands::providers::ProvidersArgs;
use crate::commands::reenroll::ReenrollArgs;
use crate::commands::rename::RenameArgs;
use crate::commands::revoke::RevokeArgs;
use crate::commands::run::RunArgs;
use crate::commands::seal::SealArgs;
use crate::commands::start::StartArgs;
use crate::commands::status::StatusArgs;
use crate::commands::stop::StopArgs;
use crate::commands::token::TokenArgs;
use crate::commands::unlock::UnlockArgs;
use crate::commands::use_account::UseArgs;
use crate::commands::{
    decode, doctor, enroll, env, forget, list, lock, providers, reenroll, rename, revoke, run, seal, start,
    status, stop, token, unlock, use_account,
};
use crate::outcome::{IAM_SESSION, Outcome, Stop};
use crate::usage::help_or_mistake;

/// A fresh access token for every login session.
#[derive(Parser)]
#[command(name = "iam-session", version, override_usage = "iam-session [COMMAND]", after_help = AFTER_HELP)]
enum Cli {
    /// Print an access token
    Token(TokenArgs),
    /// Run a command with an access token in its environment
    Run(RunArgs),
    /// Show what is in a token
    Decode(DecodeArgs),
    /// Show how the session stands; also 'iam-session' alone
    Status(StatusArgs),
    /// Enrol with an issuer, once, with a browser on any device
    #[command(visible_alias = "login")]
    Enroll(EnrollArgs),
    /// List the providers that can be enrolled with by name
    Providers(ProvidersArgs),
    /// Revoke, deregister and remove an account
    Forget(ForgetArgs),
    /// List the accounts
    List(ListArgs),
    /// Put an account's token into the file
    Use(UseArgs),
    /// Print a shell's variables: eval "$(iam-session env --account NAME)"
    Env(EnvArgs),
    /// Give an account another name
    Rename(RenameArgs),
    /// Ask for a new consent for an account
    Reenroll(ReenrollArgs),
    /// End all accounts at their issuers and all agents on this host
    Revoke(RevokeArgs),
    /// Start an agent if no login has: eval "$(iam-session start)"
    Start(StartArgs),
    /// End the agent that 'start' started: eval "$(iam-session stop)"
    Stop(StopArgs),
    /// Lock this host until a passphrase is given
    Lock(LockArgs),
    /// Open this host, or accounts, with their passphrase
    Unlock(UnlockArgs),
    /// Show what opens your enrolments, or move them to a newer node key
    Seal(SealArgs),
    /// Find out why there is no token, or why a storage element refuses it
    Doctor(DoctorArgs),
}

const AFTER_HELP: &str = "\
Exit status: 0 ok, 1 failed, 2 usage, 3 not enrolled, 4 no agent, 5 refused or fewer scopes than asked,
6 locked, 7 issuer out of reach; 'run' ends as its command, or with 125 to 127. Manual: iam-session(1).";

/// The whole command line, for what describes it: shells' completions.
pub fn command() -> Command {
    Cli::command()
}
/// Runs the command that `arguments` (the program's name first) ask for.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match execute(arguments) {
        Ok(exit) => exit.code(),
        Err(stop) => stop.report(IAM_SESSION),
    }
}

fn execute(arguments: Vec<OsString>) -> Outcome {
    let command = arguments.get(1).map(|argument| argument.to_str().unwrap_or_default());
    match command {
        None => status::run(&StatusArgs::default()),
        Some("token") => token::run(parse(arguments)?),
        Some("run") => run::run(parse(arguments)),
        Some("decode") => decode::run(&parse(arguments)?),
        Some("status") => status::run(&parse(arguments)?),
        Some("enroll" | "login") => enroll::run(parse(arguments)?),
        Some("providers") => providers::run(&parse(arguments)?),
        Some("forget") => forget::run(parse(arguments)?),
        Some("list") => list::run(&parse(arguments)?),
        Some("use") => use_account::run(&parse(arguments)?),
        Some("env") => env::run(&parse(arguments)?),
        Some("rename") => rename::run(parse(arguments)?),
        Some("reenroll") => reenroll::run(parse(arguments)?),
        Some("revoke") => revoke::run(&parse(arguments)?),
        Some("start") => start::run(&parse(arguments)?),
        Some("stop") => stop::run(&parse(arguments)?),
        Some("lock") => lock::run(&parse(arguments)?),
        Some("unlock") => unlock::run(&parse(arguments)?),
        Some("seal") => seal::run(parse(arguments)?),
        Some("doctor") => doctor::run(parse(arguments)?),
        Some(_) => whole_line(arguments),
    }
}

/// One command's own parser; the program's name is left out, for the command stands in its place.
fn parse<T: Parser>(arguments: Vec<OsString>) -> Result<T, Stop> {
    T::try_parse_from(arguments.into_iter().skip(1)).map_err(|error| {
        let command = T::command();
        let name = command.get_bin_name().unwrap_or("iam-session").to_owned();
        help_or_mistake(&error, &name)
    })
}

fn whole_line(arguments: Vec<OsString>) -> Outcome {
    match Cli::try_parse_from(arguments) {
        Ok(Cli::Token(args)) => token::run(args),
        Ok(Cli::Run(args)) => run::run(Ok(args)),
        Ok(Cli::Decode(args)) => decode::run(&args),
        Ok(Cli::Status(args)) => status::run(&args),
        Ok(Cli::Enroll(args)) => enroll::run(args),
        Ok(Cli::Providers(args)) => providers::run(&args),
        Ok(Cli::Forget(args)) => forget::run(args),
        Ok(Cli::List(args)) => list::run(&args),
        Ok(Cli::Use(args)) => use_account::run(&args),
        Ok(Cli::Env(args)) => env::run(&args),
        Ok(Cli::Rename(args)) => rename::run(args),
        Ok(Cli::Reenroll(args)) => reenroll::run(args),
        Ok(Cli::Revoke(args)) => revoke::run(&args),
        Ok(Cli::Start(args)) => start::run(&args),
        Ok(Cli::Stop(args)) => stop::run(&args),
        Ok(Cli::Lock(args)) => lock::run(&args),
        Ok(Cli::Unlock(args)) => unlock::run(&args),
        Ok(Cli::Seal(args)) => seal::run(args),
        Ok(Cli::Doctor(args)) => doctor::run(args),
        Err(error) => Err(help_or_mistake(&error, "iam-session")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T: Parser>(line: &str) -> String {
        let parsed = parse::<T>(line.split(' ').map(OsString::from).collect());
        match parsed {
            Ok(_) => "accepted".to_owned(),
            Err(Stop::Failure(failure)) => format!("{}; {}", failure.error, failure.info.unwrap_or_default()),
            Err(_) => "help".to_owned(),
        }
    }

    #[test]
    fn the_whole_command_line_is_consistent() {
        Cli::command().debug_assert();
        TokenArgs::command().debug_assert();
        RunArgs::command().debug_assert();
        DecodeArgs::command().debug_assert();
        EnrollArgs::command().debug_assert();
        StatusArgs::command().debug_assert();
        ProvidersArgs::command().debug_assert();
        ForgetArgs::command().debug_assert();
        for command in [
            ListArgs::command(),
            UseArgs::command(),
            EnvArgs::command(),
            RenameArgs::command(),
            ReenrollArgs::command(),
            RevokeArgs::command(),
        ] {
            command.debug_assert();
        }
        StartArgs::command().debug_assert();
        StopArgs::command().debug_assert();
        LockArgs::command().debug_assert();
        UnlockArgs::command().debug_assert();
        SealArgs::command().debug_assert();
        DoctorArgs::command().debug_assert();
    }

    #[test]
    fn every_option_is_in_the_manual() {
        for (command, page) in [
            (TokenArgs::command(), include_str!("../../packaging/man/iam-session-token.1")),
            (RunArgs::command(), include_str!("../../packaging/man/iam-session-run.1")),
            (DecodeArgs::command(), include_str!("../../packaging/man/iam-session-decode.1")),
            (EnrollArgs::command(), include_str!("../../packaging/man/iam-session-enroll.1")),
            (StatusArgs::command(), include_str!("../../packaging/man/iam-session-status.1")),
            (ProvidersArgs::command(), include_str!("../../packaging/man/iam-session-providers.1")),
            (ForgetArgs::command(), include_str!("../../packaging/man/iam-session-forget.1")),
            (ListArgs::command(), include_str!("../../packaging/man/iam-session-list.1")),
            (UseArgs::command(), include_str!("../../packaging/man/iam-session-use.1")),
            (EnvArgs::command(), include_str!("../../packaging/man/iam-session-env.1")),
            (RenameArgs::command(), include_str!("../../packaging/man/iam-session-rename.1")),
            (ReenrollArgs::command(), include_str!("../../packaging/man/iam-session-reenroll.1")),
            (RevokeArgs::command(), include_str!("../../packaging/man/iam-session-revoke.1")),
            (StartArgs::command(), include_str!("../../packaging/man/iam-session-start.1")),
            (StopArgs::command(), include_str!("../../packaging/man/iam-session-stop.1")),
            (LockArgs::command(), include_str!("../../packaging/man/iam-session-lock.1")),
            (UnlockArgs::command(), include_str!("../../packaging/man/iam-session-unlock.1")),
            (SealArgs::command(), include_str!("../../packaging/man/iam-session-seal.1")),
            (DoctorArgs::command(), include_str!("../../packaging/man/iam-session-doctor.1")),
        ] {
            let page = page.replace("\\-", "-");
            let shown = |argument: &&clap::Arg| !argument.is_hide_set();
            let below = command.get_subcommands().flat_map(|below| below.get_arguments());
            let all = command.get_arguments().chain(below).filter(shown);
            for name in all.filter_map(|argument| argument.get_long()) {
                assert!(page.contains(&format!("--{name}")), "{}: --{name}", command.get_name());
            }
        }
        let page = include_str!("../../packaging/man/iam-session.1");
        for command in Cli::command().get_subcommands() {
            assert!(
                page.contains(&format!("B {}", command.get_name()))
                    || page.contains(&format!("BR {} ", command.get_name()))
            );
        }
    }

    #[test]
    fn no_command_is_without_its_page() {
        let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/man");
        for command in Cli::command().get_subcommands() {
            let page = pages.join(format!("iam-session-{}.1", command.get_name()));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{page:?}: {error}"));
            let text = text.replace("\\-", "-");
            let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
            for argument in shown {
                let long = argument.get_long().map(|name| format!("--{name}"));
                let short = argument.get_short().map(|name| format!("-{name}"));
                for option in long.into_iter().chain(short) {
                    assert!(text.contains(&option), "{page:?}: {option}");
                }
            }
            let named = format!("iam-session-{} (1)", command.get_name());
            let main = std::fs::read_to_string(pages.join("iam-session.1")).unwrap().replace("\\-", "-");
            assert!(main.contains(&named), "iam-session.1: {named}");
        }
    }

    #[test]
    fn a_mistake_is_one_line() {
        assert_eq!(
            error::<TokenArgs>("iam-session token --jsn"),
            "unexpected argument '--jsn' found; a similar argument exists: '--json'; see 'iam-session token --help'"
        );
        assert_eq!(
            error::<ForgetArgs>("iam-session forget"),
            "the following required arguments were not provided: <NAME>; see 'iam-session forget --help'"
        );
        assert_eq!(
            error::<TokenArgs>("iam-session token --min-valid soon"),
            "invalid value 'soon' for '--min-valid <SECONDS>': invalid digit found in string; see 'iam-session token --help'"
        );
        assert_eq!(
            error::<TokenArgs>("iam-session token --force --min-valid 5"),
            "the argument '--force' cannot be used with '--min-valid <SECONDS>'; see 'iam-session token --help'"
        );
    }
}
