//! `iam-session-admin query-agents`: asks the agents of the user that it runs as how they stand, and prints a line for each
//! that answers. Touches their sockets.
//!
//! Root starts it to become the user (`agent_status`). An agent answers nobody else, and root opens nothing below the
//! user's directory.

use std::path::PathBuf;
use std::thread;

use clap::Parser;

use super::become_user::Ids;
use crate::client::AgentClient;
use crate::line;
use crate::outcome::{Exit, Outcome, print};
use crate::protocol::{MAX_LINE, Request, Status};

#[derive(Debug, Parser)]
pub(super) struct QueryAgentsArgs {
    #[command(flatten)]
    whose: Ids,
    sockets: Vec<PathBuf>,
}

/// All at once: one that does not answer keeps no other waiting. Who has started this ends it.
pub(super) fn run(args: &QueryAgentsArgs) -> Outcome {
    let uid = args.whose.become_user()?;
    let ask = |socket: &PathBuf| -> Option<Status> {
        AgentClient::connect(socket, uid.as_raw()).ok()?.ask(&Request::Status {}).ok()
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
