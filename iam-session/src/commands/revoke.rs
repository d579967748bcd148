//! `iam-session revoke`: ends everything that is the user's on this host, now. Touches the agents' sockets and the
//! terminal.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use clap::Parser;

use super::forget;
use crate::client::{AgentClient, ClientError, Places};
use crate::clock::unix_time;
use crate::outcome::{Exit, Outcome, print, print_error, warn};
use crate::protocol::{Account, Ending, Failure, FailureKind, Forgotten, Heeded, Request, Status, StopMode};
use crate::text::{duration, printable, utc};

/// What has to be typed.
const YES: &str = "yes";

/// End all accounts at their issuers and all agents on this host, now.
#[derive(Debug, Default, Parser)]
#[command(name = "revoke", bin_name = "iam-session revoke")]
pub(crate) struct RevokeArgs {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &RevokeArgs) -> Outcome {
    let places = Places::with_home();
    let mut agent = AgentClient::find(&places)?;
    let status: Status = agent.ask(&Request::Status {})?;
    if !args.yes {
        confirm(&status)?;
    }
    let mut exit = Exit::Done;
    if let Some(trouble) = &status.trouble
        && status.accounts.is_empty()
    {
        warn(&format!("it is not known which accounts there are: {}", trouble.error));
        exit = Exit::With(FailureKind::Failed);
    }
    for account in &status.accounts {
        if revoke(&mut agent, account)? == RevokeEnd::Behind {
            exit = Exit::With(FailureKind::Failed);
        }
    }
    if end_agents(&places, &agent) == RevokeEnd::Behind || is_left(&status) {
        exit = Exit::With(FailureKind::Failed);
    }
    if let Some(text) = still_valid(&status, unix_time()) {
        print(text.as_bytes())?;
    }
    Ok(exit)
}

/// Whether something stayed behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RevokeEnd {
    Done,
    Behind,
}

fn confirm(status: &Status) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage("this has to be confirmed, and there is no terminal to ask on")
            .advise("say --yes"));
    }
    print_error(&question(status));
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(_) if answer.trim() == YES => Ok(()),
        _ => Err(Failure::failed("nothing was ended").advise(format!("type '{YES}', or say --yes"))),
    }
}

fn question(status: &Status) -> String {
    let names: Vec<String> = status.accounts.iter().map(|account| printable(&account.name)).collect();
    let accounts = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!(
        "This ends, at the issuers and here, the accounts of {}: {accounts};\n\
         and all your agents on this host, with their token files: what runs here has no token any more.\n\
         Type '{YES}' to do so:",
        printable(&status.user)
    )
}

fn revoke(agent: &mut AgentClient, account: &Account) -> Result<RevokeEnd, crate::outcome::Stop> {
    let name = &account.name;
    let request = Request::EndAccount { account: name.clone(), mode: Ending::Revoke };
    match agent.ask::<Forgotten>(&request) {
        Ok(forgotten) => {
            let is_done = forget::tell(&forgotten, &format!("account '{}': ", printable(name)))?;
            Ok(if is_done { RevokeEnd::Done } else { RevokeEnd::Behind })
        }
        Err(error) => {
            // The others should end all the same.
            warn(&format!("account '{name}' was not revoked: {}", Failure::from(error).error));
            Ok(RevokeEnd::Behind)
        }
    }
}

/// Each agent of the user on this host, the one that has answered so far as the last.
fn end_agents(places: &Places, own: &AgentClient) -> RevokeEnd {
    let mut told = RevokeEnd::Done;
    let mut ended = 0;
    let others = places.all().into_iter().filter(|path| path != own.path());
    for path in others.chain([own.path().to_owned()]) {
        match end(&path, places.uid()) {
            Ok(()) => ended += 1,
            // A socket that an agent has left behind that was killed.
            Err(ClientError::Dead { .. }) => {}
            Err(error) => {
                warn(&format!("an agent was not ended: {}", Failure::from(error).error));
                told = RevokeEnd::Behind;
            }
        }
    }
    let _ = print(format!("ended {ended} agent{}\n", if ended == 1 { "" } else { "s" }).as_bytes());
    told
}

fn end(path: &Path, uid: u32) -> Result<(), ClientError> {
    let mut agent = AgentClient::connect(path, uid)?;
    agent.ask::<Heeded>(&Request::Stop { mode: StopMode::Any })?;
    agent.wait_for_its_end();
    Ok(())
}

/// The last agent out takes the files along.
fn is_left(status: &Status) -> bool {
    let kept = status.accounts.iter().filter_map(|account| account.kept_file.as_ref());
    let left: Vec<&String> =
        kept.chain([&status.token_file]).filter(|file| Path::new(file).exists()).collect();
    for file in &left {
        warn(&format!("{file} is still there: another agent of yours has just started, or did not end"));
    }
    !left.is_empty()
}

/// What no revocation reaches: an access token is believed by its signature.
fn still_valid(status: &Status, now: u64) -> Option<String> {
    let ends = status.accounts.iter().filter_map(|account| account.token_expires_at);
    let last = ends.filter(|end| *end > now).max()?;
    Some(format!(
        "access tokens that were handed out stay valid until they end: those of the files within {}, until {}\n",
        duration(last - now),
        utc(last)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::{NOW, account, status};

    #[test]
    fn the_question_says_what_goes() {
        let text = question(&status(vec![account("wlcg"), account("cms")]));
        assert!(text.starts_with("This ends, at the issuers and here, the accounts of alice: wlcg, cms;\n"));
        assert!(question(&status(vec![])).contains("alice: none;"));
    }

    #[test]
    fn what_no_revocation_reaches_is_told_with_its_end() {
        let mut later = account("cms");
        later.token_expires_at = Some(NOW + 3600);
        assert_eq!(
            still_valid(&status(vec![account("wlcg"), later]), NOW).as_deref(),
            Some(
                "access tokens that were handed out stay valid until they end: those of the files within 1 h, until 2026-11-24T02:23:31Z\n"
            )
        );
        assert_eq!(still_valid(&status(vec![]), NOW), None);
    }
}
