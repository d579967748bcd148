//! The token agent. Dispatch only; the work is in `iam_session::agent`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    iam_session::agent::run(std::env::args_os())
}
