//! Chooses where a user's agents meet if no login says so: never in /tmp, and never where another host could see it.
//! Looks at directories, and makes one.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::identity::LoginIdentity;
use crate::client::state_directory;
use crate::directory::Directory;
use crate::host::file_system;
use crate::protocol::Failure;

/// sockaddr_un (unix(7)) holds 107 bytes and a NUL; `/iam-session/`, 32 digits and `.sock` come after.
const MAX_PATH: usize = 107 - 50;
/// As long as an agent takes at most to say that it listens, and some more.
const TRIES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(50);

/// The runtime directory.
pub(super) fn choose(identity: &LoginIdentity) -> Result<PathBuf, Failure> {
    let given = env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    match given.filter(|path| path.is_absolute() && is_private(path, identity.uid)) {
        Some(path) => short(path),
        None => below_home(identity),
    }
}

fn below_home(identity: &LoginIdentity) -> Result<PathBuf, Failure> {
    let path = state_directory(&identity.home)
        .ok_or_else(|| unusable(&identity.home, "this host has no name to tell it from others"))?;
    let path = short(path)?;
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(&identity.home);
    if !file_system::is_local(existing) {
        return Err(unusable(&identity.home, "it is not on a local file system"));
    }
    Directory::create(&path, identity.uid)
        .map_err(|error| Failure::failed(error.to_string()).advise(HINT))?;
    if is_private(&path, identity.uid) { Ok(path) } else { Err(unusable(&path, "others can enter it")) }
}

/// Waits until nobody else starts an agent there. Where that does not end, there is a second agent, and no harm done.
pub(super) fn alone(directory: &Path) -> Option<Flock<File>> {
    let mut file = File::open(directory).ok()?;
    for _ in 0..TRIES {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((file, _)) => file,
        };
        thread::sleep(PAUSE);
    }
    None
}

/// A directory of the user's that nobody else can enter; no link to one.
fn is_private(path: &Path, uid: u32) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o777 == 0o700)
}

fn short(path: PathBuf) -> Result<PathBuf, Failure> {
    if path.to_str().is_none_or(|path| path.contains(char::is_control)) {
        return Err(unusable(&path, "its name holds what no shell takes"));
    }
    match path.as_os_str().len() <= MAX_PATH {
        true => Ok(path),
        false => Err(unusable(&path, "its name is too long for that of a socket in it")),
    }
}

const HINT: &str = "set XDG_RUNTIME_DIR to a local directory of yours with mode 0700";

fn unusable(path: &Path, reason: &str) -> Failure {
    Failure::failed(format!("{} cannot hold the agent's socket: {reason}", path.display())).advise(HINT)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use nix::unistd::geteuid;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn only_a_private_directory_of_ones_own_will_do() {
        let uid = geteuid().as_raw();
        let top = Scratch::new();
        for (name, mode) in [("good", 0o700), ("open", 0o750)] {
            fs::create_dir(top.join(name)).unwrap();
            fs::set_permissions(top.join(name), Permissions::from_mode(mode)).unwrap();
        }
        symlink("good", top.join("link")).unwrap();
        fs::write(top.join("file"), "").unwrap();
        let private = |name: &str, uid| is_private(&top.join(name), uid);
        assert!(private("good", uid));
        assert!(!private("good", uid + 1));
        for name in ["open", "link", "file", "missing"] {
            assert!(!private(name, uid), "{name}");
        }
    }

    #[test]
    fn a_home_that_is_too_deep_is_told() {
        assert!(short(PathBuf::from(format!("/{}", "x".repeat(MAX_PATH - 1)))).is_ok());
        let failure = short(PathBuf::from(format!("/{}", "x".repeat(MAX_PATH)))).unwrap_err();
        assert!(failure.info.unwrap().contains("XDG_RUNTIME_DIR"));
        assert!(short(PathBuf::from("/run/a\nb")).is_err());
    }
}
