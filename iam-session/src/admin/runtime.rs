//! Where a mint that works for root meets what else works for the user. Touches /run/user and /run/iam-session, and
//! opens nothing below the user's directory.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchown};

use super::failed;
use super::process::Agent;
use crate::paths;
use crate::protocol::Failure;

const ROOT: u32 = 0;

/// The runtime directories of a user's agents, or the one that the next login would have.
pub(super) fn of(uid: u32, gid: u32, agents: &[Agent]) -> Result<Vec<PathBuf>, Failure> {
    let mut directories: Vec<PathBuf> = agents
        .iter()
        .filter_map(|agent| Some(agent.session.as_ref()?.places.directory().to_owned()))
        .collect();
    directories.sort();
    directories.dedup();
    if directories.is_empty() {
        let logind = PathBuf::from(format!("/run/user/{uid}"));
        directories.push(if is_private(&logind, uid) { logind } else { make(uid, gid)? });
    }
    Ok(directories)
}

fn is_private(path: &Path, uid: u32) -> bool {
    let metadata = fs::symlink_metadata(path);
    metadata
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o7777 == 0o700)
}

/// As the module makes it: by descriptors that have followed no link.
fn make(uid: u32, gid: u32) -> Result<PathBuf, Failure> {
    let path = Path::new(paths::RUN).join(uid.to_string());
    let made = || -> nix::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let _ = DirBuilder::new().mode(0o711).create(paths::RUN);
        let above = open(paths::RUN, flags, Mode::empty())?;
        if fstat(&above)?.st_uid != ROOT || fstat(&above)?.st_mode & 0o022 != 0 {
            return Err(Errno::EPERM);
        }
        let name = uid.to_string();
        match mkdirat(&above, name.as_str(), Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
        let directory = openat(&above, name.as_str(), flags, Mode::empty())?;
        if fstat(&directory)?.st_uid == ROOT {
            fchmod(&directory, Mode::S_IRWXU)?;
            fchown(&directory, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(())
    };
    made().map_err(|errno| failed(format!("cannot make {}: {}", path.display(), errno.desc())))?;
    Ok(path)
}
