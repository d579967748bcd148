use super::*;
use crate::scratch::Scratch;

#[test]
fn accounts_are_found_read_and_removed_with_their_tokens() {
    let scratch = Scratch::new();
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
}

fn store() -> (Scratch, Store) {
    let scratch = Scratch::new();
    let store = Store::open(&scratch, nix::unistd::geteuid().as_raw()).unwrap().unwrap();
    (scratch, store)
}

#[test]
fn a_new_name_takes_record_and_token_along_and_leaves_nothing() {
    let (_scratch, store) = store();
    store.write_record("a", b"record").unwrap();
    store.write_token("a", b"token").unwrap();
    // Of an account that is no more; it must not be taken for this one's.
    store.write_token("b", b"stale").unwrap();
    store.rename("a", "b").unwrap();
    assert_eq!(store.0.names().unwrap(), ["b.cred", "b.token"]);
    assert_eq!(
        (store.read_record("b").unwrap(), store.read_token("b").unwrap()),
        (b"record".into(), b"token".into())
    );
    store.write_record("c", b"record").unwrap();
    store.rename("c", "b2").unwrap();
    assert!(store.has("b2").unwrap() && !store.has("c").unwrap());
    assert!(store.rename("none", "d").is_err());
}

#[test]
fn the_choice_is_a_name_or_none() {
    let (scratch, store) = store();
    assert_eq!(store.default_account(), None);
    store.choose_default("cms").unwrap();
    assert_eq!(store.default_account().as_deref(), Some("cms"));
    assert!(store.accounts().unwrap().is_empty(), "it is no account's file");
    for text in ["", "../x\n", "a\nb\n", "a b"] {
        scratch.write("default", text);
        assert_eq!(store.default_account(), None, "{text:?}");
    }
    store.forget_default().unwrap();
    assert!(store.0.names().unwrap().is_empty());
}

#[test]
fn what_another_account_of_a_longer_name_has_begun_stays() {
    let (_scratch, store) = store();
    store.reserve_record("a.cred.b", 8).unwrap().leave();
    assert!(store.unfinished("a").unwrap().is_empty());
    drop(store.reserve_record("a", 8).unwrap());
    store.remove("a").unwrap();
    assert_eq!(store.unfinished("a.cred.b").unwrap().len(), 1);
}
