//! A directory that must be the user's alone: reads, replaces, removes and locks files in it. Touches only that
//! directory, by a descriptor that was opened once.
//!
//! Nothing here follows a symbolic link in the last component, waits for a FIFO or truncates in place.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use zeroize::Zeroize as _;

/// Group and others may not change what we rely on.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Nor look at what is only the user's.
const OPEN_TO_OTHERS: u32 = 0o077;

/// Why something in the directory could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// Somebody else could read or change what is there.
    #[error("{} is not safe to use: {reason}", path.display())]
    Unsafe {
        path: PathBuf,
        /// What it is, or must be.
        reason: &'static str,
    },
    /// It is larger than anything we write.
    #[error("{} is too large", path.display())]
    TooLarge { path: PathBuf },
}

impl DirectoryError {
    /// Whether it is only that something is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Whether a file must survive the machine's sudden end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// fsync(2) of the file before the rename and of the directory after it.
    Synced,
    /// In a runtime directory, which does not outlive the machine anyway.
    Volatile,
}

/// What tells one state of a file from the next. A change of its owner or mode shows in the ctime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileVersion([i64; 7]);

impl FileVersion {
    pub(crate) fn of(its: &FileStat) -> Self {
        let [device, inode] = [its.st_dev, its.st_ino].map(u64::cast_signed);
        let times = [its.st_mtime, its.st_mtime_nsec, its.st_ctime, its.st_ctime_nsec];
        let [mtime, mtime_nsec, ctime, ctime_nsec] = times;
        Self([device, inode, its.st_size, mtime, mtime_nsec, ctime, ctime_nsec])
    }
}

/// An open directory of the user.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    descriptor: OwnedFd,
    uid: u32,
}

impl Directory {
    /// Opens the directory at `path`; `None` where there is none.
    ///
    /// # Errors
    /// [`DirectoryError::Io`], or [`DirectoryError::Unsafe`] if it is not the user's alone to change.
    pub(crate) fn open(path: &Path, uid: u32) -> Result<Option<Self>, DirectoryError> {
        Self::opened(open(path, directory_flags(), Mode::empty()), path, uid)
    }

    /// Opens the directory at `path`, made first where there is none; what is made gets mode 0700.
    pub(crate) fn create(path: &Path, uid: u32) -> Result<Self, DirectoryError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make", path))?;
        Self::open(path, uid)?.ok_or_else(|| failed("open", path)(io::ErrorKind::NotFound))
    }

    /// Opens a directory in this one, made first where there is none, with mode 0700.
    pub(crate) fn subdirectory(&self, name: &str) -> Result<Self, DirectoryError> {
        let path = self.path.join(name);
        match mkdirat(&self.descriptor, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed("make", &path)(errno)),
        }
        self.existing_subdirectory(name)?.ok_or_else(|| failed("open", &path)(io::ErrorKind::NotFound))
    }

    /// Opens a directory in this one that nobody else can enter; `None` where there is none.
    pub(crate) fn private_subdirectory(&self, name: &str) -> Result<Option<Self>, DirectoryError> {
        let Some(directory) = self.existing_subdirectory(name)? else { return Ok(None) };
        let path = &directory.path;
        let mode = fstat(&directory.descriptor).map_err(failed("look at", path))?.st_mode;
        if mode & OPEN_TO_OTHERS != 0 {
            let reason = "group or others may enter it";
            return Err(DirectoryError::Unsafe { path: path.to_owned(), reason });
        }
        Ok(Some(directory))
    }

    fn existing_subdirectory(&self, name: &str) -> Result<Option<Self>, DirectoryError> {
        let opened = openat(&self.descriptor, name, directory_flags(), Mode::empty());
        Self::opened(opened, &self.path.join(name), self.uid)
    }

    fn opened(opened: nix::Result<OwnedFd>, path: &Path, uid: u32) -> Result<Option<Self>, DirectoryError> {
        let Some(descriptor) = existing(opened, "open", path)? else { return Ok(None) };
        check_owner(path, &fstat(&descriptor).map_err(failed("look at", path))?, uid)?;
        Ok(Some(Self { path: path.to_owned(), descriptor, uid }))
    }

    /// Where it is, or was when it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// The names in it, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, DirectoryError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed("read", &self.path))? {
            names.extend(entry.map_err(failed("read", &self.path))?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// The contents of a regular file of the user's, of at most `limit` bytes; `None` where there is none.
    pub(crate) fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, DirectoryError> {
        Ok(self.read_version(name, limit)?.map(|(_, bytes)| bytes))
    }

    /// The same, with what [`version`](Self::version) gives as long as the file stays as it is.
    pub(crate) fn read_version(
        &self,
        name: &str,
        limit: usize,
    ) -> Result<Option<(FileVersion, Vec<u8>)>, DirectoryError> {
        let path = self.path.join(name);
        let opened = self.open_file(name, OFlag::O_RDONLY);
        let Some(file) = existing(opened, "open", &path)? else { return Ok(None) };
        let its = self.check_file(&file, &path)?;
        let size = usize::try_from(its.st_size).unwrap_or(usize::MAX);
        if size > limit {
            return Err(DirectoryError::TooLarge { path });
        }
        let bytes = read_whole(file, size, limit).map_err(failed("read", &path))?;
        if bytes.len() > limit {
            return Err(DirectoryError::TooLarge { path });
        }
        Ok(Some((FileVersion::of(&its), bytes)))
    }

    /// In which state a file is; `None` where there is none.
    pub(crate) fn version(&self, name: &str) -> Option<FileVersion> {
        fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok().as_ref().map(FileVersion::of)
    }

    /// Puts a whole new file, 0600, in the place of `name`: the old one stays until the new one is complete.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]; then the old file is as it was.
    pub(crate) fn replace(
        &self,
        name: &str,
        bytes: &[u8],
        durability: Durability,
    ) -> Result<(), DirectoryError> {
        self.draft(name, durability)?.commit(bytes)
    }

    /// Begins a new file that is to take the place of `name`. Dropped, it is gone, unless it is [left](Draft::leave).
    pub(crate) fn draft(&self, name: &str, durability: Durability) -> Result<Draft<'_>, DirectoryError> {
        let path = self.path.join(name);
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|error| failed("write", &path)(io::Error::other(error)))?;
        let temporary = format!("{}{}", draft_prefix(name), HEXLOWER.encode(&random));
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let file = self.open_file(&temporary, flags).map_err(failed("write", &path))?;
        let (name, fate) = (name.to_owned(), Fate::Removed);
        Ok(Draft { directory: self, name, temporary, file, durability, fate })
    }

    /// The names of what a process that was killed had begun to put in the place of `name`, or left there. The caller
    /// holds the lock under which `name` is written.
    pub(crate) fn drafts(&self, name: &str) -> Result<Vec<String>, DirectoryError> {
        let prefix = draft_prefix(name);
        let mut names = self.names()?;
        names.retain(|name| name.starts_with(&prefix));
        Ok(names)
    }

    /// Removes all of that.
    pub(crate) fn remove_drafts(&self, name: &str) -> Result<(), DirectoryError> {
        self.drafts(name)?.iter().try_for_each(|name| self.remove(name))
    }

    /// Gives a file another name, in which nothing must be.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), DirectoryError> {
        renameat(&self.descriptor, from, &self.descriptor, to)
            .map_err(failed("rename", &self.path.join(from)))
    }

    /// Removes a file; it need not be there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DirectoryError> {
        let removed = unlinkat(&self.descriptor, name, UnlinkatFlags::NoRemoveDir);
        existing(removed, "remove", &self.path.join(name)).map(|_| ())
    }

    /// Makes renames and removals durable, as far as the file system knows how to: some take no fsync(2) of a directory.
    pub(crate) fn sync(&self) -> Result<(), DirectoryError> {
        match nix::unistd::fsync(&self.descriptor) {
            Ok(()) | Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(()),
            Err(errno) => Err(failed("sync", &self.path)(errno)),
        }
    }

    /// Whether anything has this name.
    pub(crate) fn has(&self, name: &str) -> Result<bool, DirectoryError> {
        let there = fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        Ok(existing(there, "look at", &self.path.join(name))?.is_some())
    }

    /// A file that somebody may hold the lock of; `None` where there is none.
    pub(crate) fn locked_file(&self, name: &str) -> Result<Option<File>, DirectoryError> {
        let path = self.path.join(name);
        let file = existing(self.open_file(name, OFlag::O_RDONLY), "open", &path)?;
        file.as_ref().map(|file| self.check_file(file, &path)).transpose()?;
        Ok(file)
    }

    /// A file to lock, made empty where there is none.
    pub(crate) fn lock_file(&self, name: &str) -> Result<File, DirectoryError> {
        let path = self.path.join(name);
        let file = self.open_file(name, OFlag::O_RDWR | OFlag::O_CREAT).map_err(failed("open", &path))?;
        self.check_file(&file, &path)?;
        Ok(file)
    }

    /// Whether `opened` is what `name` stands for now: what was opened may have been unlinked since.
    pub(crate) fn is_current(&self, name: &str, opened: impl AsFd) -> bool {
        let there = fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let ours = fstat(opened);
        matches!((there, ours), (Ok(there), Ok(ours)) if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino))
    }

    fn open_file(&self, name: &str, flags: OFlag) -> nix::Result<File> {
        // O_NONBLOCK: a FIFO put there must not hold anybody up.
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        openat(&self.descriptor, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
    }

    fn check_file(&self, file: &File, path: &Path) -> Result<FileStat, DirectoryError> {
        let its = fstat(file).map_err(failed("look at", path))?;
        if its.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(DirectoryError::Unsafe {
                path: path.to_owned(),
                reason: "it must be a regular file",
            });
        }
        check_owner(path, &its, self.uid)?;
        Ok(its)
    }
}

/// What came of a step; `None` where there was nothing of that name.
fn existing<T>(done: nix::Result<T>, action: &'static str, path: &Path) -> Result<Option<T>, DirectoryError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(failed(action, path)(errno)),
    }
}

/// Reads a file of about `size` bytes, and more than `limit` at most to tell that it is larger. It is one read(2) as a
/// rule: one that gives less than it was asked for is at the end.
fn read_whole(mut file: File, size: usize, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; size + 1];
    let mut filled = 0;
    loop {
        match file.read(bytes.get_mut(filled..).unwrap_or_default()) {
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if filled < bytes.len() || filled > limit {
            bytes.truncate(filled);
            return Ok(bytes);
        }
        // It has grown since we looked.
        let mut larger = vec![0; (2 * filled).min(limit + 1)];
        larger[..filled].copy_from_slice(&bytes);
        bytes.zeroize();
        bytes = larger;
    }
}

/// A file that is not yet in its place.
pub(crate) struct Draft<'d> {
    directory: &'d Directory,
    name: String,
    temporary: String,
    file: File,
    durability: Durability,
    fate: Fate,
}

/// What becomes of a draft that is not put in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Removed,
    Left,
}

impl Draft<'_> {
    /// Takes up as much room as so many bytes need, so that writing them later cannot fail for want of it. That it is
    /// there survives the machine's end, where the draft's durability says so.
    pub(crate) fn reserve(&mut self, size: usize) -> Result<(), DirectoryError> {
        self.write(&vec![0; size])?;
        self.sync_directory()
    }

    /// Leaves it where it is, as a sign for who comes later: [`Directory::drafts`] finds it.
    pub(crate) fn leave(mut self) {
        self.fate = Fate::Left;
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]; then what was there before is as it was.
    pub(crate) fn commit(mut self, bytes: &[u8]) -> Result<(), DirectoryError> {
        self.write(bytes)?;
        let (from, to) = (&self.directory.descriptor, &self.directory.descriptor);
        renameat(from, self.temporary.as_str(), to, self.name.as_str())
            .map_err(|errno| self.failed(errno))?;
        self.sync_directory()
    }

    fn sync_directory(&self) -> Result<(), DirectoryError> {
        match self.durability {
            Durability::Synced => self.directory.sync(),
            Durability::Volatile => Ok(()),
        }
    }

    /// From the start, over what was there: nothing that is reserved for it is given up. Its length first: once the
    /// bytes are there it is whole, also for who finds it after we have been killed.
    fn write(&mut self, bytes: &[u8]) -> Result<(), DirectoryError> {
        let written = self
            .file
            .rewind()
            .and_then(|()| self.file.set_len(bytes.len() as u64))
            .and_then(|()| self.file.write_all(bytes));
        let written = written.and_then(|()| match self.durability {
            Durability::Synced => self.file.sync_all(),
            Durability::Volatile => Ok(()),
        });
        written.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl Into<io::Error>) -> DirectoryError {
        failed("write", &self.directory.path.join(&self.name))(error)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if self.fate == Fate::Left {
            return;
        }
        // After a commit there is no file of that name any more.
        let _ = unlinkat(&self.directory.descriptor, self.temporary.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}

fn draft_prefix(name: &str) -> String {
    format!(".{name}.")
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn check_owner(path: &Path, its: &FileStat, uid: u32) -> Result<(), DirectoryError> {
    let refused = |reason| Err(DirectoryError::Unsafe { path: path.to_owned(), reason });
    if its.st_uid != uid {
        return refused("it belongs to somebody else");
    }
    if its.st_mode & WRITABLE_BY_OTHERS != 0 {
        return refused("group or others may write to it");
    }
    Ok(())
}

/// What `action`, a verb, failed on.
pub(crate) fn failed<'a, E: Into<io::Error> + 'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(E) -> DirectoryError + 'a {
    move |source| DirectoryError::Io { action, path: path.to_owned(), source: source.into() }
}

#[cfg(test)]
mod tests;
