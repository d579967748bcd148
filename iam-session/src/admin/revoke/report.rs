//! Says at the end of a revocation what was done, and what was not. Prints.

use crate::admin::say;
use crate::outcome::{Exit, Outcome, warn};
use crate::protocol::{Failure, FailureKind};

/// What has been done, told when all of it is: that nobody reads it stops no step.
#[derive(Debug, Default)]
pub(super) struct RevokeReport {
    pub(super) done: Vec<String>,
    /// A line each that does not stand for itself at the end.
    pub(super) warnings: Vec<String>,
    failures: Vec<Failure>,
}

impl RevokeReport {
    pub(super) fn say(&mut self, line: String) {
        self.done.push(line);
    }

    pub(super) fn warn(&mut self, line: String) {
        self.warnings.push(line);
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    pub(super) fn tell(self) -> Outcome {
        let said = say(&self.done.join("\n"));
        self.warnings.iter().for_each(|line| warn(line));
        let is_whole = self.warnings.is_empty();
        let mut failures = self.failures.into_iter().rev();
        let last = failures.next();
        failures.rev().for_each(|failure| warn(&failure.line()));
        match last {
            Some(failure) => return Err(failure.into()),
            None => said?,
        }
        Ok(if is_whole { Exit::Done } else { Exit::With(FailureKind::Failed) })
    }
}
