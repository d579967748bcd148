//! A started agent and its answer. Waits on its status pipe, never beyond a deadline.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::OpenError;
use crate::hint::Hint;
use crate::launch::{Ends, Middle, Pipe, Plan, RecordEnds};
use crate::options::{ExportPolicy, MAX_START_WAIT};
use crate::status::{Heard, Line, StatusPipe, Word};

/// How long a login may be held up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// When the host called us.
    pub(crate) began: Instant,
    /// For the first line, counted from the start of the agent.
    pub(crate) start: Duration,
    /// For the second one, counted from the first.
    pub(crate) token: Duration,
}

/// An agent that has been started.
#[derive(Debug)]
pub(crate) struct Agent {
    /// The write end: the agent lives as long as it is open.
    pub(crate) lifeline: OwnedFd,
    status: StatusPipe,
    wants_export: bool,
    middle: Option<Middle>,
    started: Instant,
}

/// What a login makes of an agent's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The groups do not permit it; there is no agent.
    NotServed,
    /// There is an agent.
    Said { state: State, hint: Option<Hint> },
    /// There is one, or there will be.
    Late,
}

/// What an agent found, in words for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Token,
    NoToken,
    NotEnrolled,
    Locked,
    StoreUnavailable,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "ready",
            Self::NoToken => "ready-no-token",
            Self::NotEnrolled => "not-enrolled",
            Self::Locked => "locked",
            Self::StoreUnavailable => "store-unavailable",
        })
    }
}

/// The middle child only forks and exits; where a crowded machine does not let it, it is waited for so long. A host may
/// wait for any child of its own, as login(1) does for the shell, and must not find this one.
const REAP_AT_LEAST: Duration = Duration::from_secs(1);

impl Agent {
    /// Starts it on the other ends of the two pipes.
    pub(crate) fn start(
        mut plan: Plan<'_>,
        lifeline: Pipe,
        status: Pipe,
        record: Option<RecordEnds<'_>>,
    ) -> nix::Result<Self> {
        let middle =
            plan.start(Ends { lifeline: lifeline.read.as_fd(), status: status.write.as_fd(), record })?;
        // The agent's ends, `lifeline.read` and `status.write`, are closed here: from now on its end is end of file.
        Ok(Self {
            lifeline: lifeline.write,
            status: StatusPipe::new(status.read),
            wants_export: true,
            middle: Some(middle),
            started: clock::now(),
        })
    }

    /// Whether a program is to find the token file by its variable, by what the agent has said. What is not known of
    /// the user, as where the agent is late, is no reason to leave the variable out.
    pub(crate) fn exports(&self, answer: Answer, policy: ExportPolicy) -> bool {
        let is_enrolled = !matches!(answer, Answer::Said { state: State::NotEnrolled, .. });
        self.wants_export && (is_enrolled || policy == ExportPolicy::Always)
    }

    /// Waits for a first line, and for a second one only where the first says that it is worth it.
    pub(crate) fn answer(&mut self, patience: Patience) -> Result<Answer, OpenError> {
        let latest = patience.began + MAX_START_WAIT;
        let until = latest.min(self.started + patience.start);
        let mut first = self.status.next(until);
        if first == Heard::Line(Line { word: Word::NoExport, hint: None }) {
            self.wants_export = false;
            first = self.status.next(until);
        }
        if let Some(middle) = self.middle.take() {
            middle.reap(latest.max(clock::now() + REAP_AT_LEAST));
        }
        let no_token = Heard::Line(Line { word: Word::ReadyNoToken, hint: None });
        if first != no_token || patience.token.is_zero() {
            return Answer::of(first);
        }
        match self.status.next(clock::now() + patience.token) {
            second @ Heard::Line(Line { word: Word::Ready, .. }) => Answer::of(second),
            _ => Answer::of(first),
        }
    }
}

impl Answer {
    fn of(heard: Heard) -> Result<Self, OpenError> {
        let Line { word, hint } = match heard {
            Heard::Line(line) => line,
            Heard::End => return Err(OpenError::NoAgent),
            Heard::Nothing => return Ok(Self::Late),
        };
        let state = match word {
            Word::Ready => State::Token,
            Word::ReadyNoToken => State::NoToken,
            Word::NotEnrolled => State::NotEnrolled,
            Word::Locked => State::Locked,
            Word::StoreUnavailable => State::StoreUnavailable,
            // Said twice.
            Word::NoExport => return Err(OpenError::NoAgent),
            Word::NotServed => return Ok(Self::NotServed),
            Word::Failed(code) => return Err(OpenError::Failed(code)),
        };
        Ok(Self::Said { state, hint })
    }
}
