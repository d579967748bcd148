//! Why a login has no agent. Pure.

use std::fmt;
use std::io;

use nix::errno::Errno;
use pam::constants::PamResultCode;

use crate::message::Unfit;
use crate::runtime_dir::NoRuntimeDir;
use crate::served::Unknown;

/// Each becomes PAM_SESSION_ERR and one line in the log.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Whether the user is served could not be found out.
    Unknown(Unknown),
    /// There is no place for the socket and the token file.
    RuntimeDir(NoRuntimeDir),
    /// No session id.
    Random(io::Error),
    /// The agent could not be told who logs in.
    Message(Unfit),
    /// A pipe, a fork.
    System(Errno),
    /// The agent says it failed; with the code if it is one that we know.
    Failed(Option<&'static str>),
    /// It ended, or said what is no status line.
    NoAgent,
    /// libpam did not take a variable.
    Export(PamResultCode),
    /// libpam did not take the session.
    Keep(PamResultCode),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no session: ")?;
        match self {
            Self::Unknown(why) => write!(f, "{why}"),
            Self::RuntimeDir(why) => write!(f, "{why}"),
            Self::Random(error) => write!(f, "cannot read /dev/urandom: {error}"),
            Self::Message(Unfit::Text(what)) => f.write_str(what),
            Self::Message(Unfit::TooLong) => write!(f, "the user's name and directories are too long"),
            Self::System(errno) => write!(f, "cannot start the agent: {}", errno.desc()),
            Self::Failed(Some("exec")) => {
                write!(
                    f,
                    "the agent failed (exec): is /usr/libexec/iam-session/agent there and executable, \
                     and may the user have more processes?"
                )
            }
            Self::Failed(Some(code)) => write!(f, "the agent failed ({code})"),
            Self::Failed(None) => write!(f, "the agent failed"),
            Self::NoAgent => write!(f, "the agent ended without an answer"),
            Self::Export(code) => write!(f, "libpam refused a variable ({code:?})"),
            Self::Keep(code) => write!(f, "libpam refused the session ({code:?})"),
        }
    }
}

impl From<Unknown> for OpenError {
    fn from(why: Unknown) -> Self {
        Self::Unknown(why)
    }
}

impl From<NoRuntimeDir> for OpenError {
    fn from(why: NoRuntimeDir) -> Self {
        Self::RuntimeDir(why)
    }
}

impl From<Unfit> for OpenError {
    fn from(why: Unfit) -> Self {
        Self::Message(why)
    }
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}
