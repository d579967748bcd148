//! A passphrase from whoever has it: typed at the terminal, or a line of a descriptor. Never from an argument or the
//! environment, which other processes can read. Touches the terminal and that descriptor.

mod purpose;
mod terminal;

use std::fs::File;
use std::io::Read;

use zeroize::Zeroizing;

pub(crate) use purpose::Purpose;
pub(crate) use terminal::Terminal;

use crate::cli::print_error;
use crate::client::Agent;
use crate::harden::harden;
use crate::protocol::{Failure, FailureKind, MIN_PASSPHRASE, Request, Sealing, Status, Unlocked};
use crate::secret::Secret;

/// Far beyond what anybody types, and what a descriptor may hold of it.
const MAX: usize = 1024;
/// As many as ssh and sudo give.
const TRIES: u32 = 3;

/// Where a passphrase comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// The terminal; it may be asked again.
    Terminal,
    /// What was read from a descriptor; there is no other.
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

/// The passphrase on the first line of descriptor `number`.
pub(crate) fn read_from(number: u32) -> Result<Secret, Failure> {
    read_line_of(number, Purpose::Passphrase.name(), "--passphrase-fd")
}

/// The first line of descriptor `number`, without its end. It is opened anew by its name in /proc: a pipe, a file or
/// a here-document can be, a socket cannot.
pub(crate) fn read_line_of(number: u32, what: &str, option: &str) -> Result<Secret, Failure> {
    let failed = |why: String| Failure {
        error: format!("cannot read a {what} from descriptor {number}: {why}"),
        info: Some(format!("in bash: {option} {number} {number}<file")),
        kind: FailureKind::Usage,
    };
    let mut file =
        File::open(format!("/proc/self/fd/{number}")).map_err(|error| failed(error.to_string()))?;
    let mut line = Zeroizing::new(Vec::with_capacity(MAX + 1));
    while line.len() <= MAX {
        let mut byte = [0];
        match file.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => break,
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    text(&line).ok_or_else(|| failed("it is too long, or no UTF-8".into()))
}

/// A line as it was given, without a carriage return at its end.
fn text(line: &[u8]) -> Option<Secret> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).ok().filter(|text| text.len() <= MAX)?;
    Some(Secret::new(text.to_owned()))
}

fn usage(error: String) -> Failure {
    Failure { error, info: Some("try again".into()), kind: FailureKind::Usage }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    fn read(input: &[u8]) -> Result<String, String> {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(input).unwrap();
        drop(writer);
        let number = u32::try_from(reader.as_raw_fd()).unwrap();
        read_from(number).map(|secret| secret.expose().to_owned()).map_err(|failure| failure.error)
    }

    #[test]
    fn a_passphrase_is_the_first_line_of_a_descriptor() {
        for (input, passphrase) in [
            ("one two\nmore\n", "one two"),
            ("no end", "no end"),
            ("\n", ""),
            ("", ""),
            ("dos\r\n", "dos"),
            (" é ", " é "),
        ] {
            assert_eq!(read(input.as_bytes()).as_deref(), Ok(passphrase), "{input:?}");
        }
    }

    #[test]
    fn what_cannot_be_one_is_refused_without_a_word_of_it() {
        for input in [&[0xff, 0xfe, b'\n'][..], &[b'x'; MAX + 1]] {
            let error = read(input).unwrap_err();
            assert!(error.ends_with("it is too long, or no UTF-8"), "{error}");
        }
        assert!(read_from(1_000_000).is_err());
    }

    #[test]
    fn a_new_one_must_have_some_length() {
        let checked =
            |text: &str| check(&Secret::new(text.into()), MIN_PASSPHRASE).map_err(|failure| failure.error);
        assert_eq!(checked("éééééééé"), Ok(()));
        assert_eq!(checked(""), Err("the passphrase is empty".into()));
        assert_eq!(checked("1234567"), Err("a passphrase has 8 characters or more".into()));
    }
}
