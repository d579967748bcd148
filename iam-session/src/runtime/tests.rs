use std::fs;

use super::*;
use crate::clock::Now;
use crate::protocol::TokenRequest;
use crate::runtime::accounts::AccountEntry;
use crate::runtime::accounts::tests::{book, entry};
use crate::runtime::answer::{RuntimeView, TokenDecision};
use crate::runtime::cache::{CachedToken, TokenReply};
use crate::runtime::token_file::ForeignToken;
use crate::scratch::Scratch;
use crate::secret::Secret;

impl Scratch {
    fn places(&self) -> paths::RuntimePaths {
        paths::RuntimePaths::new(&**self, nix::unistd::geteuid().as_raw())
    }

    fn enter(&self, session: &str) -> (RuntimeDirectory, AgentPresence) {
        RuntimeDirectory::enter(self.places(), session).unwrap()
    }

    /// Whether nothing is there but the agents' directory, and nothing in that but the cache's, which is empty.
    fn is_empty(&self) -> bool {
        let names = |path: &Path| -> Vec<_> {
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        let agents = self.places().agents();
        names(self) == [AGENTS] && names(&agents) == [CACHE] && names(&agents.join(CACHE)).is_empty()
    }
}

fn session_token(runtime: &RuntimeDirectory, entry: &AccountEntry) -> CachedToken {
    CachedToken {
        wanted: entry.session_token(),
        access_token: Secret::new("access".into()),
        granted: entry.session_scope.clone(),
        issuer: entry.issuer.clone(),
        boot_id: runtime.cache.boot_id().to_owned(),
        issued: Duration::from_secs(900),
        ends: Duration::from_secs(1900),
        expires_at: 1900,
        jti: None,
        reply: TokenReply::default(),
    }
}

#[test]
fn the_last_agent_out_leaves_nothing() {
    let scratch = Scratch::new();
    let (one, here) = scratch.enter("one");
    let (two, there) = scratch.enter("two");
    fs::write(scratch.places().token_file(), "token").unwrap();
    fs::write(scratch.places().socket("one"), "").unwrap();
    one.leave(here).unwrap();
    assert!(!scratch.places().socket("one").exists());
    assert!(scratch.places().token_file().exists());
    two.leave(there).unwrap();
    assert!(scratch.is_empty());
}

#[test]
fn what_another_agent_has_open_as_its_host_directory_outlives_the_last_agent_there() {
    let scratch = Scratch::new();
    let (runtime, here) = scratch.enter("one");
    let uid = nix::unistd::geteuid().as_raw();
    let open = Directory::open(&scratch.places().agents(), uid).unwrap().unwrap();
    runtime.leave(here).unwrap();
    open.replace(HINT, b"", crate::directory::Durability::Volatile).unwrap();
    assert!(scratch.places().agents().join(HINT).exists());
}

#[test]
fn a_mint_that_ends_after_the_last_agent_leaves_nothing_but_what_that_one_left() {
    let scratch = Scratch::new();
    let (runtime, here) = scratch.enter("one");
    let mint = RuntimeDirectory::open(scratch.places()).unwrap();
    // A hint's stamp keeps the directory, and so does a failure that spares an issuer.
    fs::write(scratch.places().agents().join(HINT), "").unwrap();
    runtime.leave(here).unwrap();
    assert_eq!(mint.clear_if_deserted().unwrap(), RemainingFiles::Nothing);
    assert_eq!(mint.agents.names().unwrap(), [CACHE, HINT]);
}

/// It waits for an issuer, or for another host's mint.
#[test]
fn a_mint_that_outlives_the_last_agent_takes_no_token_of_the_next_login_away() {
    let scratch = Scratch::new();
    let (runtime, here) = scratch.enter("one");
    let mint = RuntimeDirectory::open(scratch.places()).unwrap();
    runtime.leave(here).unwrap();
    let (next, there) = scratch.enter("two");
    let now = Now { unix: 1000, boot: Duration::from_secs(1000) };
    let (token, name) = (session_token(&next, &entry("a")), scratch.places().token_file_name());
    next.cache.put(&token, now).unwrap();
    token_file::publish(&next, &name, &token, 4096, ForeignToken::Leave, now).unwrap();
    token_file::retract(&mint, &name, Some(&token.wanted), now).unwrap();
    assert!(token_file::holds(&next.top, &name, &token.access_token));
    assert!(mint.cache.find(&token.wanted, now.boot).is_some());
    next.leave(there).unwrap();
    assert!(scratch.is_empty());
}

#[test]
fn while_somebody_mints_the_shared_files_stay_for_it_to_remove() {
    let scratch = Scratch::new();
    let (runtime, here) = scratch.enter("one");
    let mint = runtime.try_lock_mint().unwrap().unwrap();
    assert!(runtime.try_lock_mint().unwrap().is_none());
    assert!(!runtime.is_deserted());
    runtime.leave(here).unwrap();
    assert!(!scratch.is_empty());
    assert!(runtime.is_deserted());
    assert_eq!(runtime.clear_if_deserted().unwrap(), RemainingFiles::Minting);
    drop(mint);
    assert_eq!(runtime.clear_if_deserted().unwrap(), RemainingFiles::Nothing);
    assert!(scratch.is_empty());
}

#[test]
fn what_a_killed_agent_left_is_swept_and_a_living_ones_files_stay() {
    let scratch = Scratch::new();
    let (runtime, _here) = scratch.enter("alive");
    for session in ["alive", "dead"] {
        fs::write(scratch.places().socket(session), "").unwrap();
    }
    fs::write(scratch.places().agents().join("dead.lock"), "").unwrap();
    runtime.sweep().unwrap();
    assert!(scratch.places().socket("alive").exists());
    assert!(!scratch.places().socket("dead").exists());
    assert!(!scratch.places().agents().join("dead.lock").exists());
}

#[test]
fn the_stamp_of_a_hint_outlives_the_login() {
    let scratch = Scratch::new();
    let (runtime, here) = scratch.enter("one");
    fs::write(scratch.places().agents().join(HINT), "").unwrap();
    runtime.leave(here).unwrap();
    assert!(scratch.places().agents().join(HINT).exists());
}

#[test]
fn agents_that_come_and_go_at_once_never_lose_their_place() {
    let scratch = Scratch::new();
    thread::scope(|scope| {
        for thread in 0..4 {
            let scratch = &scratch;
            scope.spawn(move || {
                for round in 0..100 {
                    let session = format!("{thread}-{round}");
                    let (runtime, presence) = scratch.enter(&session);
                    assert!(scratch.places().agents().join(format!("{session}.lock")).exists());
                    runtime.leave(presence).unwrap();
                }
            });
        }
    });
    assert!(scratch.is_empty());
}

#[test]
fn the_keys_of_an_agent_are_known_while_it_lives() {
    let scratch = Scratch::new();
    let (one, first) = scratch.enter("1");
    let (_, second) = scratch.enter("2");
    let held = || {
        let mut held = one.keys_held();
        held.sort();
        held
    };
    assert!(held().is_empty());
    first.tell_keys([KeyId([1; 8]), KeyId([2; 8])].iter()).unwrap();
    second.tell_keys([KeyId([3; 8])].iter()).unwrap();
    assert_eq!(held(), ["0101010101010101", "0202020202020202", "0303030303030303"]);
    first.tell_keys([KeyId([2; 8])].iter()).unwrap();
    // Killed: its file is left, and its lock is not.
    drop(second);
    assert_eq!(held(), ["0202020202020202"]);
    one.leave(first).unwrap();
}

#[test]
fn the_files_of_single_accounts_go_with_the_last_agent_whoever_remembers_them() {
    let scratch = Scratch::new();
    let (runtime, here) = scratch.enter("one");
    ExtraTokenFiles::default().with("cms").unwrap().write(&runtime.agents).unwrap();
    let beside = scratch.join("bt_u1-iam");
    for path in [&scratch.places().kept_file("cms"), &scratch.places().kept_file("stale"), &beside] {
        fs::write(path, "token").unwrap();
    }
    runtime.sweep().unwrap();
    assert!(scratch.places().kept_file("cms").exists() && !scratch.places().kept_file("stale").exists());
    fs::write(scratch.places().kept_file("forgotten"), "token").unwrap();
    runtime.leave(here).unwrap();
    fs::remove_file(beside).unwrap();
    assert!(scratch.is_empty());
}

#[test]
fn a_reply_is_encoded_once_and_names_the_account_as_it_is_called_now() {
    let scratch = Scratch::new();
    let (runtime, here) = scratch.enter("one");
    let now = Now { unix: 1000, boot: Duration::from_secs(1000) };
    let put = |entry: &AccountEntry| runtime.cache.put(&session_token(&runtime, entry), now).unwrap();
    let reply = || match RuntimeView::of(&runtime, now).decide(&TokenRequest::default()) {
        TokenDecision::Token(found) => found.line().unwrap(),
        decision => panic!("{decision:?}"),
    };
    book(vec![entry("a")]).write(&runtime.agents).unwrap();
    put(&entry("a"));
    let first = reply();
    assert!(Rc::ptr_eq(&first, &reply()));
    book(vec![entry("b")]).write(&runtime.agents).unwrap();
    let renamed = reply();
    assert_ne!(*first, *renamed);
    let expected = str::from_utf8(&first).unwrap().replace("\"account\":\"a\"", "\"account\":\"b\"");
    assert_eq!(str::from_utf8(&renamed).unwrap(), expected);
    runtime.leave(here).unwrap();
}
