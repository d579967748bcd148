//! `iam-session unlock`: gives one of the user's agents on this host the passphrase, or all that need it. Touches the
//! agents' sockets and the terminal.

use std::path::Path;

use clap::Parser;

use super::passphrase::{self, PassphraseArgs, PassphraseSource, PassphraseUse};
use crate::client::{AgentClient, ClientError, Places};
use crate::outcome::{Exit, Outcome, print, warn};
use crate::protocol::{Failure, Request, Status, Unlocked};
use crate::secret::Secret;
use crate::text::{duration, printable};

/// What an agent lets an unlock be for.
const LONGEST: u64 = 24 * 60 * 60;

/// Open what 'iam-session lock' has locked or what is sealed under a passphrase, in all sessions of yours on this host;
/// or choose a passphrase if nothing is enrolled yet.
#[derive(Debug, Default, Parser)]
#[command(name = "unlock", bin_name = "iam-session unlock")]
pub(crate) struct UnlockArgs {
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Lock it again after this time, as in 90s, 30m or 8h; 24h at most
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    span: Option<u64>,
}

pub(crate) fn run(args: &UnlockArgs) -> Outcome {
    passphrase::prepare()?;
    let given = args.passphrase.read()?;
    let places = Places::with_home();
    let mut agent = AgentClient::find(&places)?;
    let status: Status = agent.ask(&Request::Status {})?;
    let need = PassphraseUse::of(&status);
    if need == PassphraseUse::Nothing {
        print(b"nothing is locked\n")?;
        return Ok(Exit::Done);
    }
    let source = given.as_ref().map_or(PassphraseSource::Terminal, PassphraseSource::Given);
    let unlocked = unlock(&places, &mut agent, &status, source, args.span)?;
    print(told(&unlocked, need, args.span).as_bytes())?;
    if let Some(trouble) = unlocked.trouble {
        warn(&format!("there is no token yet: {}", trouble.error));
        return Ok(Exit::With(trouble.kind));
    }
    Ok(Exit::Done)
}

/// Gives this agent the passphrase that it needs, `seconds` long if not for good. The lock of a host is one for all
/// agents of a directory; what is sealed under a passphrase is not: no key crosses a socket, and each agent is given the passphrase.
pub(super) fn unlock(
    places: &Places,
    agent: &mut AgentClient,
    status: &Status,
    source: PassphraseSource<'_>,
    seconds: Option<u64>,
) -> Result<Unlocked, Failure> {
    let (need, is_lock) = (PassphraseUse::of(status), status.lock.host_locked || status.lock.lock_kept);
    if is_lock {
        status.lock.refuse_older_agent()?;
    }
    let (unlocked, passphrase) = passphrase::unlock(agent, need, source, seconds)?;
    if need == PassphraseUse::Open {
        let unlock_one = |path: &Path| unlock_other(places, path, &passphrase, seconds);
        let failed = match is_lock {
            true => places.ask_in_other_directories(agent.path(), unlock_one),
            false => {
                let others = places.all().into_iter().filter(|path| path != agent.path());
                let asked = others.filter_map(|path| unlock_one(&path).err().map(|error| (path, error)));
                // Of an agent that was killed only the socket is left.
                asked.filter(|(_, error)| !matches!(error, ClientError::Dead { .. })).collect()
            }
        };
        for (path, error) in failed {
            let why = Failure::from(error);
            warn(&format!("another of your agents, {}: {why}; it stays locked", path.display()));
        }
    }
    Ok(unlocked)
}

fn unlock_other(
    places: &Places,
    path: &Path,
    passphrase: &Secret,
    seconds: Option<u64>,
) -> Result<(), ClientError> {
    let mut agent = AgentClient::connect(path, places.uid())?;
    let status: Status = agent.ask(&Request::Status {})?;
    if !status.lock.host_locked && status.locked.is_empty() && status.lock.unlocked_until.is_none() {
        return Ok(());
    }
    let request = Request::Unlock { passphrase: passphrase.duplicate(), seconds };
    let unlocked = agent.ask::<Unlocked>(&request).map(|_| ());
    if status.lock.host_locked && !agent.ask::<Status>(&Request::Status {})?.lock.host_locked {
        // The passphrase was that of the lock, and may not be that of what else is sealed.
        return Ok(());
    }
    unlocked
}

fn told(unlocked: &Unlocked, need: PassphraseUse, span: Option<u64>) -> String {
    let names: Vec<String> = unlocked.accounts.iter().map(|name| format!("'{}'", printable(name))).collect();
    let span = span.map(|seconds| format!(" for {}", duration(seconds))).unwrap_or_default();
    match (names.is_empty(), need) {
        (false, _) => format!("unlocked {}{span}\n", names.join(", ")),
        (true, PassphraseUse::Choose) => {
            format!("what you enrol now is sealed under this passphrase{span}\n")
        }
        (true, _) => format!("unlocked this host{span}\n"),
    }
}

/// A number and its unit.
fn seconds(text: &str) -> Result<u64, String> {
    let accepted = || "accepted are seconds, minutes and hours, as in 90s, 30m or 8h, up to 24h".to_owned();
    let unit = text.chars().last().ok_or_else(accepted)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(accepted()),
    };
    let digits = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse::<u64>().ok());
    let seconds = number.and_then(|number| number.checked_mul(factor));
    seconds.filter(|seconds| (1..=LONGEST).contains(seconds)).ok_or_else(accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_never_an_argument() {
        assert!(UnlockArgs::try_parse_from(["unlock", "secret"]).is_err());
        assert!(UnlockArgs::try_parse_from(["unlock", "--passphrase-fd", "3"]).is_ok());
        let two = ["unlock", "--passphrase-fd", "3", "--passphrase-file", "x"];
        assert!(UnlockArgs::try_parse_from(two).is_err());
    }

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        for (text, expected) in [("90s", 90), ("30m", 1800), ("8h", 28_800), ("24h", LONGEST), ("1s", 1)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in
            ["", "8", "h", "0s", "25h", "-1h", "+1h", "1.5h", "8d", "8 h", "18446744073709551615h", "8é"]
        {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
