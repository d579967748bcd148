//! The program under test.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_iam-session");

/// The program with no environment but `IAM_SESSION_SOCK`.
pub(crate) fn with_socket(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = without_socket(arguments);
    command.env("IAM_SESSION_SOCK", socket);
    command
}

pub(crate) fn without_socket(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

pub(crate) fn run(mut command: Command) -> Ended {
    command.output().unwrap().into()
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
    }
}

/// Ended with nothing on standard output and one line on standard error.
pub(crate) fn failed(code: i32, line: &str) -> Ended {
    Ended { stdout: String::new(), stderr: format!("iam-session: {line}\n"), code: Some(code) }
}

pub(crate) fn shown(path: &Path) -> &str {
    OsStr::to_str(path.as_os_str()).unwrap()
}
