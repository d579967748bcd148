//! `iam-session-admin drain`: has the module start no new agents on this host. Touches /etc/iam-session/drain.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;

use clap::Parser;

use super::find::{self, ProcessesOf};
use super::kill::count;
use super::{audit, say};
use crate::host::drain::DRAIN;
use crate::outcome::{Exit, Outcome};
use crate::protocol::Failure;

/// Start no new agents; those that there are go on until they end.
#[derive(Debug, Parser)]
pub(super) struct DrainArgs {
    /// Start them again
    #[arg(long)]
    off: bool,
}

pub(super) fn run(args: &DrainArgs) -> Outcome {
    if args.off {
        undrain()?;
        audit("drained no more");
        say("logins get agents again")?;
        return Ok(Exit::Done);
    }
    drain()?;
    audit("drained");
    let left = find::find(ProcessesOf::Everybody)
        .map_or_else(|_| "agents".to_owned(), |found| count(found.agents.len()));
    say(&format!(
        "logins get no agent until 'iam-session-admin drain --off'; {left} on this host now ('iam-session-admin sessions')"
    ))?;
    Ok(Exit::Done)
}

fn drain() -> Result<(), Failure> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(DRAIN);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Failure::failed(format!("cannot make {DRAIN}: {error}"))
            .advise("is the package installed completely?")),
    }
}

fn undrain() -> Result<(), Failure> {
    match fs::remove_file(DRAIN) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::failed(format!("cannot remove {DRAIN}: {error}")).advise("remove it by hand"))
        }
        _ => Ok(()),
    }
}
