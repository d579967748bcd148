//! Replaces a file of root's as a whole: reads it with care, and renames a new one into its place. Touches that file
//! and its directory.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use crate::protocol::Failure;

const WRITABLE_BY_OTHERS: u32 = 0o022;
const ROOT: u32 = 0;
const READABLE: u32 = 0o444;

/// Whose a file is and who may read it, to be kept when it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileLook {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl FileLook {
    /// Of a new file that everybody may read.
    pub(super) const PUBLIC: Self = Self { uid: ROOT, gid: ROOT, mode: 0o644 };

    /// Whether every user may read it.
    pub(super) fn is_public(self) -> bool {
        self.mode & READABLE == READABLE
    }

    /// The same, and every user may read it.
    pub(super) fn made_public(self) -> Self {
        Self { mode: self.mode | READABLE, ..self }
    }
}

/// What a file holds, and how it looks; `None` where there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<(Vec<u8>, FileLook)>, Failure> {
    let refused = |error: io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()));
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    let metadata = file.metadata().map_err(refused)?;
    if !metadata.is_file() || metadata.uid() != ROOT || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        let error = format!("{} is not a regular file of root's that root alone can write", path.display());
        return Err(Failure::failed(error).advise("look at who has changed it, and put it right by hand"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > limit {
        return Err(Failure::failed(format!(
            "{} is larger than the {limit} bytes that are read of it",
            path.display()
        )));
    }
    let look = FileLook { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777 };
    Ok(Some((bytes, look)))
}

/// Waits until nobody else of root's changes `path`. The lock is a file of its own that only root can open: a user could
/// hold one on a file that everybody may read.
pub(super) fn lock(path: &Path) -> Result<Flock<File>, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.lock"));
    let refused = |error: io::Error| Failure::failed(format!("cannot lock {}: {error}", beside.display()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let file = options.open(&beside).map_err(refused)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| refused(errno.into()))
}

/// Puts a whole new file in the place of `path`; until it is complete the old one stays.
pub(super) fn replace(path: &Path, bytes: &[u8], look: FileLook) -> Result<(), Failure> {
    let written = FilePlace::open(path).and_then(|place| place.put(bytes, look));
    written.map_err(|errno| {
        Failure::failed(format!("cannot write {}: {}; it is as it was", path.display(), errno.desc()))
    })
}

/// A name in an open directory. That may be another user's, as a textfile collector's is: all is done by descriptors,
/// so that whoever renames or links there meanwhile turns nothing of this on another file.
struct FilePlace {
    directory: OwnedFd,
    name: OsString,
    /// Beside it, for rename(2) stays on one file system. Neither libpam nor the module reads names that begin with a
    /// dot.
    draft: OsString,
}

impl FilePlace {
    fn open(path: &Path) -> nix::Result<Self> {
        let name = path.file_name().ok_or(Errno::EISDIR)?.to_owned();
        let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(above, flags, Mode::empty())?;
        let draft = format!(".{}.iam-session-{}", name.to_string_lossy(), std::process::id()).into();
        Ok(Self { directory, name, draft })
    }

    fn put(&self, bytes: &[u8], look: FileLook) -> nix::Result<()> {
        let draft = self.draft.as_os_str();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&self.directory, draft, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let written = fill(&mut File::from(file), bytes, look)
            .and_then(|()| renameat(&self.directory, draft, &self.directory, self.name.as_os_str()))
            .and_then(|()| fsync(&self.directory));
        if written.is_err() {
            let _ = unlinkat(&self.directory, draft, UnlinkatFlags::NoRemoveDir);
        }
        written
    }
}

fn fill(file: &mut File, bytes: &[u8], look: FileLook) -> nix::Result<()> {
    let mut fill = || -> io::Result<()> {
        file.write_all(bytes)?;
        fchown(&*file, Some(look.uid), Some(look.gid))?;
        // Whatever umask this has, and after the owner: a change of that may take bits away.
        file.set_permissions(Permissions::from_mode(look.mode))?;
        file.sync_all()
    };
    fill().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::unistd::{getegid, geteuid};

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_directory_that_is_exchanged_meanwhile_leads_to_no_other_place() {
        let above = Scratch::new();
        let (given, moved, victim) = (above.join("given"), above.join("moved"), above.join("victim"));
        fs::create_dir(&given).unwrap();
        fs::create_dir(&victim).unwrap();
        let look = FileLook { uid: geteuid().as_raw(), gid: getegid().as_raw(), mode: 0o644 };
        let place = FilePlace::open(&given.join("a.prom")).unwrap();
        fs::rename(&given, &moved).unwrap();
        symlink(&victim, &given).unwrap();
        place.put(b"new", look).unwrap();
        assert_eq!(fs::read(moved.join("a.prom")).unwrap(), b"new");
        assert_eq!(fs::metadata(moved.join("a.prom")).unwrap().mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
        // A link that waits in the draft's name is not followed, and not owned by root afterwards.
        symlink(victim.join("x"), moved.join(&place.draft)).unwrap();
        assert_eq!(place.put(b"newer", look), Err(Errno::EEXIST));
        assert_eq!((fs::read_dir(&victim).unwrap().count(), fs::read_dir(&moved).unwrap().count()), (0, 2));
    }
}
