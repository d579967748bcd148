//! A passphrase from whoever has it: typed at the terminal, or given in another way. Touches the terminal.

mod given;
mod purpose;
mod terminal;

pub(crate) use given::{PassphraseArgs, read_line_of};
pub(crate) use purpose::Purpose;
pub(crate) use terminal::Terminal;

use crate::client::AgentClient;
use crate::harden::harden;
use crate::outcome::print_error;
use crate::protocol::{Failure, FailureKind, MIN_PASSPHRASE, Request, Sealing, Status, Unlocked};
use crate::secret::Secret;

/// As many as ssh and sudo give.
const TRIES: u32 = 3;

/// Where a passphrase comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PassphraseSource<'a> {
    /// The terminal; it may be asked again.
    Terminal,
    /// It was given in another way; there is no other.
    Given(&'a Secret),
}

/// What an agent has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassphraseUse {
    /// The passphrase of what is enrolled.
    Open,
    /// A new one, for what will be.
    Choose,
    /// None.
    Nothing,
}

/// What a new one is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// What will be enrolled.
    Enrol,
    /// This host.
    Lock,
}

impl Use {
    fn text(self) -> &'static str {
        match self {
            Self::Enrol => "Enrolments will be sealed under a passphrase. Nobody can recover it.\n",
            Self::Lock => "This host is locked until the passphrase is given again. Nobody can recover it.\n",
        }
    }
}

impl PassphraseUse {
    pub(crate) fn of(status: &Status) -> Self {
        // Given once more, it makes the time of an unlock longer, or ends that.
        let is_open_for_a_while = status.lock.unlocked_until.is_some() || status.lock.lock_kept;
        if status.lock.host_locked || is_open_for_a_while {
            return Self::Open;
        }
        match (status.locked.is_empty(), status.sealing) {
            (false, _) => Self::Open,
            (true, Sealing::Nothing) => Self::Choose,
            (true, _) => Self::Nothing,
        }
    }
}

/// Closes this process to debuggers and core files, before it holds a passphrase.
pub(crate) fn prepare() -> Result<(), Failure> {
    harden()
        .map_err(|errno| Failure::failed(format!("cannot keep a passphrase from others: {}", errno.desc())))
}

/// Gives the agent the passphrase it needs; gives back the one that was right, for the others.
pub(crate) fn unlock(
    agent: &mut AgentClient,
    need: PassphraseUse,
    source: PassphraseSource<'_>,
    seconds: Option<u64>,
) -> Result<(Unlocked, Secret), Failure> {
    match source {
        PassphraseSource::Given(passphrase) => send(agent, passphrase.duplicate(), seconds),
        PassphraseSource::Terminal if need == PassphraseUse::Choose => {
            let passphrase = choose(&mut Terminal::open()?, Use::Enrol)?;
            send(agent, passphrase, seconds)
        }
        PassphraseSource::Terminal => {
            let mut terminal = Terminal::open()?;
            for _ in 1..TRIES {
                match send(agent, terminal.ask("iam-session passphrase: ")?, seconds) {
                    Err(failure) if failure.kind == FailureKind::Locked => {
                        print_error("iam-session: that is not it")
                    }
                    done => return done,
                }
            }
            send(agent, terminal.ask("iam-session passphrase: ")?, seconds)
        }
    }
}

fn send(
    agent: &mut AgentClient,
    passphrase: Secret,
    seconds: Option<u64>,
) -> Result<(Unlocked, Secret), Failure> {
    check(&passphrase, 1)?;
    let request = Request::Unlock { passphrase: passphrase.duplicate(), seconds };
    Ok((agent.ask(&request)?, passphrase))
}

/// Asks for a new one, twice.
pub(crate) fn choose(terminal: &mut Terminal, purpose: Use) -> Result<Secret, Failure> {
    terminal.say(purpose.text())?;
    let first = terminal.ask("New iam-session passphrase: ")?;
    check(&first, MIN_PASSPHRASE)?;
    let second = terminal.ask("The same again: ")?;
    if first.expose() == second.expose() {
        return Ok(first);
    }
    Err(usage("the two passphrases differ".into()))
}

/// A new one that was given in another way.
pub(crate) fn checked(passphrase: Secret) -> Result<Secret, Failure> {
    check(&passphrase, MIN_PASSPHRASE)?;
    Ok(passphrase)
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
    Failure::usage(error).advise("try again")
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
