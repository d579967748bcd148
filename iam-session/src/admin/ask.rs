//! `iam-session-admin ask`: asks agents of the user that it runs as how they stand, a line for each that answers.
//! Touches their sockets.
//!
//! Root starts it as the user (`told`): an agent answers nobody else, and below the user's directory root opens nothing.

use std::path::PathBuf;
use std::thread;

use clap::Parser;
use nix::unistd::geteuid;

use super::failed;
use crate::cli::{Exit, Outcome, print};
use crate::client::Agent;
use crate::line;
use crate::protocol::{MAX_LINE, Request, Status};

#[derive(Debug, Parser)]
pub(super) struct AskArgs {
    sockets: Vec<PathBuf>,
}

/// All at once: one that does not answer keeps no other waiting. Who has started this ends it.
pub(super) fn run(args: &AskArgs) -> Outcome {
    let uid = geteuid();
    if uid.is_root() {
        return Err(failed("this is for users: root follows no path of theirs".to_owned()).into());
    }
    let ask = |socket: &PathBuf| -> Option<Status> {
        Agent::connect(socket, uid.as_raw()).ok()?.ask(&Request::Status {}).ok()
    };
    thread::scope(|scope| {
        for socket in &args.sockets {
            scope.spawn(move || {
                let line = ask(socket).and_then(|status| line::encode(&status, MAX_LINE).ok());
                // Less than a pipe takes in one piece, or at least the lines of the others are whole.
                line.map(|line| print(&line))
            });
        }
    });
    Ok(Exit::Done)
}
