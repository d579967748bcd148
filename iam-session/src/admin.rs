//! `iam-session-admin`: shows root the sessions on this host, and acts on them. Touches /proc, the session records,
//! /etc/iam-session and the PAM file; no network.
//!
//! Root opens nothing below a directory that a user owns, and starts no process as a user. To look there, this program
//! is started again and becomes somebody else first:
//!
//! - the user, to ask agents how they stand (`query_agents`), and to see which keys open records (`record_keys`);
//! - the package's system user, to read what a revoked user has left (`user_files`), and to ask issuers (`at_issuer`).

mod agent_status;
mod at_issuer;
mod become_user;
mod check;
mod confirm;
mod drain;
mod enable;
mod file;
mod find;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod inspect;
mod key;
mod kill;
mod metrics;
mod parallel;
mod process;
mod query_agents;
mod record_keys;
mod revoke;
mod revoked_file;
mod runtime;
mod session_record;
mod sessions;
mod status;
mod subprocess;
mod system_user;
mod user;
mod user_files;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _, Parser};
use nix::unistd::geteuid;
use serde::Serialize;

use crate::harden::harden;
use crate::line;
use crate::log::{Level, Log};
use crate::outcome::{Exit, Outcome, Program, Stop, print};
use crate::protocol::Failure;
use crate::usage::help_or_mistake;

/// Sessions, users and keys of iam-session on this host.
#[derive(Parser)]
#[command(name = "iam-session-admin", version, after_help = AFTER_HELP)]
enum AdminCli {
    /// List the agents that live
    Sessions(sessions::SessionsArgs),
    /// End agents
    Kill(kill::KillArgs),
    /// Start no new agents
    Drain(drain::DrainArgs),
    /// End a user's agents, and start no more for that user
    Revoke(revoke::RevokeUserArgs),
    /// Give a user agents again
    Unrevoke(revoke::UnrevokeArgs),
    /// Put the module into sshd's PAM file
    Enable(enable::EnableArgs),
    /// Take the module out of the PAM file again
    Disable(enable::DisableArgs),
    /// Show how this host stands
    Status(status::HostStatusArgs),
    /// Node keys
    Key(key::KeyArgs),
    /// Write numbers for node_exporter
    Metrics(metrics::MetricsArgs),
    /// Say what is wrong with the configuration
    Check(check::CheckArgs),
    #[command(hide = true)]
    QueryAgents(query_agents::QueryAgentsArgs),
    #[command(hide = true)]
    RecordKeys(record_keys::RecordKeysArgs),
    #[command(hide = true)]
    Inspect(inspect::InspectArgs),
    #[command(hide = true)]
    ReadFiles,
    #[command(hide = true)]
    EndGrants,
    #[command(hide = true)]
    Helper,
}

const AFTER_HELP: &str = "Exit status: 0 ok, 1 failed, 2 usage. Manual: iam-session-admin(8).";

/// What the log says in the place of a session's id.
const NO_SESSION: &str = "-";

/// What it is called in messages.
const PROGRAM: Program = Program("iam-session-admin");

/// The whole command line, for what describes it: shells' completions.
pub fn command() -> Command {
    AdminCli::command()
}

/// Runs the command that `arguments` (the program's name first) ask for.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match execute(arguments) {
        Ok(exit) => exit.code(),
        Err(stop) => stop.report(PROGRAM),
    }
}

fn execute(arguments: Vec<OsString>) -> Outcome {
    let cli =
        AdminCli::try_parse_from(arguments).map_err(|error| help_or_mistake(&error, "iam-session-admin"))?;
    // What it derives keys from must not be in a core file, nor what it has read in one of a user's.
    harden().map_err(|errno| Failure::failed(format!("cannot give up core files: {}", errno.desc())))?;
    // These root starts to become somebody else.
    match &cli {
        AdminCli::QueryAgents(args) => return query_agents::run(args),
        AdminCli::RecordKeys(args) => return record_keys::run(args),
        AdminCli::ReadFiles => return user_files::run(),
        AdminCli::EndGrants => return at_issuer::run_end_grants(),
        AdminCli::Helper => return system_user::run_helper(),
        _ => {}
    }
    if !geteuid().is_root() {
        return Err(Failure::failed("only root may do this").into());
    }
    match &cli {
        AdminCli::Sessions(args) => sessions::run(args),
        AdminCli::Kill(args) => kill::run(args),
        AdminCli::Drain(args) => drain::run(args),
        AdminCli::Revoke(args) => revoke::run(args),
        AdminCli::Unrevoke(args) => revoke::unrevoke(args),
        AdminCli::Enable(args) => enable::enable(args),
        AdminCli::Disable(args) => enable::disable(args),
        AdminCli::Status(args) => status::run(args),
        AdminCli::Check(args) => check::run(args),
        AdminCli::Metrics(args) => metrics::run(args),
        AdminCli::Key(args) => key::run(args),
        AdminCli::Inspect(args) => inspect::run(args),
        AdminCli::QueryAgents(_)
        | AdminCli::RecordKeys(_)
        | AdminCli::ReadFiles
        | AdminCli::EndGrants
        | AdminCli::Helper => Ok(Exit::Done),
    }
}

/// A line in the log of what an administrator has done.
fn audit(text: &str) {
    Log::of("root", NO_SESSION).event(Level::Info, "admin", &[("action", text)]);
}

/// Prints a line for the program that has started this one.
fn hand_over(what: &impl Serialize, limit: usize) -> Result<(), Stop> {
    let line = line::encode(what, limit).map_err(|error| Failure::failed(error.to_string()))?;
    print(&line)
}

/// Prints lines of ours; foreign text in them has been made printable.
fn say(text: &str) -> Result<(), Stop> {
    print(format!("{text}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        AdminCli::command().debug_assert();
    }

    #[test]
    fn a_mistake_names_the_help_of_its_command() {
        for (line, help) in [("kill", "'iam-session-admin kill --help'"), ("x", "'iam-session-admin --help'")]
        {
            let words = "iam-session-admin".split(' ').chain(line.split_whitespace());
            let error = AdminCli::try_parse_from(words).err().unwrap();
            let Stop::Failure(failure) = help_or_mistake(&error, "iam-session-admin") else {
                panic!("{line}")
            };
            assert!(failure.info.as_deref().is_some_and(|advice| advice.ends_with(help)), "{failure:?}");
        }
    }

    /// Of each command, by its whole name.
    fn commands() -> Vec<(String, clap::Command)> {
        let visible = |command: &clap::Command| -> Vec<clap::Command> {
            command.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect()
        };
        let mut all = Vec::new();
        for command in visible(&AdminCli::command()) {
            let inner = visible(&command);
            let name = command.get_name().to_owned();
            all.extend(inner.iter().map(|inner| (format!("{name} {}", inner.get_name()), inner.clone())));
            if inner.is_empty() {
                all.push((name, command));
            }
        }
        all
    }

    #[test]
    fn every_command_and_option_is_in_the_manual() {
        let page =
            include_str!("../../packaging/man/iam-session-admin.8").replace("\\-", "-").replace('"', "");
        let heads: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix(".BR ").or(line.strip_prefix(".B "))).collect();
        for (name, command) in commands() {
            let head = heads.iter().find(|head| **head == name || head.starts_with(&format!("{name} ")));
            let head = head.unwrap_or_else(|| panic!("{name} is not in the manual"));
            for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
                assert!(head.contains(&format!("--{option}")), "{name}: --{option}: {head}");
            }
        }
    }
}
