//! An unlock that is for a time only.

use serde_json::{Value, json};
use support::Login;

use crate::lock::{LOCK, assert_shut, lock, status, unlock};
use crate::scene::{Scene, token_file};
use crate::standing::{PASSPHRASE, enrolled, given, scene};

fn wait_until_shut(scene: &Scene, login: &Login) {
    scene.host.wait_until("the end of the unlock", || status(login)["host_locked"] == true);
}

#[test]
fn after_its_time_the_lock_is_in_force_again() {
    let scene = Scene::enrolled();
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let file = token_file(&one);
    lock(&one);
    let refused = one.run("iam-session unlock --for 25h");
    assert_eq!(refused.status, 2, "{refused:?}");
    unlock(&one, "--for 6s");
    for login in [&one, &other] {
        login.run("iam-session token -s storage.read:/open").successful();
        assert!(status(login)["unlocked_until"].is_u64());
    }
    // It is open for a login that comes meanwhile, too.
    let late = scene.host.login("alice");
    late.run("iam-session token -s storage.read:/beside").successful();
    for login in [&one, &other, &late] {
        wait_until_shut(&scene, login);
        assert_shut(login);
    }
    assert!(!scene.host.exists(&file), "nobody could renew it");
    let cached = scene.host.as_root().run("find /run/iam-session/20001/iam-session/cache -type f").stdout;
    assert_eq!(cached, "");
    unlock(&late, "");
    for login in [&one, &other, &late] {
        login.run("iam-session token -s storage.read:/again").successful();
    }
}

#[test]
fn what_is_minted_when_the_time_is_over_is_kept_from_everybody_and_not_lost() {
    let scene = Scene::new();
    scene.provider.set(json!({"rotate": true}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    lock(&login);
    unlock(&login, "--for 4s");
    let refreshes = scene.provider.count("refresh");
    scene.provider.fail_with(json!({"fault": "slow", "milliseconds": 6000, "at": ["refresh"], "times": 1}));
    login.run("iam-session token -s storage.read:/slow >slow 2>&1 &").successful();
    scene.host.wait_until("the request", || scene.provider.count("refresh") > refreshes);
    wait_until_shut(&scene, &login);
    login.run("wait").successful();
    assert!(login.run("cat slow").stdout.contains("you have locked this host"));
    let busy = || {
        scene.host.processes_of("alice").iter().any(|process| process.runs("/usr/libexec/iam-session/helper"))
    };
    scene.host.wait_until("the end of the mint", || !busy());
    let cached = scene.host.as_root().run("find /run/iam-session/20001/iam-session/cache -type f").stdout;
    assert_eq!(cached, "");
    assert!(!scene.host.exists(&token_file(&login)));
    unlock(&login, "");
    login.run("iam-session token -s storage.read:/after").successful();
    assert_eq!(scene.provider.count("reuse"), 0, "what was rotated then was kept");
}

#[test]
fn a_lock_that_is_open_for_a_time_is_closed_or_opened_for_good() {
    let scene = Scene::enrolled();
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    lock(&one);
    unlock(&one, "--for 1h");
    // Nothing is asked: the lock has its passphrase.
    one.run("iam-session lock").successful();
    for login in [&one, &other] {
        assert_shut(login);
    }
    unlock(&one, "--for 1h");
    unlock(&other, "");
    for login in [&one, &other] {
        assert_eq!(status(login)["unlocked_until"], Value::Null);
    }
    assert!(!scene.host.exists("/home/alice/.local/state/iam-session/login1.locked"));
}

#[test]
fn what_a_passphrase_alone_opens_closes_after_its_time() {
    let scene = scene();
    let login = enrolled(&scene);
    let file = token_file(&login);
    login.run("eval \"$(iam-session stop)\"; eval \"$(iam-session start --no-unlock)\"").successful();
    let unlocked = login.run(&format!("iam-session unlock --for 3s {}", given(PASSPHRASE))).successful();
    assert_eq!(unlocked.stdout, "unlocked 'wlcg' for 3 s\n");
    assert!(scene.provider.accepts(&login.read(&file)));
    scene.host.wait_until_gone(&file);
    let locked = login.run("iam-session token -s storage.read:/later");
    assert_eq!(locked.status, 6, "{locked:?}");
    assert_ne!(LOCK, PASSPHRASE);
    login.run(&format!("iam-session unlock {}", given(PASSPHRASE))).successful();
    login.run("iam-session token -s storage.read:/later").successful();
}
