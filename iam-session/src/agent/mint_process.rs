//! The agent's mint: a child that is started when there is a job, and ended when there has been none for a while.
//! Starts a process; touches its two pipes and never waits.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::poll::PollFlags;
use zeroize::Zeroizing;

use super::child_end::EndingChild;
use super::own_program;
use crate::line::{self, LineError, Lines};
use crate::mint::job::{Job, JobResult, MAX_LINE, UnlockState};
use crate::protocol::Failure;
use crate::runtime::token_wanted::{TokenJob, TokenKind};
use crate::store::Keyring;

/// How long an idle mint is kept, with its helper and the open connection to the issuer.
const IDLE: Duration = Duration::from_secs(30);
/// Longer than any job takes with its locks and its requests to the issuer: after this a mint waits for a file system that hangs.
const HUNG: Duration = Duration::from_secs(240);
/// A mint that hangs is left alone; while there are so many, no other is started to hang beside them.
const MAX_HUNG: usize = 2;

/// Names a job that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobTicket(u64);

/// What came of a job; the failure is the mint's, not the job's.
pub(super) type JobOutcome = Result<JobResult, Failure>;

/// The queue and the child that works it off.
pub(super) struct MintProcess {
    message: Vec<u8>,
    keys: Keyring,
    opening: UnlockState,
    queue: VecDeque<(JobTicket, Job)>,
    last: u64,
    running: Option<Running>,
    leaving: Vec<EndingChild>,
    /// What was broken off between two turns.
    broken_off: Vec<(JobTicket, JobOutcome)>,
}

struct Running {
    child: Child,
    jobs: ChildStdin,
    answers: ChildStdout,
    lines: Lines,
    out: Zeroizing<Vec<u8>>,
    sent: usize,
    busy: Option<Busy>,
    since: Duration,
}

struct Busy {
    ticket: JobTicket,
    token: Option<TokenJob>,
}

impl MintProcess {
    /// `message` is what each mint is given first, `keys` what follows.
    pub(super) fn new(message: Vec<u8>, keys: Keyring) -> Self {
        Self {
            message,
            keys,
            opening: UnlockState::default(),
            queue: VecDeque::new(),
            last: 0,
            running: None,
            leaving: Vec::new(),
            broken_off: Vec::new(),
        }
    }

    /// Keeps keys for the mints to come; the one that they are from has them.
    pub(super) fn keep(&mut self, keys: Keyring, opening: UnlockState) {
        self.keys = keys;
        self.opening = opening;
    }

    /// The keys that a mint is given.
    pub(super) fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Keeps `keys` alone, and parts with the mint that has more: it ends when its job is done, which is answered with
    /// `failure` now.
    pub(super) fn restrict(&mut self, keys: Keyring, failure: &Failure) {
        self.keep(keys, UnlockState::default());
        let mut ended = Vec::new();
        self.part(failure.clone(), &mut ended);
        self.broken_off.append(&mut ended);
    }

    /// Queues a job. One that asks for the same token as another is that other.
    pub(super) fn submit(&mut self, job: Job) -> JobTicket {
        // One that has not begun will see what the asker wants to be seen.
        if let Job::Look = &job
            && let Some((ticket, _)) = self.queue.iter().find(|(_, job)| matches!(job, Job::Look))
        {
            return *ticket;
        }
        if let Job::Token(wanted) = &job
            && let Some(ticket) = self.same(wanted)
        {
            return ticket;
        }
        self.last += 1;
        self.queue.push_back((JobTicket(self.last), job));
        JobTicket(self.last)
    }

    /// How many jobs wait.
    pub(super) fn backlog(&self) -> usize {
        self.queue.len()
    }

    /// The account whose session token the mint is at, and since when.
    pub(super) fn session_token_asked(&self) -> Option<(&str, Duration)> {
        let running = self.running.as_ref()?;
        let token = running.busy.as_ref()?.token.as_ref().filter(|job| job.kind == TokenKind::Session)?;
        Some((&token.account, running.since))
    }

    fn same(&self, wanted: &TokenJob) -> Option<JobTicket> {
        let running = self.running.as_ref().and_then(|running| running.busy.as_ref());
        let running = running.filter(|busy| busy.token.as_ref() == Some(wanted)).map(|busy| busy.ticket);
        let queued = || self.queue.iter().find(|(_, job)| matches!(job, Job::Token(job) if job == wanted));
        running.or_else(|| queued().map(|(ticket, _)| *ticket))
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let running = self.running.as_ref();
        let answers = running.map(|running| (running.answers.as_fd(), PollFlags::POLLIN));
        let jobs = running
            .filter(|running| running.sent < running.out.len())
            .map(|running| (running.jobs.as_fd(), PollFlags::POLLOUT));
        let ends = self.leaving.iter().map(|child| (child.descriptor(), PollFlags::POLLIN));
        answers.into_iter().chain(jobs).chain(ends)
    }

    /// When to come back at the latest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let running = self
            .running
            .as_ref()
            .map(|running| running.since + if running.busy.is_some() { HUNG } else { IDLE });
        let broken_off = (!self.broken_off.is_empty()).then_some(Duration::ZERO);
        running.into_iter().chain(broken_off).min()
    }

    /// Moves everything on that can be moved without waiting.
    pub(super) fn progress(&mut self, now: Duration) -> Vec<(JobTicket, JobOutcome)> {
        let mut finished = std::mem::take(&mut self.broken_off);
        self.receive(now, &mut finished);
        // What it still writes may be a token, and nobody reads it.
        self.leaving.retain_mut(|child| !child.has_ended(|_| ()));
        loop {
            self.dispatch(now, &mut finished);
            // Whatever could not be handed over is answered; the next one in the queue may fare better.
            if self.queue.is_empty() || self.running.is_some() {
                break;
            }
        }
        finished
    }

    fn receive(&mut self, now: Duration, finished: &mut Vec<(JobTicket, JobOutcome)>) {
        let Some(running) = &mut self.running else { return };
        match running.exchange() {
            Ok(Some(done)) => {
                running.since = now;
                finished.extend(running.busy.take().map(|busy| (busy.ticket, Ok(done))));
            }
            Ok(None) if running.busy.is_some() && now >= running.since + HUNG => {
                self.part(broken("does not come to an end"), finished);
            }
            Ok(None) if running.busy.is_none() && self.queue.is_empty() && now >= running.since + IDLE => {
                self.part(broken("has ended"), finished);
            }
            Ok(None) => {}
            Err(_) => self.part(broken("ended without an answer"), finished),
        }
    }

    fn dispatch(&mut self, now: Duration, finished: &mut Vec<(JobTicket, JobOutcome)>) {
        if self.running.as_ref().is_some_and(|running| running.busy.is_some()) {
            return;
        }
        let Some((ticket, job)) = self.queue.pop_front() else { return };
        if let Err(failure) = self.hand_over(ticket, &job, now) {
            finished.push((ticket, Err(failure)));
        }
    }

    fn hand_over(&mut self, ticket: JobTicket, job: &Job, now: Duration) -> Result<(), Failure> {
        let line = line::encode(job, MAX_LINE).map_err(|_| broken("takes no job of this size"))?;
        if self.running.is_none() {
            if self.leaving.len() >= MAX_HUNG {
                return Err(broken("hangs: is the home directory there?"));
            }
            let keys = Job::Keys { keys: self.keys.duplicate(), opening: self.opening };
            // A few hundred bytes a key, and a few dozen keys at most.
            let keys = line::encode(&keys, MAX_LINE).map_err(|_| broken("takes no keys of this size"))?;
            let started = Running::start(&[&self.message[..], &keys[..], &line[..]], now);
            self.running = Some(started.map_err(|error| broken(&format!("cannot be started: {error}")))?);
        } else if let Some(running) = &mut self.running {
            // It has answered, so it has read all that it was sent before.
            running.out = line;
        }
        if let Some(running) = &mut self.running {
            running.since = now;
            let token = if let Job::Token(token) = job { Some(token.clone()) } else { None };
            running.busy = Some(Busy { ticket, token });
            // What does not fit into the pipe now goes when it is writable.
            let _ = running.flush();
        }
        Ok(())
    }

    /// Closes the pipe with the mint's jobs, which ends it when the job that it has is done.
    fn part(&mut self, failure: Failure, finished: &mut Vec<(JobTicket, JobOutcome)>) {
        let Some(Running { child, answers: output, busy, .. }) = self.running.take() else { return };
        finished.extend(busy.map(|busy| (busy.ticket, Err(failure))));
        self.leaving.push(EndingChild { child, output });
    }
}

impl Running {
    /// `first` is what it is given at once: what it works with, and its first job.
    fn start(first: &[&[u8]], now: Duration) -> io::Result<Self> {
        Self::of(&mut own_program(&["mint"]), first, now)
    }

    fn of(program: &mut Command, first: &[&[u8]], now: Duration) -> io::Result<Self> {
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (jobs, answers) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        line::unblock(&jobs)?;
        line::unblock(&answers)?;
        // Allocated whole, so that no copy of the keys is left behind.
        let out = Zeroizing::new(first.concat());
        Ok(Self { child, jobs, answers, lines: Lines::new(MAX_LINE), out, sent: 0, busy: None, since: now })
    }

    fn exchange(&mut self) -> Result<Option<JobResult>, LineError> {
        self.flush()?;
        self.lines.fill(&mut self.answers)?;
        let line = self.lines.take()?;
        let done = line.map(|line| serde_json::from_slice(&line)).transpose();
        done.map_err(|error| LineError::Io(error.into()))
    }

    fn flush(&mut self) -> Result<(), LineError> {
        if self.sent < self.out.len() {
            self.sent += line::send_some(&mut self.jobs, self.out.get(self.sent..).unwrap_or_default())?;
        }
        if self.sent == self.out.len() {
            // Wiped: it held the keys, or an enrolment.
            self.out = Zeroizing::default();
            self.sent = 0;
        }
        Ok(())
    }
}

fn broken(what: &str) -> Failure {
    Failure::failed(format!("the agent's mint {what}")).advise("try again later")
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollTimeout, poll};

    use super::*;

    #[test]
    fn the_end_of_a_mint_that_is_not_needed_any_more_is_told_by_its_pipe_and_no_clock() {
        let mut mints = MintProcess::new(Vec::new(), Keyring::default());
        // As a mint, it ends with the pipe of its jobs.
        let mut program = Command::new("/bin/sh");
        program.args(["-c", "read -r job"]);
        mints.running = Some(Running::of(&mut program, &[], Duration::ZERO).unwrap());
        assert_eq!(mints.deadline(), Some(IDLE));
        assert!(mints.progress(IDLE).is_empty());
        assert_eq!(mints.deadline(), None);
        while !mints.leaving.is_empty() {
            let mut descriptors: Vec<PollFd<'_>> =
                mints.descriptors().map(|(descriptor, events)| PollFd::new(descriptor, events)).collect();
            poll(&mut descriptors, PollTimeout::NONE).unwrap();
            mints.progress(IDLE);
        }
        assert_eq!(mints.descriptors().count(), 0);
    }
}
