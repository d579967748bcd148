//! `iam-session seal`: what opens the accounts, one more way, one less. Touches the agent's socket and the terminal.

mod list;

use clap::{Parser, Subcommand, ValueEnum};

use super::passphrase::{self, PassphraseArgs, Terminal, Use};
use super::print_json;
use crate::cli::{Exit, Outcome, print, warn};
use crate::client::{Agent, Places};
use crate::protocol::{
    Failure, FailureKind, Request, SealAction, SealReport, SealRequest, SealedAccount, SlotKind,
};
use crate::secret::Secret;
use crate::text::printable;

/// Show and change what opens your enrolments: a login on this host, or a passphrase.
#[derive(Debug, Parser)]
#[command(name = "seal", bin_name = "iam-session seal")]
pub(crate) struct SealArgs {
    #[command(subcommand)]
    command: SealCommand,
}

#[derive(Debug, Subcommand)]
enum SealCommand {
    /// Show what opens each account
    List {
        /// One account only
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Print one object instead
        #[arg(long)]
        json: bool,
    },
    /// Let a passphrase, or each login on hosts with this node key, open them too
    Add {
        /// Which
        slot: Slot,
        /// One account only
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Let it not open them any more
    Remove {
        /// Which
        slot: Slot,
        /// One account only
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
}

/// What a user can add and remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Slot {
    /// Typed at each login
    Passphrase,
    /// Nothing is typed
    Node,
}

pub(crate) fn run(args: SealArgs) -> Outcome {
    match args.command {
        SealCommand::List { account, json } => {
            let report = ask(SealAction::List, None, account, None)?;
            match json {
                true => print_json(&report)?,
                false => print(list::render(&report.accounts).as_bytes())?,
            }
            Ok(Exit::Done)
        }
        SealCommand::Add { slot, account, passphrase } => {
            let passphrase = match slot {
                Slot::Passphrase => Some(new_passphrase(&passphrase)?),
                Slot::Node => None,
            };
            let report = ask(SealAction::Add, Some(slot.into()), account, passphrase)?;
            conclude(&report, |account| added(slot, account))
        }
        SealCommand::Remove { slot, account } => {
            let report = ask(SealAction::Remove, Some(slot.into()), account, None)?;
            conclude(&report, |account| removed(slot, account))
        }
    }
}

fn new_passphrase(given: &PassphraseArgs) -> Result<Secret, Failure> {
    passphrase::prepare()?;
    match given.read()? {
        Some(passphrase) => passphrase::checked(passphrase),
        None => passphrase::choose(&mut Terminal::open()?, Use::Seal),
    }
}

fn ask(
    action: SealAction,
    slot: Option<SlotKind>,
    account: Option<String>,
    passphrase: Option<Secret>,
) -> Result<SealReport, Failure> {
    let mut agent = Agent::find(&Places::of_environment())?;
    Ok(agent.ask(&Request::Seal(SealRequest { action, slot, account, passphrase }))?)
}

/// What was done is a result; what was not, an error each.
fn conclude(report: &SealReport, done: impl Fn(&SealedAccount) -> String) -> Outcome {
    let mut failed = None;
    if report.accounts.is_empty() {
        return Err(Failure {
            error: "you have not enrolled on this host".into(),
            info: Some("run 'iam-session enroll'".into()),
            kind: FailureKind::NotEnrolled,
        }
        .into());
    }
    for account in &report.accounts {
        match &account.trouble {
            None => print(done(account).as_bytes())?,
            Some(trouble) => {
                let info = trouble.info.as_ref().map(|info| format!("; {info}")).unwrap_or_default();
                warn(&format!("account '{}': {}{info}", account.name, trouble.error));
                failed = failed.or(Some(trouble.kind));
            }
        }
    }
    Ok(failed.map_or(Exit::Done, Exit::With))
}

fn added(slot: Slot, account: &SealedAccount) -> String {
    let name = printable(&account.name);
    match (slot, account.changed) {
        (Slot::Passphrase, _) => format!("the passphrase opens '{name}'\n"),
        (Slot::Node, true) => format!("logins with this host's node key open '{name}'\n"),
        (Slot::Node, false) => format!("logins with this host's node key open '{name}' already\n"),
    }
}

fn removed(slot: Slot, account: &SealedAccount) -> String {
    let name = printable(&account.name);
    match slot {
        Slot::Passphrase => format!("no passphrase opens '{name}' any more\n"),
        Slot::Node => format!("'{name}' is locked at each login from now on, until 'iam-session unlock'\n"),
    }
}

impl From<Slot> for SlotKind {
    fn from(slot: Slot) -> Self {
        match slot {
            Slot::Passphrase => Self::Passphrase,
            Slot::Node => Self::Node,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_never_an_argument() {
        for line in ["seal add passphrase secret", "seal add", "seal", "seal remove node --passphrase-fd 3"] {
            assert!(SealArgs::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        assert!(SealArgs::try_parse_from("seal add passphrase --passphrase-fd 3".split(' ')).is_ok());
    }
}
