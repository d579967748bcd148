//! `iam-session unlock`: gives this session's agent the passphrase. Touches the agent's socket and the terminal.

use clap::Parser;

use super::passphrase::{self, Need, PassphraseArgs, Source};
use crate::cli::{Exit, Outcome, print, warn};
use crate::client::{Agent, Places};
use crate::protocol::{Request, Status};
use crate::text::printable;

/// Open what is sealed under a passphrase, or choose one where nothing is enrolled yet.
#[derive(Debug, Default, Parser)]
#[command(name = "unlock", bin_name = "iam-session unlock")]
pub(crate) struct UnlockArgs {
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

pub(crate) fn run(args: &UnlockArgs) -> Outcome {
    passphrase::prepare()?;
    let given = args.passphrase.read()?;
    let mut agent = Agent::find(&Places::of_environment())?;
    let status: Status = agent.ask(&Request::Status {})?;
    let need = Need::of(&status);
    if need == Need::Nothing {
        print(b"nothing is locked\n")?;
        return Ok(Exit::Done);
    }
    let unlocked =
        passphrase::unlock(&mut agent, need, given.as_ref().map_or(Source::Terminal, Source::Given))?;
    let names: Vec<String> = unlocked.accounts.iter().map(|name| format!("'{}'", printable(name))).collect();
    print(
        match names.is_empty() {
            true => "what you enrol now is sealed under this passphrase\n".to_owned(),
            false => format!("unlocked {}\n", names.join(", ")),
        }
        .as_bytes(),
    )?;
    if let Some(trouble) = unlocked.trouble {
        warn(&format!("there is no token yet: {}", trouble.error));
        return Ok(Exit::With(trouble.kind));
    }
    Ok(Exit::Done)
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
}
