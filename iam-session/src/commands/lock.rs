//! `iam-session lock`: no agent of the user's on this host serves anything until `unlock`. Touches the socket of one agent
//! in each of the user's runtime directories, and the terminal.

use std::path::Path;

use clap::Parser;

use super::passphrase::{self, PassphraseArgs, Terminal, Use};
use crate::client::{AgentClient, Places};
use crate::outcome::{Exit, Outcome, print, warn};
use crate::protocol::{Failure, Heeded, Request, Status};

/// Lock this host: every session of yours here, and each new login, serves no token until 'iam-session unlock'.
#[derive(Debug, Default, Parser)]
#[command(name = "lock", bin_name = "iam-session lock")]
pub(crate) struct LockArgs {
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

pub(crate) fn run(args: &LockArgs) -> Outcome {
    passphrase::prepare()?;
    let given = args.passphrase.read()?;
    let places = Places::with_home();
    let mut agent = AgentClient::find(&places)?;
    let status: Status = agent.ask(&Request::Status {})?;
    status.lock.refuse_older_agent()?;
    // A lock that there is has its passphrase.
    let passphrase = match status.lock.host_locked || status.lock.lock_kept {
        true => None,
        false => Some(match given {
            Some(passphrase) => passphrase::checked(passphrase)?,
            None => passphrase::choose(&mut Terminal::open()?, Use::Lock)?,
        }),
    };
    agent.ask::<Heeded>(&Request::Lock { passphrase })?;
    let lock_other = |path: &Path| {
        let mut other = AgentClient::connect(path, places.uid())?;
        other.ask::<Heeded>(&Request::Lock { passphrase: None }).map(|_| ())
    };
    for (path, error) in places.ask_in_other_directories(agent.path(), lock_other) {
        let why = Failure::from(error).error;
        warn(&format!("another of your agents, {}: {why}; it goes on serving", path.display()));
    }
    let text = match status.lock.host_locked {
        true => "this host is locked already\n",
        false => "locked; 'iam-session unlock' opens it again\n",
    };
    print(text.as_bytes())?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_never_an_argument() {
        assert!(LockArgs::try_parse_from(["lock", "secret"]).is_err());
        assert!(LockArgs::try_parse_from(["lock", "--passphrase", "secret"]).is_err());
    }
}
