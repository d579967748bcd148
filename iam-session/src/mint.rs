//! `agent mint`: everything that needs a stored credential. Touches the store, the locks, the cache, the token files
//! and one helper; never the socket.
//!
//! The mint is a child of the agent and outlives it. A request to the issuer may already have used up the refresh
//! token. So neither a logout nor the agent's death ends a mint (promise 6).

pub(crate) mod accept_response;
mod account;
mod accounts;
mod client;
mod derive;
mod device_flow;
mod drafts;
mod enroll;
mod forget;
mod helper_process;
mod host_lock;
pub(crate) mod job;
pub(crate) mod mint_locks;
mod pending;
mod policy;
mod publish;
pub(crate) mod refusals;
mod revoked;
mod scan_store;
mod seal;
pub(crate) mod token;
mod unlock;
mod unsaved;
mod verify_subject;

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use self::job::{Job, JobResult, MAX_LINE, UnlockState};
use self::mint_locks::LockNews;
use self::token::{RefusedToken, Unpublished};
use self::unsaved::Unsaved;
use crate::clock;
use crate::directory::DirectoryError;
use crate::harden::{harden, outlive_the_session};
use crate::helper::Helper;
use crate::host::revoked::RevokedList;
use crate::issuer::wire::HelperRequest;
use crate::json::spelled;
use crate::lifeline_message::Message;
use crate::line::{self, LineError, Lines, Wait};
use crate::log::{Level, Log};
use crate::paths;
use crate::protocol::{Failure, FailureKind, agent_is_older};
use crate::runtime::accounts::AccountBook;
use crate::runtime::last_failure::{FailureScope, RequestedBy, RetryPause, RetryWhen};
use crate::runtime::token_wanted::{TokenJob, TokenKind};
use crate::runtime::{RemainingFiles, RuntimeDirectory};

/// Between two looks whether the agent is still there; its end wakes the mint at once.
const IDLE: Duration = Duration::from_secs(3600);
/// The last agent's own way out takes microseconds.
const CLEAR_TRIES: u32 = 5;
const CLEAR_PAUSE: Duration = Duration::from_millis(10);
/// An answer is small and the agent reads at once; one that does not is not waited for.
const ANSWER: Duration = Duration::from_secs(5);

/// The mint of one agent.
pub(crate) struct Mint {
    message: Message,
    /// How long it has the keys of passphrases.
    opening: UnlockState,
    runtime: RuntimeDirectory,
    /// Who is revoked.
    list: RefCell<RevokedList>,
    helper: Option<Helper>,
    unsaved: Unsaved,
    /// What is published of a job once it has been answered.
    unpublished: Option<Unpublished>,
    /// The last token that was asked for by name and is not to be had.
    refused: Option<RefusedToken>,
    /// What enrolments have replaced, or did not keep, is ended at its issuer so, once they have been answered.
    endings: Vec<HelperRequest>,
    /// The enrolments that were begun here with a client of their own.
    flows: Vec<String>,
    /// What a job that has to wait for a lock is told by.
    news: LockNews,
    log: Log,
}

/// Serves jobs until the agent has no more or is gone.
pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> io::Result<()> {
    harden()?;
    outlive_the_session()?;
    let mut jobs = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut answers = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let message = Message::read(&mut jobs)?;
    let places = paths::RuntimePaths::new(&message.runtime, message.uid);
    let runtime = RuntimeDirectory::open(places).map_err(io::Error::other)?;
    let log = Log::of(&message.user, &message.session());
    let list = RefCell::new(RevokedList::new(&message.user, message.uid));
    let mut mint = Mint {
        message,
        opening: UnlockState::default(),
        runtime,
        list,
        helper: None,
        unsaved: Unsaved::default(),
        unpublished: None,
        refused: None,
        endings: Vec::new(),
        flows: Vec::new(),
        news: LockNews::default(),
        log,
    };
    let mut lines = Lines::new(MAX_LINE);
    while let Some(job) = mint.next_job(&mut lines, &mut jobs)? {
        // An agent that is gone needs no answer; what was to be kept is in the store. If the answer fits no line, our end
        // says that none comes.
        let answered = mint.work(job).map_or(Ok(()), |done| answer(&mut answers, &done));
        mint.publish_rest();
        mint.news = LockNews::default();
        mint.end_what_is_left();
        if mint.is_revoked() || matches!(answered, Err(LineError::TooLong(_))) {
            break;
        }
    }
    mint.save_at_last();
    // Nobody waits for this mint any more.
    mint.end_abandoned();
    drop(mint.helper.take());
    clear(&mint.runtime).map_err(io::Error::other)
}

/// If the agent has ended and was the last, what it could not remove while we minted is ours to remove.
fn clear(runtime: &RuntimeDirectory) -> Result<(), DirectoryError> {
    for _ in 0..CLEAR_TRIES {
        if runtime.clear_if_deserted()? != RemainingFiles::All {
            break;
        }
        thread::sleep(CLEAR_PAUSE);
    }
    Ok(())
}

fn answer(answers: &mut File, done: &JobResult) -> Result<(), LineError> {
    let line = line::encode(done, MAX_LINE)?;
    line::send(answers, &line, Wait::at_most(ANSWER))
}

impl Mint {
    /// Waits for a job, and meanwhile tries to write what is unsaved.
    fn next_job(&mut self, lines: &mut Lines, jobs: &mut File) -> io::Result<Option<Job>> {
        loop {
            let patience = if self.unsaved.is_empty() { IDLE } else { unsaved::PAUSE };
            match lines.next(jobs, Wait::at_most(patience)) {
                Ok(line) => return Ok(Some(serde_json::from_slice(&line)?)),
                Err(LineError::TimedOut) => self.save(),
                Err(LineError::Closed) => return Ok(None),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    /// `class`: what the issuer's answer was, where there was one (issuer/wire.rs).
    fn log_failure(&self, account: &str, class: &str, failure: &Failure) {
        let kind = spelled(&failure.kind);
        let fields = [("account", account), ("kind", &kind), ("class", class), ("error", &failure.error)];
        self.log.event(Level::Warning, "failed", &fields);
    }

    /// A session token that cannot be had, and no last failure says why: without one, every agent would try without end.
    fn leave_trace(&self, job: &TokenJob, failure: &Failure) {
        let book = AccountBook::read(&self.runtime.agents).unwrap_or_default();
        let entry = book.find(Some(&job.account)).filter(|_| job.kind == TokenKind::Session);
        let Some(entry) = entry.filter(|entry| !entry.record_id.is_empty()) else { return };
        // Nothing is tried until the user has unlocked it, or is taken off the list, and then at once.
        if failure.kind == FailureKind::Locked || self.is_revoked() {
            return;
        }
        let standing = self.last_failures(&entry.record_id).of_session();
        if standing.is_some_and(|last_failure| last_failure.holds(RequestedBy::Agent, clock::boot_time())) {
            return;
        }
        self.log_failure(&job.account, "-", failure);
        let (against, outlook, pause) = (FailureScope::Session, RetryWhen::Passing, RetryPause::OfAgents);
        let next = self.next_failure(&entry.record_id, against, failure.clone(), outlook, pause);
        self.note_here(&entry.record_id, against, next);
    }

    fn work(&mut self, job: Job) -> Option<JobResult> {
        self.save();
        Some(match job {
            Job::Keys { keys, opening } => {
                self.message.keys = keys;
                self.opening = opening;
                return None;
            }
            Job::Open { passphrase, until } => {
                JobResult::Unlocked(self.unlock(&passphrase, until).map(Box::new))
            }
            Job::LockHost { passphrase } => JobResult::Locked(self.lock_host(passphrase.as_ref())),
            Job::Slots(request) => JobResult::Sealed(self.slots(&request)),
            Job::Unlock { passphrase, until } => {
                JobResult::Unlocked(self.unlock_for_older(&passphrase, until).map(Box::new))
            }
            Job::Lock(_) => JobResult::Locked(Err(agent_is_older())),
            Job::Lift(_) => JobResult::Lifted(Err(agent_is_older())),
            Job::Seal(_) => JobResult::Sealed(Err(agent_is_older())),
            Job::Look => JobResult::Looked(self.look()),
            Job::Token(job) => {
                let token = self.token(&job);
                if let Err(failure) = &token {
                    self.leave_trace(&job, failure);
                    // The store may have become unreadable, or readable: the agents act by the accounts file.
                    let _ = self.look();
                }
                JobResult::Token(token.map(Box::new))
            }
            Job::Account(job) => JobResult::Account(self.account_job(job).map(Box::new)),
        })
    }
}
