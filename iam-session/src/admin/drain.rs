//! `iam-session-admin drain`: no new agents on this host. Touches /etc/iam-session/drain.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;

use clap::Parser;

use super::find::{self, Whose};
use super::kill::count;
use super::{advised, audit, say};
use crate::cli::{Exit, Outcome};
use crate::protocol::Failure;

/// The module looks for it at each login. In /etc: a reboot is no reason to serve users again.
pub(crate) const DRAIN: &str = "/etc/iam-session/drain";

/// Start no new agents; those that there are go on until they end.
#[derive(Debug, Parser)]
pub(super) struct DrainArgs {
    /// Start them again
    #[arg(long)]
    off: bool,
}

pub(super) fn run(args: &DrainArgs) -> Outcome {
    if args.off {
        undrain()?
    } else {
        drain()?
    }
    audit(if args.off { "drained no more" } else { "drained" });
    if args.off {
        say("logins get agents again")?;
        return Ok(Exit::Done);
    }
    let left =
        find::find(Whose::Everybody).map_or_else(|_| "agents".to_owned(), |found| count(found.agents.len()));
    say(&format!(
        "logins get no agent until 'iam-session-admin drain --off'; {left} on this host now ('iam-session-admin sessions')"
    ))?;
    Ok(Exit::Done)
}

/// Whether the module starts no agents.
pub(super) fn is_drained() -> bool {
    fs::symlink_metadata(DRAIN).is_ok()
}

fn drain() -> Result<(), Failure> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(DRAIN);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            Err(advised(format!("cannot make {DRAIN}: {error}"), "is the package installed completely?"))
        }
    }
}

fn undrain() -> Result<(), Failure> {
    match fs::remove_file(DRAIN) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(advised(format!("cannot remove {DRAIN}: {error}"), "remove it by hand"))
        }
        _ => Ok(()),
    }
}
