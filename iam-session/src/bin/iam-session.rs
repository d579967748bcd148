//! The command line. Dispatch only; the work is in `iam_session::cli`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    iam_session::cli::run(std::env::args_os().collect())
}
