//! Whether a path is on a file system that no other host can change. Looks at the path's file system.

use std::path::Path;

use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, F2FS_SUPER_MAGIC, FsType, NILFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC,
    REISERFS_SUPER_MAGIC, TMPFS_MAGIC, statfs,
};

/// Known file systems that nix does not name, or not with each C library (magic(5), and each one's own header).
const ZFS: u64 = 0x2fc1_2fc1;
const BCACHEFS: u64 = 0xca45_1a4e;
const RAMFS: u64 = 0x8584_58f6;
const XFS: u64 = 0x5846_5342;

/// Whether what is at `path` is this host's alone. An allow-list: what we do not know may be shared with other hosts,
/// not know locks, or tell nobody of a change.
pub(crate) fn is_local(path: &Path) -> bool {
    statfs(path).is_ok_and(|system| is_known(system.filesystem_type()))
}

fn is_known(kind: FsType) -> bool {
    let named = [
        BTRFS_SUPER_MAGIC,
        // ext2 and ext3 have the same number.
        EXT4_SUPER_MAGIC,
        F2FS_SUPER_MAGIC,
        NILFS_SUPER_MAGIC,
        OVERLAYFS_SUPER_MAGIC,
        REISERFS_SUPER_MAGIC,
        TMPFS_MAGIC,
    ];
    // The kernel's type is signed on some architectures; the number has 32 bits on all.
    let number = (kind.0 as u64) & 0xffff_ffff;
    named.contains(&kind) || [XFS, ZFS, BCACHEFS, RAMFS].contains(&number)
}

#[cfg(test)]
mod tests {
    use nix::sys::statfs::{FUSE_SUPER_MAGIC, NFS_SUPER_MAGIC};

    use super::*;

    #[test]
    fn only_what_is_known_to_be_local_is() {
        for kind in [EXT4_SUPER_MAGIC, TMPFS_MAGIC, FsType(0x5846_5342), FsType(0x2fc1_2fc1)] {
            assert!(is_known(kind), "{kind:?}");
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
            assert!(!is_known(kind), "{kind:?}");
        }
    }
}
