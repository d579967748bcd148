//! A user's lock of a host: every session closes, and one passphrase opens them all.

use serde_json::{Value, json};
use support::{Host, Login};

use crate::passphrase::on_a_terminal;
use crate::scene::{Scene, token_file};
use crate::standing::{given, start};

pub(crate) const LOCK: &str = "until the morning";
pub(crate) const MARKER: &str = "/home/alice/.local/state/iam-session/login1.locked";

pub(crate) fn status(login: &Login) -> Value {
    serde_json::from_str(&login.run("iam-session status --json").stdout).unwrap()
}

pub(crate) fn lock(login: &Login) {
    let locked = login.run(&format!("iam-session lock {}", given(LOCK))).successful();
    assert_eq!(locked.stdout, "locked; 'iam-session unlock' opens it again\n");
    assert_eq!(locked.stderr, "");
}

pub(crate) fn unlock(login: &Login, options: &str) {
    let unlocked = login.run(&format!("iam-session unlock {options} {}", given(LOCK))).successful();
    assert!(unlocked.stdout.starts_with("unlocked 'wlcg'"), "{unlocked:?}");
    assert_eq!(unlocked.stderr, "");
}

/// A request for a token fails, as it should where the host is locked.
pub(crate) fn assert_shut(login: &Login) {
    let refused = login.run("iam-session token");
    assert_eq!((refused.status, refused.stdout.as_str()), (6, ""));
    assert_eq!(refused.stderr, "iam-session: you have locked this host; run 'iam-session unlock'\n");
}

/// The ids of the keys that alice's agents have.
fn keys_held(scene: &Scene) -> String {
    let files = "find /run/iam-session/20001/iam-session -name '????????????????????????????????.lock'";
    scene.host.as_root().run(&format!("cat $({files})")).stdout
}

#[test]
fn a_lock_closes_every_session_and_one_unlock_opens_them_all() {
    let scene = Scene::enrolled();
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let file = token_file(&one);
    one.run("iam-session token -s storage.read:/cached").successful();
    let refreshes = scene.provider.count("refresh");

    let held = keys_held(&scene);
    lock(&one);
    assert!(!scene.host.exists(&file) && scene.host.exists(MARKER));
    assert_eq!(keys_held(&scene), held, "agents keep their keys, and no file has them");
    let _terminal = scene.host.login_that_shows("alice", "iam-session unlock");
    let third = scene.host.login("alice");
    for login in [&one, &other, &third] {
        assert_shut(login);
        let cached = login.run("iam-session token -s storage.read:/cached");
        assert_eq!(cached.status, 6, "{cached:?}");
        assert_eq!(login.run("iam-session status").status, 6);
        assert_eq!(status(login)["host_locked"], true);
    }
    assert_eq!(other.run("iam-session forget wlcg").status, 6, "nothing is removed while it is locked");
    assert!(!scene.host.exists(&file));

    unlock(&other, "");
    assert!(scene.provider.accepts(&one.read(&file)), "when the command returns");
    assert!(!scene.host.exists(MARKER));
    for login in [&one, &other, &third] {
        login.run("iam-session token -s storage.read:/after").successful();
        assert_eq!(status(login)["host_locked"], false);
    }
    let later = scene.host.login("alice");
    later.run("iam-session token -s storage.read:/after").successful();
    assert_eq!(scene.provider.count("refresh"), refreshes + 1, "the one that was asked for");
    for event in ["event=locked", "event=unlocked"] {
        let told = |line: &String| line.contains(event) && line.ends_with(" host=login1");
        assert!(scene.host.log_lines().iter().any(told), "{event}");
    }
}

#[test]
fn to_lock_twice_and_to_unlock_what_is_open_are_no_mistakes() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    assert_eq!(login.run("iam-session unlock").successful().stdout, "nothing is locked\n");
    let short = login.run(&format!("iam-session lock {}", given("short")));
    assert_eq!(short.status, 2, "{short:?}");
    lock(&login);
    assert_eq!(login.run("iam-session lock").successful().stdout, "this host is locked already\n");
    unlock(&login, "");
    assert_eq!(login.run("iam-session unlock").successful().stdout, "nothing is locked\n");
    let nobody = scene.host.login("bob");
    let nothing = nobody.run(&format!("iam-session lock {}", given(LOCK)));
    assert_eq!(nothing.status, 3, "{nothing:?}");
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let scene = Scene::enrolled();
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    lock(&one);
    for login in [&one, &other] {
        for options in ["", "--for 1h"] {
            let wrong = login.run(&format!("iam-session unlock {options} {}", given("until the mourning")));
            assert_eq!(wrong.status, 6, "{wrong:?}");
            assert!(
                wrong.stderr.contains("the passphrase is wrong: it does not open this host"),
                "{wrong:?}"
            );
        }
        assert_shut(login);
    }
    unlock(&other, "");
    one.run("iam-session token").successful();
}

#[test]
fn where_the_lock_cannot_be_written_nothing_is_locked() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let file = token_file(&login);
    scene.host.as_root().run("mount -o remount,ro /home").successful();
    let refused = login.run(&format!("iam-session lock {}", given(LOCK)));
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");
    assert!(scene.provider.accepts(&login.read(&file)));
    login.run("iam-session token -s storage.read:/still").successful();
    assert_eq!(status(&login)["host_locked"], false);
}

#[test]
fn a_lock_that_cannot_be_removed_stays_and_that_is_told() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    lock(&login);
    scene.host.as_root().run("mount -o remount,ro /home").successful();
    let refused = login.run(&format!("iam-session unlock {}", given(LOCK)));
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");
    assert_shut(&login);
    scene.host.as_root().run("mount -o remount,rw /home").successful();
    unlock(&login, "");
    assert!(!scene.host.exists(MARKER));
}

#[test]
fn a_mint_in_flight_comes_to_its_end_before_the_lock() {
    let scene = Scene::new();
    scene.provider.set(json!({"rotate": true}));
    scene.host.enroll(&scene.provider, "alice");
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let refreshes = scene.provider.count("refresh");
    scene.provider.fail_with(json!({"fault": "slow", "milliseconds": 3000, "at": ["refresh"], "times": 1}));
    other.run("iam-session token -s storage.read:/slow >slow 2>&1 &").successful();
    scene.host.wait_until("the request", || scene.provider.count("refresh") > refreshes);
    lock(&one);
    other.run("wait").successful();
    let slow = other.run("cat slow").stdout;
    assert!(scene.provider.accepts(&slow) || slow.contains("you have locked this host"), "{slow}");
    assert_shut(&other);
    assert!(!scene.host.exists(&token_file(&one)));
    unlock(&one, "");
    // With what was rotated then.
    other.run("iam-session token -s storage.read:/after").successful();
    assert_eq!(scene.provider.count("reuse"), 0);
}

#[test]
fn who_forgets_the_passphrase_removes_the_lock() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    lock(&login);
    login.run(&format!("rm {MARKER}")).successful();
    // Whoever looks at the store finds that it is gone.
    login.run("iam-session status").successful();
    login.run("iam-session token -s storage.read:/other --force").successful();
    scene.host.login("alice").run("iam-session token -s storage.read:/new").successful();
}

#[test]
fn a_lock_that_nobody_was_told_of_is_found() {
    let scene = Scene::enrolled();
    let first = scene.host.login("alice");
    lock(&first);
    first.run(&format!("mv {MARKER} marker")).successful();
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    one.run("iam-session token -s storage.read:/open").successful();
    // As a mint that is killed after the marker and before anything else leaves it.
    one.run(&format!("mv marker {MARKER}")).successful();
    assert_eq!(other.run("iam-session status").status, 6, "whoever looks at the store finds it");
    for login in [&one, &other] {
        assert_shut(login);
    }
    assert!(!scene.host.exists(&token_file(&one)));
    unlock(&other, "");
    one.run("iam-session token -s storage.read:/after").successful();
}

#[test]
fn a_lock_that_is_no_lock_opens_nothing() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run(&format!("echo garbage >{MARKER}")).successful();
    let refused = login.run("iam-session token -s storage.read:/new");
    assert_eq!(refused.status, 6, "{refused:?}");
    assert!(
        refused.stderr.contains("login1.locked is damaged") && refused.stderr.contains("remove it"),
        "{refused:?}"
    );
    login.run(&format!("rm {MARKER}")).successful();
    login.run("iam-session token -s storage.read:/new").successful();
}

#[test]
fn whichever_agent_locks_and_unlocks_does_it_for_all() {
    let scene = Scene::of(Host::plan().with_logind_runtime("alice"));
    scene.host.enroll(&scene.provider, "alice");
    let (login, keyless) = (scene.host.login("alice"), scene.host.login("alice"));
    keyless.run("unset IAM_SESSION_SOCK; export XDG_RUNTIME_DIR=/run/user/20001").successful();
    start(&keyless, "--no-unlock").successful();
    let file = token_file(&login);
    lock(&keyless);
    assert!(!scene.host.exists(&file));
    assert_shut(&login);
    let opened = keyless.run(&format!("iam-session unlock {}", given(LOCK)));
    assert_eq!(opened.stdout, "unlocked 'wlcg'\n", "{opened:?}");
    login.run("iam-session token -s storage.read:/after --force").successful();
    assert!(scene.provider.accepts(&login.read(&file)));
    // What a login's node key opens stays closed to an agent that has none.
    assert_ne!(keyless.run("iam-session token -s storage.read:/other --force").status, 0);
}

#[test]
fn another_host_stays_open() {
    let scene = Scene::enrolled();
    let sibling = scene.host.sibling("login2");
    let (here, there) = (scene.host.login("alice"), sibling.login("alice"));
    lock(&here);
    there.run("iam-session token -s storage.read:/there").successful();
    sibling.login("alice").run("iam-session token -s storage.read:/there").successful();
    assert_shut(&here);
}

#[test]
fn a_lock_is_typed_on_a_terminal() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let typed = format!("{LOCK}\n");
    let twice = [("New iam-session passphrase: ", &*typed), ("The same again: ", &*typed)];
    let locked = on_a_terminal(&scene.host, "bash", "iam-session lock; echo code=$?", &twice);
    assert!(
        locked.contains("locked; 'iam-session unlock' opens it again") && locked.contains("code=0"),
        "{locked}"
    );
    assert_shut(&login);
    let answers = [("iam-session passphrase: ", "wrong\n"), ("not it\r\niam-session passphrase: ", &*typed)];
    let unlocked = on_a_terminal(&scene.host, "bash", "iam-session unlock; echo code=$?", &answers);
    assert!(unlocked.contains("that is not it") && unlocked.contains("code=0"), "{unlocked}");
    for seen in [locked, unlocked] {
        assert!(!seen.contains(LOCK), "{seen}");
    }
    login.run("iam-session token").successful();
}

#[test]
fn twenty_sessions_are_locked_and_unlocked_with_one_command_each() {
    let scene = Scene::of(Host::plan().sshd_line("MaxStartups 100").sshd_line("MaxSessions 100"));
    scene.host.enroll(&scene.provider, "alice");
    let logins: Vec<Login> = (0..20).map(|_| scene.host.login("alice")).collect();
    let refreshes = scene.provider.count("refresh");
    lock(&logins[0]);
    logins.iter().for_each(assert_shut);
    unlock(&logins[19], "");
    for login in &logins {
        login.run("iam-session token").successful();
    }
    assert_eq!(scene.provider.count("refresh"), refreshes);
}

#[test]
fn a_lock_empties_the_file_of_a_single_account_too() {
    let scene = Scene::enrolled();
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let kept = one.run("eval \"$(iam-session env --account wlcg)\"; echo $BEARER_TOKEN_FILE").successful();
    let kept = kept.stdout.trim().to_owned();
    assert!(kept.ends_with("-iam.wlcg") && scene.host.exists(&kept), "{kept}");
    lock(&other);
    assert!(!scene.host.exists(&kept), "when the command returns");
    assert_eq!(other.run("iam-session use wlcg").status, 6);
    unlock(&other, "");
    assert!(scene.provider.accepts(&one.read(&kept)), "when the command returns");
}
