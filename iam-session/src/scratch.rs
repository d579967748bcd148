//! A directory for one test, gone with it. For unit tests, and those in `tests/` and `benches/`.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::{env, fs};

use nix::sys::stat::{Mode, umask};
use nix::unistd::mkdtemp;

/// A name for the agents' sockets fits behind it (unix(7): 107 bytes in all).
const LONGEST_PLACE: usize = 32;

/// Of mode 0700, by a name that nobody has.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Sets the process's umask, too: a file that anybody can write is one that the programs refuse.
    pub(crate) fn new() -> Self {
        umask(Mode::from_bits_truncate(0o022));
        let place = Some(env::temp_dir()).filter(|place| place.as_os_str().len() <= LONGEST_PLACE);
        Self(mkdtemp(&place.unwrap_or("/tmp".into()).join("iam-session-XXXXXX")).unwrap())
    }

    /// Writes a file, and makes the directories above it.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
