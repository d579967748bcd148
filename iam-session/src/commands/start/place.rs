//! Where the agents of a user are to meet without a login that says so: never in /tmp, and never where another host
//! could see it. Looks at directories, and makes one.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, F2FS_SUPER_MAGIC, FsType, NILFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC,
    REISERFS_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC, statfs,
};
use nix::unistd::gethostname;

use super::identity::Identity;
use crate::directory::Directory;
use crate::protocol::{Failure, FailureKind};

/// Below the home directory; a directory a host is below it.
const STATE: &str = ".local/state/iam-session-run";
/// sockaddr_un (unix(7)) holds 107 bytes and a NUL; `/iam-session/`, 32 digits and `.sock` come after.
const MAX_PATH: usize = 107 - 50;
/// Known file systems that nix does not name (magic(5), and each one's own header).
const ZFS: u64 = 0x2fc1_2fc1;
const BCACHEFS: u64 = 0xca45_1a4e;
const RAMFS: u64 = 0x8584_58f6;

/// The runtime directory.
pub(super) fn choose(identity: &Identity) -> Result<PathBuf, Failure> {
    let given = env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    match given.filter(|path| path.is_absolute() && is_private(path, identity.uid)) {
        Some(path) => short(path),
        None => below_home(identity),
    }
}

fn below_home(identity: &Identity) -> Result<PathBuf, Failure> {
    let host = gethostname().ok().and_then(|name| name.into_string().ok()).filter(|name| is_file_name(name));
    let host =
        host.ok_or_else(|| unusable(&identity.home, "this host has no name to tell it from others"))?;
    let path = short(identity.home.join(STATE).join(host))?;
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(&identity.home);
    // An allow-list: what we do not know may be shared with other hosts, or not know locks.
    if !statfs(existing).is_ok_and(|system| is_local(system.filesystem_type())) {
        return Err(unusable(&identity.home, "it is not on a local file system"));
    }
    Directory::create(&path, identity.uid).map_err(|error| Failure {
        error: error.to_string(),
        info: Some(HINT.to_owned()),
        kind: FailureKind::Failed,
    })?;
    if is_private(&path, identity.uid) { Ok(path) } else { Err(unusable(&path, "others can enter it")) }
}

/// A directory of the user's that nobody else can enter; no link to one.
fn is_private(path: &Path, uid: u32) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o777 == 0o700)
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(|c: char| c == '/' || c.is_control())
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

fn is_local(kind: FsType) -> bool {
    let named = [
        BTRFS_SUPER_MAGIC,
        // ext2 and ext3 have the same number.
        EXT4_SUPER_MAGIC,
        F2FS_SUPER_MAGIC,
        NILFS_SUPER_MAGIC,
        OVERLAYFS_SUPER_MAGIC,
        REISERFS_SUPER_MAGIC,
        TMPFS_MAGIC,
        XFS_SUPER_MAGIC,
    ];
    // The kernel's type is signed on some architectures; the number has 32 bits on all.
    let number = (kind.0 as u64) & 0xffff_ffff;
    named.contains(&kind) || [ZFS, BCACHEFS, RAMFS].contains(&number)
}

const HINT: &str = "set XDG_RUNTIME_DIR to a local directory of yours with mode 0700";

pub(super) fn unusable(path: &Path, reason: &str) -> Failure {
    Failure {
        error: format!("{} cannot hold the agent's socket: {reason}", path.display()),
        info: Some(HINT.to_owned()),
        kind: FailureKind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::DirBuilder;
    use std::os::unix::fs::{DirBuilderExt, symlink};

    use nix::sys::statfs::{FUSE_SUPER_MAGIC, NFS_SUPER_MAGIC};
    use nix::unistd::geteuid;

    use super::*;

    #[test]
    fn only_what_is_known_to_be_local_is() {
        for kind in [EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC, FsType(0x2fc1_2fc1)] {
            assert!(is_local(kind), "{kind:?}");
        }
        // CIFS, SMB2, AFS (OpenAFS and kAFS), Lustre, GPFS, Ceph, 9p, and one that nobody has heard of.
        let others = [
            0xff53_4d42,
            0xfe53_4d42,
            0x5346_414f,
            0x6b41_4653,
            0x0bd0_0bd0,
            0x4750_4653,
            0x00c3_6400,
            0x0102_1997,
            1,
        ];
        for kind in others.map(FsType).into_iter().chain([NFS_SUPER_MAGIC, FUSE_SUPER_MAGIC]) {
            assert!(!is_local(kind), "{kind:?}");
        }
    }

    #[test]
    fn only_a_private_directory_of_ones_own_will_do() {
        let uid = geteuid().as_raw();
        let top = env::temp_dir().join(format!("iam-session-place-{}", std::process::id()));
        let make = |name: &str, mode| DirBuilder::new().mode(mode).create(top.join(name)).unwrap();
        DirBuilder::new().mode(0o755).create(&top).unwrap();
        make("good", 0o700);
        make("open", 0o750);
        symlink("good", top.join("link")).unwrap();
        fs::write(top.join("file"), "").unwrap();
        let private = |name: &str, uid| is_private(&top.join(name), uid);
        assert!(private("good", uid));
        assert!(!private("good", uid + 1));
        for name in ["open", "link", "file", "missing"] {
            assert!(!private(name, uid), "{name}");
        }
        fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn a_home_that_is_too_deep_is_told() {
        assert!(short(PathBuf::from(format!("/{}", "x".repeat(MAX_PATH - 1)))).is_ok());
        let failure = short(PathBuf::from(format!("/{}", "x".repeat(MAX_PATH)))).unwrap_err();
        assert!(failure.info.unwrap().contains("XDG_RUNTIME_DIR"));
        assert!(short(PathBuf::from("/run/a\nb")).is_err());
    }
}
