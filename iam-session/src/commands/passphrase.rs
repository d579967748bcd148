//! A passphrase from whoever has it: typed at the terminal, or given in another way. Touches the terminal.

mod given;
mod terminal;

pub(crate) use given::PassphraseArgs;
pub(crate) use terminal::Terminal;

use crate::cli::print_error;
use crate::client::Agent;
use crate::harden::harden;
use crate::protocol::{Failure, FailureKind, MIN_PASSPHRASE, Request, Sealing, Status, Unlocked};
use crate::secret::Secret;

/// As many as ssh and sudo give.
const TRIES: u32 = 3;

/// Where a passphrase comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// The terminal; it may be asked again.
    Terminal,
    /// It was given in another way; there is no other.
    Given(&'a Secret),
}

/// What an agent has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The passphrase of what is enrolled.
    Open,
    /// A new one, for what will be.
    Choose,
    /// None.
    Nothing,
}

impl Need {
    pub(crate) fn of(status: &Status) -> Self {
        match (status.locked.is_empty(), status.sealing) {
            (false, _) => Self::Open,
            (true, Sealing::Nothing) => Self::Choose,
            (true, _) => Self::Nothing,
        }
    }
}

/// Closes this process to debuggers and core files, before it holds a passphrase.
pub(crate) fn prepare() -> Result<(), Failure> {
    harden().map_err(|errno| Failure {
        error: format!("cannot keep a passphrase from others: {}", errno.desc()),
        info: None,
        kind: FailureKind::Failed,
    })
}

/// Gives the agent the passphrase it needs.
pub(crate) fn unlock(agent: &mut Agent, need: Need, source: Source<'_>) -> Result<Unlocked, Failure> {
    match source {
        Source::Given(passphrase) => send(agent, passphrase.duplicate()),
        Source::Terminal if need == Need::Choose => {
            let passphrase = choose(&mut Terminal::open()?)?;
            send(agent, passphrase)
        }
        Source::Terminal => {
            let mut terminal = Terminal::open()?;
            for _ in 1..TRIES {
                match send(agent, terminal.ask("iam-session passphrase: ")?) {
                    Err(failure) if failure.kind == FailureKind::Locked => {
                        print_error("iam-session: that is not it")
                    }
                    done => return done,
                }
            }
            send(agent, terminal.ask("iam-session passphrase: ")?)
        }
    }
}

fn send(agent: &mut Agent, passphrase: Secret) -> Result<Unlocked, Failure> {
    check(&passphrase, 1)?;
    agent.ask(&Request::Unlock { passphrase }).map_err(Failure::from)
}

/// Asks for a new one, twice.
fn choose(terminal: &mut Terminal) -> Result<Secret, Failure> {
    terminal.say("Enrolments will be sealed under a passphrase. Nobody can recover it.\n")?;
    let first = terminal.ask("New iam-session passphrase: ")?;
    check(&first, MIN_PASSPHRASE)?;
    let second = terminal.ask("The same again: ")?;
    if first.expose() == second.expose() {
        return Ok(first);
    }
    Err(usage("the two passphrases differ".into()))
}

/// Checked before anything is sent, so that a new one is not asked for twice in vain.
fn check(passphrase: &Secret, least: usize) -> Result<(), Failure> {
    if passphrase.is_empty() {
        return Err(usage("the passphrase is empty".into()));
    }
    if passphrase.expose().chars().count() < least {
        return Err(usage(format!("a passphrase has {least} characters or more")));
    }
    Ok(())
}

fn usage(error: String) -> Failure {
    Failure { error, info: Some("try again".into()), kind: FailureKind::Usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_one_must_have_some_length() {
        let checked =
            |text: &str| check(&Secret::new(text.into()), MIN_PASSPHRASE).map_err(|failure| failure.error);
        assert_eq!(checked("éééééééé"), Ok(()));
        assert_eq!(checked(""), Err("the passphrase is empty".into()));
        assert_eq!(checked("1234567"), Err("a passphrase has 8 characters or more".into()));
    }
}
