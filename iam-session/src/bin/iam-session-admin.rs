//! Root's tool. Dispatch only; the work is in `iam_session::admin`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    iam_session::admin::run(std::env::args_os().collect())
}
