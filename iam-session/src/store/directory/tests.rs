use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::process;

use super::*;

#[test]
fn accounts_are_found_read_and_removed_with_their_tokens() {
    let scratch = std::env::temp_dir().join(format!("iam-session-store-{}", process::id()));
    DirBuilder::new().mode(0o700).create(&scratch).unwrap();
    let uid = nix::unistd::geteuid().as_raw();
    assert!(Store::open(&scratch.join("a/b"), uid).unwrap().is_none());
    let store = Store::create(&scratch.join("a/b"), uid).unwrap();
    store.write_record("wlcg", b"one").unwrap();
    store.write_token("wlcg", b"two").unwrap();
    store.write_record("egi", b"three").unwrap();
    assert_eq!(store.accounts().unwrap(), ["egi", "wlcg"]);
    assert_eq!(store.read_record("wlcg").unwrap(), b"one");
    store.remove("wlcg").unwrap();
    assert_eq!(store.0.names().unwrap(), ["egi.cred"]);
    assert!(store.read_token("wlcg").is_none());
    assert!(matches!(store.read_record("wlcg"), Err(StoreError::NoAccount { .. })));
    std::fs::remove_dir_all(&scratch).unwrap();
}
