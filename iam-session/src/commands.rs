//! The commands, one file each.

pub(crate) mod decode;
pub(crate) mod doctor;
pub(crate) mod enroll;
mod everywhere;
pub(crate) mod forget;
mod known;
pub(crate) mod lock;
mod passphrase;
pub(crate) mod providers;
mod role;
pub(crate) mod run;
pub(crate) mod seal;
mod shell;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod token;
pub(crate) mod unlock;
mod wanted;

use serde::Serialize;

use crate::cli::{Stop, print};
use crate::line::{LineError, encode};
use crate::protocol::{Failure, FailureKind, MAX_LINE};

/// What `--json` may grow to on top of an agent's reply.
const MAX_JSON: usize = 2 * MAX_LINE;

/// Prints one JSON object as a line, from a buffer that is wiped.
fn print_json<T: Serialize>(object: &T) -> Result<(), Stop> {
    let line = encode(object, MAX_JSON).map_err(|error: LineError| Failure {
        error: format!("cannot print the answer: {error}"),
        info: None,
        kind: FailureKind::Failed,
    })?;
    print(&line)
}
