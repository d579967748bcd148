//! Finds and removes what a revoked user has left in files. Starts a reader for each question.
//!
//! Root opens nothing below a directory that a user owns. The reader does: it is this program, has become the
//! package's system user, and opens files as the user. Its answer is the user's word. If a file server does not
//! answer, only the reader waits.

mod reader;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::reader::run;
use super::subprocess::Subprocess;
use super::system_user::{FilesOf, SystemUser};
use crate::line::LineError;
use crate::scope::ScopeSet;

/// A runtime directory is in memory.
const PATIENCE_RUNTIME: Duration = Duration::from_secs(5);
/// A store may be on a file server; and while somebody has a lease on a record the kernel lets nobody open it for 45 s
/// (fcntl(2), /proc/sys/fs/lease-break-time).
const PATIENCE_STORE: Duration = Duration::from_secs(60);

/// What the reader is to do, and as whom.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    system: SystemUser,
    files: FilesOf,
    task: ReaderTask,
}

#[derive(Debug, Serialize, Deserialize)]
enum ReaderTask {
    /// Tell the access tokens in these runtime directories, then remove what agents have left there.
    Clear { runtime: Vec<PathBuf> },
    /// Hand over the records in this directory; those of the accounts named here before the others.
    Records { store: PathBuf, first: Vec<String> },
}

/// What the reader has found.
#[derive(Debug, Serialize, Deserialize)]
enum FoundFile {
    Token(LiveToken),
    Record(Sealed),
    /// A file that may be a record, and was not read.
    Skipped(Skipped),
    /// So many files are no records.
    Others(usize),
    /// The store, or a runtime directory, cannot be read.
    Unreadable(String),
    NoStore,
    Done,
}

/// An access token without the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LiveToken {
    pub(super) issuer: String,
    pub(super) scope: ScopeSet,
    pub(super) audience: String,
    /// Seconds since the epoch.
    pub(super) expires_at: u64,
    pub(super) jti: Option<String>,
}

/// A record as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    pub(super) account: String,
    /// In base64.
    pub(super) file: String,
}

/// A record that could not be handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Skipped {
    pub(super) name: String,
    pub(super) why: String,
}

/// What lay in the runtime directories.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    pub(super) tokens: Vec<LiveToken>,
    /// Why that may not be all, and why something may lie there still.
    pub(super) trouble: Option<String>,
}

/// What lies in the store.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) sealed: Vec<Sealed>,
    pub(super) skipped: Vec<Skipped>,
    /// Files that are no records.
    pub(super) others: usize,
    /// Why that may not be all.
    pub(super) trouble: Option<String>,
}

/// Whose files are read, by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileReader {
    pub(super) system: SystemUser,
    pub(super) files: FilesOf,
}

impl FileReader {
    /// Tells which access tokens are there, and removes them with all else that agents have left.
    pub(super) fn clear(self, runtime: Vec<PathBuf>) -> Cleared {
        let mut cleared = Cleared::default();
        let trouble = self.ask(ReaderTask::Clear { runtime }, PATIENCE_RUNTIME, |found| match found {
            FoundFile::Token(token) => cleared.tokens.push(token),
            FoundFile::Unreadable(why) => cleared.trouble = Some(why),
            _ => {}
        });
        cleared.trouble = trouble.or(cleared.trouble);
        let order = |one: &LiveToken, other: &LiveToken| {
            one.expires_at.cmp(&other.expires_at).then(one.jti.cmp(&other.jti))
        };
        cleared.tokens.sort_by(order);
        cleared
    }

    /// Hands over what lies in the store.
    pub(super) fn records(self, store: &Path, first: Vec<String>) -> Records {
        let mut records = Records::default();
        let task = ReaderTask::Records { store: store.to_owned(), first };
        let mut unreadable = None;
        let trouble = self.ask(task, PATIENCE_STORE, |found| match found {
            FoundFile::Record(sealed) => records.sealed.push(sealed),
            FoundFile::Skipped(skipped) => records.skipped.push(skipped),
            FoundFile::Others(others) => records.others = others,
            FoundFile::Unreadable(why) => unreadable = Some(why),
            FoundFile::Token(_) | FoundFile::NoStore | FoundFile::Done => {}
        });
        records.trouble = trouble.or(unreadable);
        records
    }

    /// What comes before the deadline counts; what is missing then is told.
    fn ask(self, task: ReaderTask, patience: Duration, mut take: impl FnMut(FoundFile)) -> Option<String> {
        let Self { system, files } = self;
        let asked = || -> Result<(), LineError> {
            let mut reader = Subprocess::start("read-files", patience)?;
            reader.tell(&Order { system, files, task })?;
            reader.told_all();
            loop {
                match reader.next()? {
                    FoundFile::Done => return Ok(()),
                    found => take(found),
                }
            }
        };
        asked().err().map(|error| match error {
            LineError::TimedOut => "a file system does not answer".to_owned(),
            LineError::Closed => format!("{} has ended early", reader::COMMAND),
            error => error.to_string(),
        })
    }
}
