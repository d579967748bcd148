//! `iam-session start`: starts an agent if no login has started one. Touches the environment, /proc, the runtime
//! directory, the terminal; starts the agent.
//!
//! Standard output is for the shell's eval and carries nothing else.

mod identity;
mod launch;
mod parent;
mod place;

use std::path::PathBuf;

use clap::Parser;

use self::identity::LoginIdentity;
use super::env;
use super::passphrase::{self, PassphraseArgs, PassphraseSource, PassphraseUse};
use super::unlock;
use crate::client::{AgentClient, Places, sockets};
use crate::clock::boot_time;
use crate::harden::close_inherited;
use crate::host::revoked::{REVOKED, RevokedList, Ruling};
use crate::outcome::{Exit, Outcome, Stop, warn};
use crate::paths::{ENV_SOCKET, RuntimePaths};
use crate::protocol::{End, Failure, Heeded, Request, Status};
use crate::secret::Secret;
use crate::shell::ShellSyntax;

/// Start an agent for this shell, or find the one that another shell has started: eval "$(iam-session start)".
#[derive(Debug, Default, Parser)]
#[command(name = "start", bin_name = "iam-session start")]
pub(crate) struct StartArgs {
    /// The shell whose language is printed; the default follows $SHELL
    #[arg(long, value_enum, value_name = "SHELL")]
    shell: Option<ShellSyntax>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Ask for no passphrase; sealed accounts stay locked
    #[arg(long, conflicts_with = "PassphraseArgs")]
    no_unlock: bool,
}

pub(crate) fn run(args: &StartArgs) -> Outcome {
    let shell = ShellSyntax::choose(args.shell);
    passphrase::prepare()?;
    let passphrase = args.passphrase.read()?;
    // First of all: the agent is to inherit nothing, and so far nothing here is open that is ours. Who waits for the end of
    // one that the shell had open would wait for the agent's.
    let _ = close_inherited();
    let identity = LoginIdentity::of_environment()?;
    if_revoked(&identity)?;
    let parent = parent::shell().ok_or_else(no_shell)?;
    if let Some((path, status)) = named(identity.uid, parent) {
        return env::session(shell, &path, &status);
    }
    let places = RuntimePaths::new(place::choose(&identity)?, identity.uid);
    // Of two shells that begin at once one finds the other's.
    let alone = place::alone(places.directory());
    if let Some((path, status)) = standing(&places, parent) {
        return env::session(shell, &path, &status);
    }
    let session = launch::agent(&identity, &places, parent)?;
    drop(alone);
    let path = places.socket(&session);
    let mut agent = AgentClient::connect(&path, identity.uid)?;
    let status: Status = agent.ask(&Request::Status {})?;
    let unlocked = if args.no_unlock { Ok(()) } else { unlock(&mut agent, &status, passphrase.as_ref()) };
    // It is there, locked or not, and lives as long as the shell: the shell should know it.
    env::session(shell, &path, &status)?;
    unlocked.map(|()| Exit::Done).map_err(Stop::from)
}

/// The agent that this shell has already, from a login or from here: it needs no other.
fn named(uid: u32, parent: u32) -> Option<(PathBuf, Status)> {
    let path = std::env::var_os(ENV_SOCKET).map(PathBuf::from)?;
    let mut agent = AgentClient::connect(&path, uid).ok()?;
    let status: Status = agent.ask(&Request::Status {}).ok()?;
    if status.ends == End::Shell {
        // It may come from another shell, whose child this one is, or was.
        agent.ask::<Heeded>(&Request::Stay { pid: parent }).ok()?;
    }
    Some((path, status))
}

/// An agent that another shell has started: it stays for this one too.
fn standing(places: &RuntimePaths, parent: u32) -> Option<(PathBuf, Status)> {
    sockets(&places.agents(), places.uid()).into_iter().find_map(|path| {
        let mut agent = AgentClient::connect(&path, places.uid()).ok()?;
        let status: Status = agent.ask(&Request::Status {}).ok()?;
        (status.ends == End::Shell).then_some(())?;
        agent.ask::<Heeded>(&Request::Stay { pid: parent }).ok()?;
        Some((path, status))
    })
}

fn unlock(agent: &mut AgentClient, status: &Status, given: Option<&Secret>) -> Result<(), Failure> {
    let need = PassphraseUse::of(status);
    let source = match given {
        Some(passphrase) => PassphraseSource::Given(passphrase),
        None if need == PassphraseUse::Nothing => return Ok(()),
        None if need == PassphraseUse::Choose && !passphrase::Terminal::is_there() => {
            warn("there is no passphrase to seal an enrolment with yet; run 'iam-session unlock'");
            return Ok(());
        }
        None => PassphraseSource::Terminal,
    };
    let unlocked = unlock::unlock(&Places::of_environment(), agent, status, source, None)?;
    if let Some(trouble) = unlocked.trouble {
        warn(&format!("unlocked, but there is no token yet: {}", trouble.error));
    }
    Ok(())
}

/// The agent looks itself, and has no words for it: it would only be gone.
fn if_revoked(identity: &LoginIdentity) -> Result<(), Failure> {
    match RevokedList::new(&identity.user, identity.uid).look(boot_time()) {
        Ruling::Revoked => {
            Err(Failure::refused(format!("you are listed in {REVOKED}: you get no agent on this host"))
                .advise("ask the administrators"))
        }
        Ruling::Free | Ruling::Unknown(_) => Ok(()),
    }
}

fn no_shell() -> Failure {
    Failure::failed("there is no process here that the agent could stay for")
        .advise(format!("run it from a shell: {}", ShellSyntax::choose(None).eval("iam-session start")))
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
        assert_eq!(args.shell, Some(ShellSyntax::Fish));
    }
}
