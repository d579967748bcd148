//! Dispatch only.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    iam_session::admin::run(std::env::args_os().collect())
}
