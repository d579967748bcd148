//! The user who starts the agent, as a login would have told it. Reads the environment: a static program asks no name
//! service.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::protocol::Failure;

/// The user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoginIdentity {
    pub(super) uid: u32,
    pub(super) user: String,
    pub(super) home: PathBuf,
}

impl LoginIdentity {
    pub(super) fn of_environment() -> Result<Self, Failure> {
        let text = |name| env::var_os(name)?.into_string().ok().filter(|text| !text.is_empty());
        let user = text("USER").or_else(|| text("LOGNAME"));
        Self::new(geteuid().as_raw(), user, text("HOME").map(PathBuf::from))
    }

    fn new(uid: u32, user: Option<String>, home: Option<PathBuf>) -> Result<Self, Failure> {
        let user = user.filter(|user| is_name(user));
        let user = user.ok_or_else(|| unset("USER does not tell your user name", "export USER=$(id -un)"))?;
        let home = home.filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| unset("HOME does not name your home directory", "set HOME"))?;
        if !is_of(&home, uid) {
            let error = format!("{}, which is HOME, is no directory of yours", home.display());
            return Err(unset(&error, "set HOME to your own home directory"));
        }
        Ok(Self { uid, user, home })
    }
}

/// It becomes part of a path where a site's `store_dir` says so, and of log lines.
fn is_name(text: &str) -> bool {
    !text.contains(|c: char| c == '/' || c.is_control()) && !text.starts_with('.')
}

fn is_of(directory: &Path, uid: u32) -> bool {
    fs::metadata(directory).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == uid)
}

fn unset(error: &str, info: &str) -> Failure {
    Failure::usage(error).advise(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn identity(uid: u32, user: &str, home: &str) -> Result<LoginIdentity, String> {
        LoginIdentity::new(uid, Some(user.into()), Some(home.into())).map_err(|failure| failure.error)
    }

    #[test]
    fn a_name_and_a_home_of_ones_own_are_needed() {
        let uid = geteuid().as_raw();
        let home = Scratch::new();
        let home_text = home.to_str().unwrap();
        assert_eq!(
            identity(uid, "alice", home_text),
            Ok(LoginIdentity { uid, user: "alice".into(), home: home.to_owned() })
        );
        for user in ["../x", "a/b", "a\nb", "."] {
            assert!(identity(uid, user, home_text).is_err(), "{user:?}");
        }
        assert!(identity(uid + 1, "alice", home_text).unwrap_err().ends_with("is no directory of yours"));
        assert!(identity(uid, "alice", "relative").is_err() && identity(uid, "alice", "/nowhere").is_err());
        assert!(LoginIdentity::new(uid, None, Some(home.to_owned())).is_err());
    }
}
