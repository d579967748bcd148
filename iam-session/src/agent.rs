//! The agent: one process a login session, without threads and without the network.
//!
//! `serve` is the process that the module starts; `mint` the child that holds the store's keys to work with,
//! owns each mint and may outlive it. ARCHITECTURE.md says what each may touch.

mod answer;
mod book;
mod cache;
mod events;
mod failure;
mod freshness;
mod job;
mod link;
mod message;
mod mint;
mod peer;
mod report;
mod requests;
mod runtime;
mod schedule;
mod serve;
mod start;
mod token_file;
mod verdict;

use std::ffi::OsString;
use std::process::ExitCode;

/// The whole program: `agent`, started by the module, or `agent mint`, started by an agent.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (role, more) = (arguments.nth(1), arguments.next());
    match (role, more) {
        (None, None) => serve::main(),
        (Some(role), None) if role == "mint" => mint::main(),
        // Nobody starts it by hand, and whoever does is told by the manual, not by a program that holds keys.
        _ => ExitCode::from(2),
    }
}
