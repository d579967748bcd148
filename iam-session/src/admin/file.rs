//! A file of root's that is changed as a whole: read with care, replaced by a rename. Touches that file and its
//! directory.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::{advised, failed};
use crate::protocol::Failure;

const WRITABLE_BY_OTHERS: u32 = 0o022;
const ROOT: u32 = 0;

/// Whose a file is and who may read it, to be kept when it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Look {
    /// Of a new file that everybody may read.
    pub(super) const PUBLIC: Self = Self { uid: ROOT, gid: ROOT, mode: 0o644 };
}

/// What a file holds, and how it looks; `None` where there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<(Vec<u8>, Look)>, Failure> {
    let refused = |error: io::Error| failed(format!("cannot read {}: {error}", path.display()));
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    let metadata = file.metadata().map_err(refused)?;
    if !metadata.is_file() || metadata.uid() != ROOT || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        let error = format!("{} is not a regular file of root's that root alone can write", path.display());
        return Err(advised(error, "look at who has changed it, and put it right by hand"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > limit {
        return Err(failed(format!(
            "{} is larger than the {limit} bytes that are read of it",
            path.display()
        )));
    }
    let look = Look { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777 };
    Ok(Some((bytes, look)))
}

/// Puts a whole new file in the place of `path`; until it is complete the old one stays.
pub(super) fn replace(path: &Path, bytes: &[u8], look: Look) -> Result<(), Failure> {
    let draft = draft_of(path);
    let written =
        write(&draft, bytes, look).and_then(|()| fs::rename(&draft, path)).and_then(|()| sync(path));
    written.map_err(|error| {
        let _ = fs::remove_file(&draft);
        failed(format!("cannot write {}: {error}; it is as it was", path.display()))
    })
}

fn write(draft: &Path, bytes: &[u8], look: Look) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    chown(draft, Some(look.uid), Some(look.gid))?;
    // Whatever umask this has, and after the owner: a change of that may take bits away.
    file.set_permissions(Permissions::from_mode(look.mode))?;
    file.sync_all()
}

fn sync(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// Beside it, for rename(2) stays on one file system. Neither libpam nor the module reads names that begin with a dot.
fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(".{name}.iam-session-{}", std::process::id()))
}
