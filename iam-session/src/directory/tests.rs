use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::scratch::Scratch;

impl Scratch {
    fn directory(&self) -> Directory {
        Directory::create(&self.join("a/b"), uid()).unwrap()
    }
}

fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[test]
fn a_file_is_replaced_whole_and_leaves_no_other() {
    let scratch = Scratch::new();
    let directory = scratch.directory();
    directory.replace("file", b"one", Durability::Synced).unwrap();
    directory.replace("file", b"two", Durability::Volatile).unwrap();
    assert_eq!(directory.read("file", 3).unwrap().unwrap(), b"two");
    assert!(matches!(directory.read("file", 2), Err(DirectoryError::TooLarge { .. })));
    assert_eq!(directory.names().unwrap(), ["file"]);
    let mode = fs::metadata(directory.path().join("file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_failed_replacement_leaves_the_old_file_and_no_other() {
    let scratch = Scratch::new();
    let directory = scratch.directory();
    directory.subdirectory("taken").unwrap().replace("inside", b"", Durability::Volatile).unwrap();
    assert!(matches!(
        directory.replace("taken", b"new", Durability::Volatile),
        Err(DirectoryError::Io { action: "write", .. })
    ));
    assert_eq!(directory.names().unwrap(), ["taken"]);
}

#[test]
fn what_is_not_there_is_not_made_by_opening() {
    let scratch = Scratch::new();
    assert!(Directory::open(&scratch.join("none"), uid()).unwrap().is_none());
    assert!(!scratch.join("none").exists());
    assert!(scratch.directory().read("none", 1).unwrap().is_none());
}

#[test]
fn what_others_may_change_is_refused() {
    let scratch = Scratch::new();
    let directory = scratch.directory();
    directory.replace("file", b"one", Durability::Volatile).unwrap();
    fs::set_permissions(directory.path().join("file"), fs::Permissions::from_mode(0o620)).unwrap();
    assert!(matches!(directory.read("file", 9), Err(DirectoryError::Unsafe { .. })));
    assert!(matches!(directory.lock_file("file"), Err(DirectoryError::Unsafe { .. })));
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Directory::open(directory.path(), uid()), Err(DirectoryError::Unsafe { .. })));
}

#[test]
fn a_symlink_or_fifo_is_not_followed_or_waited_for() {
    let scratch = Scratch::new();
    let directory = scratch.directory();
    symlink("/etc/hostname", directory.path().join("link")).unwrap();
    assert!(matches!(directory.read("link", 99), Err(DirectoryError::Io { .. })));
    nix::unistd::mkfifo(&directory.path().join("fifo"), Mode::S_IRWXU).unwrap();
    assert!(matches!(directory.read("fifo", 99), Err(DirectoryError::Unsafe { .. })));
    symlink(directory.path(), scratch.join("other")).unwrap();
    assert!(matches!(Directory::open(&scratch.join("other"), uid()), Err(DirectoryError::Io { .. })));
}

#[test]
fn a_lock_file_that_was_replaced_is_noticed() {
    let scratch = Scratch::new();
    let directory = scratch.directory();
    let file = directory.lock_file("lock").unwrap();
    assert!(directory.is_current("lock", &file));
    directory.remove("lock").unwrap();
    assert!(!directory.is_current("lock", &file));
    directory.lock_file("lock").unwrap();
    assert!(!directory.is_current("lock", &file));
}

#[test]
fn what_is_left_of_a_draft_is_found_and_is_whole_from_its_last_byte_on() {
    let scratch = Scratch::new();
    let directory = scratch.directory();
    directory.replace("file", b"old", Durability::Synced).unwrap();
    let mut draft = directory.draft("file", Durability::Synced).unwrap();
    draft.reserve(4096).unwrap();
    // As far as a commit comes that is killed before its rename.
    draft.write(b"new").unwrap();
    draft.leave();
    let drafts = directory.drafts("file").unwrap();
    assert_eq!(drafts.len(), 1);
    assert_eq!(directory.read(&drafts[0], 9).unwrap().unwrap(), b"new");
    assert_eq!(directory.read("file", 9).unwrap().unwrap(), b"old");
    drop(directory.draft("file", Durability::Synced).unwrap());
    assert_eq!(directory.drafts("file").unwrap(), drafts, "one that is dropped is gone");
    directory.remove_drafts("file").unwrap();
    assert_eq!(directory.names().unwrap(), ["file"]);
}
