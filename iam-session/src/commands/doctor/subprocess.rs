//! The looks in a process of their own. Starts this program once more, and does not wait for its end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::storage::StorageUrl;
use super::{DoctorReport, deadline};
use crate::protocol::Failure;

/// This program, also where it has just been replaced by another version (proc(5)).
const SELF: &str = "/proc/self/exe";
/// All deadlines of the looks together; more is a machine that starts no threads.
const PATIENCE: Duration = Duration::from_secs(75);

/// What the other process found.
pub(super) fn report(url: Option<&StorageUrl>) -> Result<DoctorReport, Failure> {
    let failed = |what: &str| {
        Failure::failed(format!("cannot look: {what}")).advise("may you start more processes? 'ulimit -u'")
    };
    let mut command = Command::new(Path::new(SELF));
    command.args(["doctor", "--look"]).args(url.map(StorageUrl::as_str));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    // Dropped and not waited for: it becomes init's.
    let output =
        child.map_err(|error| failed(&error.to_string()))?.stdout.ok_or_else(|| failed("no pipe"))?;
    let line = deadline::first(PATIENCE, move || {
        let mut line = String::new();
        // The end of the file may not come.
        BufReader::new(output).read_line(&mut line).map(|_| line)
    });
    let line = line
        .ok_or_else(|| failed("there is no answer in time"))?
        .map_err(|error| failed(&error.to_string()))?;
    serde_json::from_str(&line).map_err(|_| failed("the process that looks has ended early"))
}
