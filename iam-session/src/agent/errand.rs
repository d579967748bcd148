//! A mint without an agent, for root: what lies in a user's store is looked at and ended by the program that may,
//! under the user's uid. Starts that process; touches its two pipes.
//!
//! Nothing crosses the user's directories, and the program cannot be read or attached to by its user: what comes back
//! is no word of the user's programs. What it finds is what the user left in the store.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::book::Entry;
use super::job::{AccountDone, AccountJob, Done, Ending, Job, MAX_LINE};
pub(crate) use super::job::{Inventory, LiveToken};
use super::message::{HintPolicy, Message};
use crate::clock::boot_time;
use crate::line::{self, LineError, Lines, Wait};
use crate::paths;
use crate::protocol::Forgotten;
use crate::store::Keyring;

/// Reading a store, on a file server perhaps.
const PATIENCE_INVENTORY: Duration = Duration::from_secs(20);
/// As that of a client for `forget`: both locks, and two requests to the issuer.
const PATIENCE_FORGET: Duration = Duration::from_secs(105);
/// It ends by itself when its jobs do.
const PATIENCE_END: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// Whose store it is.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) user: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: std::path::PathBuf,
    pub(crate) runtime: std::path::PathBuf,
}

/// A mint that works for root.
pub(crate) struct Errand {
    child: Child,
    jobs: Option<File>,
    answers: File,
    lines: Lines,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ErrandError {
    /// It cannot be started.
    #[error("cannot start {agent}: {0}", agent = paths::AGENT)]
    Start(io::Error),
    /// It does not answer, or not as agreed.
    #[error("{agent} mint: {0}", agent = paths::AGENT)]
    Broken(LineError),
    /// It answered, and says why not.
    #[error("{0}")]
    Failure(#[from] crate::protocol::Failure),
}

impl Errand {
    /// Starts a mint as the user for good, with no other group than the first one. `keys` is asked for when the process
    /// has become another program: a child that had them in its memory would be the user's for a moment before that.
    pub(crate) fn start(owner: &Owner, keys: impl FnOnce() -> Keyring) -> Result<Self, ErrandError> {
        let mut child = Command::new(paths::AGENT)
            .arg("mint")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .uid(owner.uid)
            .gid(owner.gid)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(ErrandError::Start)?;
        let pipes = child.stdin.take().map(OwnedFd::from).zip(child.stdout.take().map(OwnedFd::from));
        let (jobs, answers) = pipes.ok_or_else(|| ErrandError::Start(io::ErrorKind::BrokenPipe.into()))?;
        for pipe in [&jobs, &answers] {
            let set = fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
            set.map_err(|errno| ErrandError::Start(errno.into()))?;
        }
        let mut errand =
            Self { child, jobs: Some(jobs.into()), answers: answers.into(), lines: Lines::new(MAX_LINE) };
        let mut session_id = [0; 16];
        getrandom::fill(&mut session_id).map_err(|error| ErrandError::Start(io::Error::other(error)))?;
        let message = Message {
            session_id,
            uid: owner.uid,
            token_wait: 0,
            hints: HintPolicy::Never,
            keys: keys(),
            user: owner.user.clone(),
            home: owner.home.clone(),
            runtime: owner.runtime.clone(),
        };
        let too_long =
            || ErrandError::Start(io::Error::other("the user's name and directories are too long"));
        let bytes = message.to_bytes().ok_or_else(too_long)?;
        errand.send(&bytes)?;
        // Root has the keys that the lock has; and a user who is to lose everything could keep it by locking first.
        errand.send(&line::encode(&Job::Overrule, MAX_LINE).map_err(ErrandError::Broken)?)?;
        Ok(errand)
    }

    /// What there is of the user's.
    pub(crate) fn inventory(&mut self) -> Result<Inventory, ErrandError> {
        match self.ask(&Job::Inventory, PATIENCE_INVENTORY)? {
            Done::Inventory(inventory) => Ok(*inventory),
            _ => Err(garbage()),
        }
    }

    /// Revokes at the issuer, deregisters and removes one account.
    pub(crate) fn forget(&mut self, entry: &Entry) -> Result<Forgotten, ErrandError> {
        let job = AccountJob::End { account: entry.name.clone(), ending: Ending::Forget };
        match self.ask(&Job::Account(job), PATIENCE_FORGET)? {
            Done::Account(done) => match *done? {
                AccountDone::Ended(forgotten) => Ok(forgotten),
                _ => Err(garbage()),
            },
            _ => Err(garbage()),
        }
    }

    fn ask(&mut self, job: &Job, patience: Duration) -> Result<Done, ErrandError> {
        let line = line::encode(job, MAX_LINE).map_err(ErrandError::Broken)?;
        self.send(&line)?;
        let answer =
            self.lines.next(&mut self.answers, Wait::at_most(patience)).map_err(ErrandError::Broken)?;
        serde_json::from_slice(&answer).map_err(|_| garbage())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), ErrandError> {
        let jobs = self.jobs.as_mut().ok_or(ErrandError::Broken(LineError::Closed))?;
        line::send(jobs, bytes, Wait::at_most(PATIENCE_END)).map_err(ErrandError::Broken)
    }
}

fn garbage() -> ErrandError {
    ErrandError::Broken(LineError::Io(io::ErrorKind::InvalidData.into()))
}

impl Drop for Errand {
    fn drop(&mut self) {
        // The end of its jobs ends it. It is not killed: what is on its way to the issuer must come to an end, and what
        // waits for a home that hangs goes when that does.
        drop(self.jobs.take());
        let deadline = boot_time() + PATIENCE_END;
        while matches!(self.child.try_wait(), Ok(None)) && boot_time() < deadline {
            thread::sleep(PAUSE);
        }
    }
}
