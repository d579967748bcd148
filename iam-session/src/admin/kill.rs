//! `iam-session-admin kill`: ends agents, and waits until they are gone. Sends signals.

use std::thread;
use std::time::Duration;

use clap::Parser;
use nix::sys::signal::Signal;

use super::find::{self, ProcessesOf};
use super::process::AgentProcess;
use super::sessions::found_of;
use super::{audit, say};
use crate::clock::boot_time;
use crate::outcome::{Exit, Outcome, warn};
use crate::protocol::{Failure, FailureKind};

/// An agent that is asked to end wipes its memory and removes its files; that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// End a user's agents, or all; the logins themselves go on, without tokens.
#[derive(Debug, Parser)]
pub(super) struct KillArgs {
    /// A user name or a uid
    #[arg(required_unless_present = "all")]
    user: Option<String>,
    /// Every agent on this host
    #[arg(long, conflicts_with = "user")]
    all: bool,
}

/// A mint is left to finish: at the issuer a refresh token may just be changing hands.
pub(super) fn run(args: &KillArgs) -> Outcome {
    let (whose, found) = match &args.user {
        Some(user) => {
            let (name, found) = found_of(user)?;
            (format!("of {name}"), found)
        }
        None => ("on this host".to_owned(), find::find(ProcessesOf::Everybody)?),
    };
    let ended = end(&found.agents)?;
    let agents = count(found.agents.len());
    audit(&format!("ended {agents} {whose}"));
    say(&format!("ended {agents} {whose}{ended}"))?;
    let unseen = found.warnings();
    unseen.iter().for_each(|line| warn(line));
    Ok(if unseen.is_empty() { Exit::Done } else { Exit::With(FailureKind::Failed) })
}

/// Asks all to end, kills what does not, and waits until all are gone; says in a few words what had to be killed.
pub(super) fn end(agents: &[AgentProcess]) -> Result<String, Failure> {
    for agent in agents {
        agent.process.signal(agent.uid, Signal::SIGTERM)?;
        // One that was stopped hears the first only then.
        agent.process.signal(agent.uid, Signal::SIGCONT)?;
    }
    let stubborn: Vec<&AgentProcess> = wait(agents.iter().collect());
    for agent in &stubborn {
        agent.process.signal(agent.uid, Signal::SIGKILL)?;
    }
    let killed = stubborn.len();
    let left = wait(stubborn);
    if let Some(agent) = left.first() {
        let error =
            format!("{} cannot be ended, {} among them", count(left.len()), agent.process.description());
        return Err(Failure::failed(error)
            .advise("a process that waits for a disk or a file server ends when that answers"));
    }
    Ok(match killed {
        0 => String::new(),
        _ => format!("; {killed} did not answer and were killed, their files go with the user's next agent"),
    })
}

/// Those that still live when all patience is gone.
fn wait(mut agents: Vec<&AgentProcess>) -> Vec<&AgentProcess> {
    let deadline = boot_time() + PATIENCE;
    loop {
        agents.retain(|agent| agent.process.lives());
        if agents.is_empty() || boot_time() >= deadline {
            return agents;
        }
        thread::sleep(PAUSE);
    }
}

pub(super) fn count(agents: usize) -> String {
    match agents {
        0 => "no agent".to_owned(),
        1 => "1 agent".to_owned(),
        more => format!("{more} agents"),
    }
}
