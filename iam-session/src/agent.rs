//! The agent: one process for each session, without threads and without the network.
//!
//! `serve` is the process that the module starts. It starts `agent mint` (mint.rs), which does everything with the
//! store and may outlive it. ARCHITECTURE.md says what each may touch.

mod child_end;
mod events;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod left_running;
mod lifetime;
mod linger;
mod login_status;
mod mint_process;
mod peer;
mod peers;
mod refusals;
mod renewal;
mod requests;
pub(crate) mod schedule;
mod serve;
mod shells;
mod start;
mod status_lines;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use crate::{mint, paths};

/// The whole program: `agent`, started by the module; `agent standing PID`, started by `iam-session start`; or
/// `agent mint` and `agent left-running SESSION USER`, started by an agent.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Option<Vec<String>> =
        arguments.skip(1).map(|argument| argument.into_string().ok()).collect();
    let arguments = arguments.unwrap_or_else(|| vec![String::new()]);
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => serve::main(AgentLife::WithLogin),
        ["mint"] => mint::main(),
        [left_running::ARGUMENT, session, user] => left_running::main(session, user),
        ["standing", pid] => match pid.parse() {
            Ok(pid) => serve::main(AgentLife::WithShell(pid)),
            Err(_) => ExitCode::from(2),
        },
        // Nobody starts it by hand, and whoever does is told by the manual, not by a program that holds keys.
        _ => ExitCode::from(2),
    }
}

/// This program once more, with the session's record as standard error (PROTOCOL.md, section 7). Not by the path: after
/// an upgrade another version may lie there, and an agent works with its own.
fn own_program(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(paths::AGENT)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stderr(Stdio::inherit());
    command
}

/// How long an agent stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgentLife {
    /// Until the lifeline ends.
    WithLogin,
    /// Until the process with this number has ended.
    WithShell(u32),
}
