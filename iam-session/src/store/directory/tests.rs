use std::os::unix::fs::{PermissionsExt, symlink};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("iam-session-store-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> Store {
        Store::create(&self.0.join("a/b"), uid()).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn files(store: &Store) -> Vec<String> {
    let entries = fs::read_dir(&store.path).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_record_is_replaced_whole_and_leaves_no_other_file() {
    let scratch = Scratch::new();
    let store = scratch.store();
    store.write_record("wlcg", b"one").unwrap();
    store.write_record("wlcg", b"two").unwrap();
    assert_eq!(store.read_record("wlcg").unwrap(), b"two");
    assert_eq!(files(&store), ["wlcg.cred"]);
    assert_eq!(store.accounts().unwrap(), ["wlcg"]);
    let mode = fs::metadata(store.record_path("wlcg")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_store_that_is_not_there_holds_nothing_and_is_not_made() {
    let scratch = Scratch::new();
    assert!(Store::open(&scratch.0.join("none"), uid()).unwrap().is_none());
    assert!(!scratch.0.join("none").exists());
}

#[test]
fn what_others_may_change_is_refused() {
    let scratch = Scratch::new();
    let store = scratch.store();
    store.write_record("wlcg", b"one").unwrap();
    fs::set_permissions(store.record_path("wlcg"), fs::Permissions::from_mode(0o620)).unwrap();
    assert!(matches!(store.read_record("wlcg"), Err(StoreError::Unsafe { .. })));
    fs::set_permissions(&store.path, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Store::open(&store.path, uid()), Err(StoreError::Unsafe { .. })));
}

#[test]
fn a_symlink_or_fifo_in_a_records_place_is_not_followed() {
    let scratch = Scratch::new();
    let store = scratch.store();
    symlink("/etc/hostname", store.record_path("link")).unwrap();
    assert!(matches!(store.read_record("link"), Err(StoreError::Io { .. })));
    nix::unistd::mkfifo(&store.record_path("fifo"), Mode::S_IRWXU).unwrap();
    assert!(matches!(store.read_record("fifo"), Err(StoreError::Unsafe { .. })));
    symlink("/nonexistent", scratch.0.join("store")).unwrap();
    assert!(matches!(Store::open(&scratch.0.join("store"), uid()), Err(StoreError::Io { .. })));
}

#[test]
fn an_account_that_was_removed_is_gone_with_its_token() {
    let scratch = Scratch::new();
    let store = scratch.store();
    store.write_record("wlcg", b"one").unwrap();
    store.write_token("wlcg", b"two").unwrap();
    store.remove("wlcg").unwrap();
    assert!(files(&store).is_empty());
    assert!(matches!(store.read_record("wlcg"), Err(StoreError::NoAccount { .. })));
}
