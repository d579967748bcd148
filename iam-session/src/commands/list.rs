//! `iam-session list`: the accounts, each with what is to be known of it. Touches the agent's socket.

use clap::Parser;
use serde::Serialize;

use super::print_json;
use super::status::layout::enrolment;
use crate::client::{AgentClient, Places};
use crate::clock::unix_time;
use crate::outcome::{Exit, Outcome, print};
use crate::protocol::{Account, Failure, Request, Status};
use crate::text::printable;

/// The longest label and two spaces.
const LABEL: usize = 11;

/// List the accounts.
#[derive(Debug, Default, Parser)]
#[command(name = "list", bin_name = "iam-session list")]
pub(crate) struct ListArgs {
    /// Print one object instead
    #[arg(long)]
    json: bool,
}

/// What `--json` prints: as `status` has it.
#[derive(Serialize)]
struct Listing<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    default_account: Option<&'a str>,
    accounts: &'a [Account],
    locked: &'a [String],
}

pub(crate) fn run(args: &ListArgs) -> Outcome {
    let mut agent = AgentClient::find(&Places::of_environment())?;
    let status: Status = agent.ask(&Request::Status {})?;
    if args.json {
        let default_account = status.default_account.as_deref();
        print_json(&Listing { default_account, accounts: &status.accounts, locked: &status.locked })?;
    } else {
        print(render(&status, unix_time()).as_bytes())?;
    }
    // What cannot be read is no empty list.
    match (status.accounts.is_empty(), status.trouble) {
        (false, _) => Ok(Exit::Done),
        (true, Some(trouble)) => Err(trouble.into()),
        (true, None) => {
            Err(Failure::not_enrolled("you have no account").advise("run 'iam-session enroll'").into())
        }
    }
}

fn render(status: &Status, now: u64) -> String {
    let blocks: Vec<String> = status.accounts.iter().map(|account| block(status, account, now)).collect();
    blocks.join("\n")
}

fn block(status: &Status, account: &Account, now: u64) -> String {
    let is_default = status.default_account.as_ref() == Some(&account.name);
    let note = if is_default { " (its token is in the file)" } else { "" };
    let mut text = format!("{}{note}\n", printable(&account.name));
    let mut add = |label: &str, value: &str| {
        text.push_str(&format!("  {label:LABEL$}{}\n", printable(value)));
    };
    // Of a record that nobody can open nothing else is known.
    if !account.issuer.is_empty() {
        add("issuer", &account.issuer);
        if !account.client_id.is_empty() {
            add("client", &account.client_id);
        }
        add("granted", &account.scope.to_string());
        add("in a file", &account.session_scope.to_string());
        add("enrolment", &enrolment(account.enrollment_ends_at, now));
    }
    if let Some(file) = &account.kept_file {
        add("own file", file);
    }
    if let Some(error) = &account.last_error {
        add("trouble", &error.failure.line());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::{NOW, account, last_error, status};

    #[test]
    fn each_account_is_a_block() {
        let mut other = account("cms");
        other.kept_file = Some("/run/t.cms".into());
        other.last_error = Some(last_error());
        other.enrollment_ends_at = None;
        assert_eq!(
            render(&status(vec![account("wlcg"), other]), NOW),
            "wlcg (its token is in the file)\n\
             \x20 issuer     https://wlcg.example/\n\
             \x20 client     5b0e6a6a-0000\n\
             \x20 granted    offline_access openid storage.read:/\n\
             \x20 in a file  openid storage.read:/\n\
             \x20 enrolment  ends in 29 days, 2026-12-23T01:23:31Z\n\
             \n\
             cms\n\
             \x20 issuer     https://wlcg.example/\n\
             \x20 client     5b0e6a6a-0000\n\
             \x20 granted    offline_access openid storage.read:/\n\
             \x20 in a file  openid storage.read:/\n\
             \x20 enrolment  the issuer names no end; unused for weeks it may end\n\
             \x20 own file   /run/t.cms\n\
             \x20 trouble    cannot reach wlcg.example; try again later\n"
        );
    }

    #[test]
    fn what_nobody_can_open_is_listed_with_the_reason_alone() {
        let mut closed = account("wlcg");
        closed.issuer.clear();
        closed.last_error = Some(last_error());
        let text = block(&status(vec![]), &closed, NOW);
        assert_eq!(text, "wlcg\n  trouble    cannot reach wlcg.example; try again later\n");
    }
}
