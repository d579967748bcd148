//! `iam-session start`: starts an agent if no login has started one. Touches the environment, /proc, the runtime
//! directory, the terminal; starts the agent.
//!
//! Standard output is for the shell's eval and carries nothing else.

mod identity;
mod launch;
mod parent;
mod place;

use std::env;
use std::path::{Path, PathBuf};

use clap::Parser;

use self::identity::Identity;
use super::passphrase::{self, Need, PassphraseArgs, Source};
use super::shell::Shell;
use super::unlock;
use crate::client::{Agent, Places, sockets};
use crate::clock::boot_time;
use crate::host::revoked::{List, REVOKED, Ruling};
use crate::outcome::{Exit, Outcome, Stop, print, warn};
use crate::paths::{ENV_SESSION, ENV_SOCKET, ENV_TOKEN_FILE, Runtime};
use crate::protocol::{End, Failure, Heeded, Request, Status};
use crate::secret::Secret;

/// Start an agent for this shell, or find the one that another shell has started: eval "$(iam-session start)".
#[derive(Debug, Default, Parser)]
#[command(name = "start", bin_name = "iam-session start")]
pub(crate) struct StartArgs {
    /// The shell whose language is printed; the default follows $SHELL
    #[arg(long, value_enum, value_name = "SHELL")]
    shell: Option<Shell>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Ask for no passphrase; sealed accounts stay locked
    #[arg(long, conflicts_with = "PassphraseArgs")]
    no_unlock: bool,
}

pub(crate) fn run(args: &StartArgs) -> Outcome {
    let shell = Shell::choose(args.shell);
    passphrase::prepare()?;
    let passphrase = args.passphrase.read()?;
    // First of all: the agent is to inherit nothing, and so far nothing here is open that is ours.
    launch::close_inherited();
    let identity = Identity::of_environment()?;
    if_revoked(&identity)?;
    let parent = parent::shell().ok_or_else(no_shell)?;
    if let Some((path, status)) = named(identity.uid, parent) {
        return report(shell, &path, &status);
    }
    let places = Runtime::new(place::choose(&identity)?, identity.uid);
    // Of two shells that begin at once one finds the other's.
    let alone = place::alone(places.directory());
    if let Some((path, status)) = standing(&places, parent) {
        return report(shell, &path, &status);
    }
    let session = launch::agent(&identity, &places, parent)?;
    drop(alone);
    let path = places.socket(&session);
    let mut agent = Agent::connect(&path, identity.uid)?;
    let status: Status = agent.ask(&Request::Status {})?;
    let unlocked = if args.no_unlock { Ok(()) } else { unlock(&mut agent, &status, passphrase.as_ref()) };
    // It is there, locked or not, and lives as long as the shell: the shell should know it.
    report(shell, &path, &status)?;
    unlocked.map(|()| Exit::Done).map_err(Stop::from)
}

/// The agent that this shell has already, from a login or from here: it needs no other.
fn named(uid: u32, parent: u32) -> Option<(PathBuf, Status)> {
    let path = env::var_os(ENV_SOCKET).map(PathBuf::from)?;
    let mut agent = Agent::connect(&path, uid).ok()?;
    let status: Status = agent.ask(&Request::Status {}).ok()?;
    if status.ends == End::Shell {
        // It may come from another shell, whose child this one is, or was.
        agent.ask::<Heeded>(&Request::Stay { pid: parent }).ok()?;
    }
    Some((path, status))
}

/// An agent that another shell has started: it stays for this one too.
fn standing(places: &Runtime, parent: u32) -> Option<(PathBuf, Status)> {
    sockets(&places.agents(), places.uid()).into_iter().find_map(|path| {
        let mut agent = Agent::connect(&path, places.uid()).ok()?;
        let status: Status = agent.ask(&Request::Status {}).ok()?;
        (status.ends == End::Shell).then_some(())?;
        agent.ask::<Heeded>(&Request::Stay { pid: parent }).ok()?;
        Some((path, status))
    })
}

fn unlock(agent: &mut Agent, status: &Status, given: Option<&Secret>) -> Result<(), Failure> {
    let need = Need::of(status);
    let source = match given {
        Some(passphrase) => Source::Given(passphrase),
        None if need == Need::Nothing => return Ok(()),
        None if need == Need::Choose && !passphrase::Terminal::is_there() => {
            warn("there is no passphrase to seal an enrolment with yet; run 'iam-session unlock'");
            return Ok(());
        }
        None => Source::Terminal,
    };
    let unlocked = unlock::unlock(&Places::of_environment(), agent, status, source, None)?;
    if let Some(trouble) = unlocked.trouble {
        warn(&format!("unlocked, but there is no token yet: {}", trouble.error));
    }
    Ok(())
}

fn report(shell: Shell, socket: &Path, status: &Status) -> Outcome {
    let socket = socket.to_str().ok_or_else(|| place::unusable(socket, "its name is no UTF-8"))?;
    let variables =
        [(ENV_TOKEN_FILE, &*status.token_file), (ENV_SOCKET, socket), (ENV_SESSION, &*status.session)];
    // A newline would end the line within a value, and in csh even within quotes.
    if variables.iter().any(|(_, value)| value.contains(char::is_control)) {
        return Err(place::unusable(Path::new(socket), "its name holds a control character").into());
    }
    print(shell.export(&variables).as_bytes())?;
    Ok(Exit::Done)
}

/// The agent looks itself, and has no words for it: it would only be gone.
fn if_revoked(identity: &Identity) -> Result<(), Failure> {
    match List::new(&identity.user, identity.uid).look(boot_time()) {
        Ruling::Revoked => {
            Err(Failure::refused(format!("you are listed in {REVOKED}: you get no agent on this host"))
                .advise("ask the administrators"))
        }
        Ruling::Free | Ruling::Unknown(_) => Ok(()),
    }
}

fn no_shell() -> Failure {
    Failure::failed("there is no process here that the agent could stay for")
        .advise("run it from a shell: eval \"$(iam-session start)\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_never_an_argument() {
        assert!(StartArgs::try_parse_from(["start", "--passphrase", "x"]).is_err());
        assert!(StartArgs::try_parse_from(["start", "x"]).is_err());
        assert!(StartArgs::try_parse_from(["start", "--passphrase-fd", "x"]).is_err());
        assert!(StartArgs::try_parse_from(["start", "--passphrase-fd", "3", "--no-unlock"]).is_err());
        let args = StartArgs::try_parse_from(["start", "--shell", "fish", "--passphrase-fd", "3"]).unwrap();
        assert_eq!(args.shell, Some(Shell::Fish));
    }
}
