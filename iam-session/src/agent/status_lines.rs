//! The status lines: PROTOCOL.md, section 2. Touches the one pipe that it is given, and the stamp of the last hint.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use serde::Serialize;

use crate::directory::{Directory, Durability};
use crate::json::spelled;
use crate::lifeline_message::HintPolicy;
use crate::runtime::HINT;

/// A hint at every login of a busy day would be noise.
const HINT_AT_MOST_EVERY: u64 = 24 * 60 * 60;

/// How the login stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StatusWord {
    /// A good token is in the file.
    Ready,
    /// Enrolled; no good token yet.
    ReadyNoToken,
    /// No enrolment, or it has ended.
    NotEnrolled,
    /// Sealed by something that is not given at login.
    Locked,
    /// The store cannot be read now.
    StoreUnavailable,
    /// Before the first of the others: the user wants no variable of the token file.
    NoExport,
}

/// What the user may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Hint {
    /// The enrolment ends within 7 days.
    EndsSoon,
    /// Run `iam-session enroll`.
    Enrol,
    /// Run `iam-session unlock`.
    Unlock,
}

/// Why there is no agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StartFailure {
    /// The lifeline message is not one, or not this user's.
    Message,
    /// The process could not be closed to others of the same uid.
    Harden,
    /// The runtime directory cannot be used.
    Runtime,
    /// The socket cannot be made.
    Socket,
}

/// The module's end of it may be gone: the module waits for a moment only, and that is no failure.
pub(super) struct StatusPipe(Option<File>);

impl StatusPipe {
    pub(super) fn to(pipe: File) -> Self {
        Self(Some(pipe))
    }

    pub(super) fn say(&mut self, word: StatusWord, hint: Option<Hint>) {
        self.line(&match hint {
            Some(hint) => format!("{} {}\n", spelled(&word), spelled(&hint)),
            None => format!("{}\n", spelled(&word)),
        });
    }

    /// The last line of an agent that does not come to be.
    pub(super) fn fail(mut self, code: StartFailure) {
        self.line(&format!("failed {}\n", spelled(&code)));
    }

    /// Whether the module still listened to the last line.
    pub(super) fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// No further line will follow.
    pub(super) fn close(&mut self) {
        self.0 = None;
    }

    fn line(&mut self, line: &str) {
        let written = self.0.as_mut().map(|pipe| pipe.write_all(line.as_bytes()));
        if written.is_some_and(|written| written.is_err()) {
            self.close();
        }
    }
}

/// Whether a hint is due now, in seconds since the epoch; if it is, that is noted.
pub(super) fn is_hint_due(policy: HintPolicy, directory: &Directory, now: u64) -> bool {
    match policy {
        HintPolicy::Never => false,
        HintPolicy::Always => true,
        HintPolicy::Daily => {
            // A stamp from the future is one of before the clock was set right.
            let last = last_hint(directory).ok().filter(|last| *last <= now);
            let due = last.is_none_or(|last| now - last >= HINT_AT_MOST_EVERY);
            // One that cannot be noted would come at every login.
            due && directory.replace(HINT, b"", Durability::Volatile).is_ok()
        }
    }
}

/// All is well, or nobody was told: the next thing worth a hint is told at once.
pub(super) fn forget_hint(directory: &Directory) {
    let _ = directory.remove(HINT);
}

fn last_hint(directory: &Directory) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(directory.path().join(HINT))?;
    u64::try_from(metadata.mtime()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::scratch::Scratch;

    fn written(write: impl FnOnce(StatusPipe)) -> String {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        write(StatusPipe::to(File::from(OwnedFd::from(ours))));
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn every_line_is_one_that_the_module_knows() {
        for (word, hint, line) in [
            (StatusWord::Ready, None, "ready\n"),
            (StatusWord::Ready, Some(Hint::EndsSoon), "ready ends-soon\n"),
            (StatusWord::ReadyNoToken, None, "ready-no-token\n"),
            (StatusWord::NotEnrolled, Some(Hint::Enrol), "not-enrolled enrol\n"),
            (StatusWord::Locked, Some(Hint::Unlock), "locked unlock\n"),
            (StatusWord::StoreUnavailable, None, "store-unavailable\n"),
            (StatusWord::NoExport, None, "no-export\n"),
        ] {
            assert_eq!(written(|mut report| report.say(word, hint)), line);
        }
        for (code, line) in [
            (StartFailure::Message, "failed message\n"),
            (StartFailure::Harden, "failed harden\n"),
            (StartFailure::Runtime, "failed runtime\n"),
            (StartFailure::Socket, "failed socket\n"),
        ] {
            assert_eq!(written(|report| report.fail(code)), line);
        }
    }

    #[test]
    fn a_module_that_is_gone_is_no_failure() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let mut report = StatusPipe::to(File::from(OwnedFd::from(ours)));
        report.say(StatusWord::Ready, None);
        assert!(!report.is_heard());
    }

    #[test]
    fn a_hint_is_due_once_a_day() {
        let scratch = Scratch::new();
        let directory = Directory::open(&scratch, nix::unistd::geteuid().as_raw()).unwrap().unwrap();
        let now = crate::clock::unix_time();
        let due = |policy, at| is_hint_due(policy, &directory, at);
        assert!(!due(HintPolicy::Never, now));
        assert!(due(HintPolicy::Daily, now) && !due(HintPolicy::Daily, now + 5));
        assert!(due(HintPolicy::Always, now + 5));
        assert!(due(HintPolicy::Daily, now + HINT_AT_MOST_EVERY + 5));
        assert!(due(HintPolicy::Daily, now - 10));
    }
}
