//! The issuer helper: the only program with the network. Dispatch only; the work is in `iam_session::issuer`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    iam_session::issuer::serve::main()
}
