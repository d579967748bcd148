//! Whoever sits at the terminal, and can be asked. Reads standard input, writes standard error.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::commands::device_flow::{Report, cancelled};
use crate::commands::passphrase::{Purpose, Terminal};
use crate::line::{LineError, Lines, Wait};
use crate::outcome::print_error;
use crate::protocol::Failure;
use crate::secret::Secret;

/// A question may be thought about; a terminal that was forgotten ends some day.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// A line of a terminal (termios(3)).
const MAX_LINE: usize = 4096;

/// Somebody who reads what is asked and can answer.
pub(in crate::commands) struct Person {
    input: File,
    lines: Lines,
}

impl Person {
    /// The one at the terminal. A program that reads objects, or a script, is never asked anything.
    pub(in crate::commands) fn at_the_terminal(report: Report) -> Option<Self> {
        let there =
            matches!(report, Report::Text(_)) && io::stdin().is_terminal() && io::stderr().is_terminal();
        let input = io::stdin().as_fd().try_clone_to_owned().ok().filter(|_| there)?;
        Some(Self { input: File::from(input), lines: Lines::new(MAX_LINE) })
    }

    /// Asks for a line, which is shown while it is typed; `interrupt` ends that early.
    pub(in crate::commands) fn ask(
        &mut self,
        question: &str,
        interrupt: Option<BorrowedFd<'_>>,
    ) -> Result<String, Failure> {
        print_error(question);
        let wait = Wait::at_most(PATIENCE).unless(interrupt);
        match self.lines.next(&mut self.input, wait) {
            Ok(line) => Ok(String::from_utf8_lossy(&line).trim().to_owned()),
            Err(LineError::Interrupted | LineError::Closed) => Err(cancelled()),
            Err(error) => Err(Failure::failed(format!("nobody answered: {error}"))
                .advise("nothing was stored; run it again")),
        }
    }

    /// Asks for a line that is not shown.
    pub(in crate::commands) fn ask_in_secret(&self, question: &str) -> Result<Secret, Failure> {
        Terminal::open_for(Purpose::Credential)?.ask(question)
    }
}
