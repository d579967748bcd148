//! `old-kernel PROGRAM ARGUMENTS…`: runs a program, and all that it starts, on the system calls that CentOS 7's kernel
//! has (3.10.0-1160). Replaces itself; needs root, for without it the filter would also forbid setuid programs.
//!
//! What that kernel lacks answers ENOSYS, and locks of open file descriptions, EINVAL, as there. Flags that it does not
//! know of calls that it has are not looked at.

mod filter;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: old-kernel PROGRAM ARGUMENTS...");
        return ExitCode::FAILURE;
    };
    if let Err(error) = filter::install() {
        eprintln!("old-kernel: no filter: {error}");
        return ExitCode::FAILURE;
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("old-kernel: {}: {error}", program.display());
    ExitCode::FAILURE
}
