//! Asks root before a change. Touches the standard streams.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::protocol::Failure;

/// Whether the administrator has said yes beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub(super) struct Consent {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Goes on if the answer is yes; where nobody can answer, `--yes` is needed.
pub(super) fn ask(question: &str, consent: Consent) -> Result<(), Failure> {
    if consent.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let error = "this has to be confirmed, and there is no terminal to ask on".to_owned();
        return Err(Failure::usage(error).advise("give --yes"));
    }
    let mut errors = io::stderr();
    let asked = write!(errors, "{question} [y/N] ").and_then(|()| errors.flush());
    let mut answer = String::new();
    let answered = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    match answered {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::failed("nothing was changed").advise("answer 'y' to go on")),
    }
}
