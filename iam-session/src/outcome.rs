//! How a command ends: what it prints, and its exit code. Touches standard output and standard error.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::unistd::write;

use crate::client::ClientError;
use crate::config::ConfigError;
use crate::helper::HelperError;
use crate::protocol::{Failure, FailureKind};
use crate::text::printable;

/// A command that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Done,
    /// The result was printed, and it says that something is not.
    With(FailureKind),
    /// What another program's users expect, as of env(1).
    Code(u8),
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::With(kind) => kind.exit_code().into(),
            Self::Code(code) => code.into(),
        }
    }
}

/// The name of a program as its messages begin with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program(pub(crate) &'static str);

/// The users' program.
pub(crate) const IAM_SESSION: Program = Program("iam-session");

/// What ends a command early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help was asked for and printed.
    Done,
    /// Who read our output has gone; as any filter, we do so without a word.
    NobodyReads,
    /// It failed.
    Failure(Failure),
}

/// The end of a command.
pub(crate) type Outcome = Result<Exit, Stop>;

impl Stop {
    /// Says why, and the exit code.
    pub(crate) fn report(self, program: Program) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::NobodyReads => FailureKind::Failed.exit_code().into(),
            Self::Failure(failure) => {
                print_error(&format!("{}: {}", program.0, printable(&failure.line())));
                failure.kind.exit_code().into()
            }
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<ConfigError> for Stop {
    fn from(error: ConfigError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<HelperError> for Stop {
    fn from(error: HelperError) -> Self {
        Self::Failure(error.into())
    }
}

/// A line on standard error that does not end the command. Foreign text in it is made printable here.
pub(crate) fn warn(text: &str) {
    print_error(&format!("iam-session: warning: {}", printable(text)));
}

/// A line, or several, of our own on standard error.
pub(crate) fn print_error(text: &str) {
    // There is nobody left to tell if this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes a result to standard output: directly and at once, for what std buffers it does not wipe, and a
/// reader of a pipe should see a token whole.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Stop> {
    let stdout = io::stdout();
    let mut rest = bytes;
    while !rest.is_empty() {
        match write(stdout.as_fd(), rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EPIPE) => return Err(Stop::NobodyReads),
            Err(errno) => {
                let error = format!("cannot write to standard output: {}", io::Error::from(errno));
                return Err(Stop::Failure(Failure::failed(error)));
            }
        }
    }
    Ok(())
}
