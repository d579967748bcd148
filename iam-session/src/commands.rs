//! The commands, one file each.

pub(crate) mod decode;
mod device_flow;
pub(crate) mod doctor;
pub(crate) mod enroll;
pub(crate) mod env;
pub(crate) mod forget;
pub(crate) mod list;
pub(crate) mod lock;
mod named_client;
mod passphrase;
mod prompt;
pub(crate) mod providers;
mod providers_for_user;
mod read_token_file;
pub(crate) mod reenroll;
pub(crate) mod rename;
pub(crate) mod revoke;
mod role;
pub(crate) mod run;
pub(crate) mod seal;
mod secret_input;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod token;
mod token_options;
pub(crate) mod unlock;
pub(crate) mod use_account;

use serde::Serialize;

use crate::account;
use crate::client::AgentClient;
use crate::line::{LineError, encode};
use crate::outcome::{Stop, print};
use crate::protocol::{Failure, MAX_LINE, Request, Status};
use crate::runtime::accounts;

/// What `--json` may grow to on top of an agent's reply.
const MAX_JSON: usize = 2 * MAX_LINE;

/// Prints one JSON object as a line, from a buffer that is wiped.
fn print_json<T: Serialize>(object: &T) -> Result<(), Stop> {
    let line = encode(object, MAX_JSON)
        .map_err(|error: LineError| Failure::failed(format!("cannot print the answer: {error}")))?;
    print(&line)
}

/// The name of the account that is meant by a name or by its issuer's URL.
fn account_name(agent: &mut AgentClient, text: &str) -> Result<String, Stop> {
    if !text.contains("://") {
        account::validate(text).map_err(|error| {
            Failure::usage(error.to_string()).advise("'iam-session list' shows the accounts")
        })?;
        return Ok(text.to_owned());
    }
    let status: Status = agent.ask(&Request::Status {})?;
    let accounts = status.accounts.iter().map(|account| (account.name.as_str(), account.issuer.as_str()));
    Ok(accounts::of_issuer(accounts, text)?.to_owned())
}
