//! Where logind removes the runtime directory with the last login, what is known of an issuer outlives it.

use serde_json::json;
use support::{Host, Provider};

use crate::scene::Scene;

const RUNTIME: &str = "/run/user/20001";
const STORE: &str = "/home/alice/.local/state/iam-session";

/// Alice has enrolled, that login is over, and no token is left of it.
fn scene() -> Scene {
    let scene = Scene::of(Host::plan().with_logind_runtime("alice"));
    scene.host.enroll(&scene.provider, "alice");
    scene.host.wait_until_gone(RUNTIME);
    scene.host.as_root().run(&format!("rm {STORE}/wlcg.token")).successful();
    scene
}

/// Logs in, until `status` tells this, and out again.
fn log_in_and_out(host: &Host, told: &str) {
    let login = host.login("alice");
    host.wait_until("the failure", || login.run("iam-session status").stdout.contains(told));
    login.close();
    host.wait_until_gone(RUNTIME);
}

fn refreshes_of(provider: &Provider, act: impl FnOnce()) -> u64 {
    let before = provider.count("refresh");
    act();
    provider.count("refresh") - before
}

/// Those of last failures.
fn files(host: &Host, directory: &str) -> usize {
    host.as_root().run(&format!("find {directory} -name '*.failure'")).stdout.lines().count()
}

#[test]
fn a_dead_refresh_token_is_presented_once_and_not_at_each_login() {
    let scene = scene();
    scene.provider.revoke_user("alice");
    let refreshes = refreshes_of(&scene.provider, || {
        for _ in 0..3 {
            log_in_and_out(&scene.host, "run 'iam-session reenroll wlcg'");
        }
    });
    assert_eq!(refreshes, 1);
    assert_eq!(files(&scene.host, STORE), 1);
    scene.host.reenroll(&scene.provider, "alice", "wlcg");
    assert_eq!(files(&scene.host, STORE), 0);
}

#[test]
fn an_issuer_that_wants_to_be_spared_is_spared_by_the_next_logins_of_all_hosts() {
    let scene = scene();
    let busy = json!({"fault": "status", "status": 503, "retry_after": 600, "at": ["refresh"]});
    scene.provider.fail_with(busy);
    let sibling = scene.host.sibling("login2");
    let refreshes = refreshes_of(&scene.provider, || {
        for host in [&scene.host, &scene.host, &sibling] {
            log_in_and_out(host, "503");
        }
    });
    assert_eq!(refreshes, 1);
}

#[test]
fn what_fails_on_this_host_keeps_no_other_one_waiting() {
    let scene = scene();
    let here = "/run/iam-session/20001/iam-session";
    scene.provider.stop();
    log_in_and_out(&scene.host, "cannot reach iam.example");
    // The store's is for hosts that have failed, too: they take turns.
    assert_eq!((files(&scene.host, STORE), files(&scene.host, here)), (1, 1));
    scene.provider.restart();
    let sibling = scene.host.sibling("login2");
    let there = sibling.login("alice");
    let file = there.env("BEARER_TOKEN_FILE").unwrap();
    sibling.wait_until("a token", || scene.provider.accepts(&there.run(&format!("cat {file}")).stdout));
    let login = scene.host.login("alice");
    scene.host.wait_until("a token", || login.run("iam-session token").status == 0);
    scene
        .host
        .wait_until("the end of the notes", || files(&scene.host, STORE) + files(&scene.host, here) == 0);
}

#[test]
fn a_hint_comes_once_a_day() {
    let scene = Scene::of(Host::plan().with_logind_runtime("alice").site("default_provider = \"wlcg\""));
    let hint = "iam-session enroll";
    scene.host.login_that_shows("alice", hint).close();
    scene.host.wait_until_gone(RUNTIME);
    assert!(!scene.host.login_on_terminal("alice").greeting().contains(hint));
}

#[test]
fn the_doctor_says_where_notes_of_failures_do_not_outlive_the_login() {
    let host = Host::plan().with_logind_runtime("alice").start();
    let told = |start: &str| {
        let output = host.login("alice").run("iam-session doctor").stdout;
        let line = output.lines().find(|line| line.contains(" runtime directory: "));
        assert!(line.is_some_and(|line| line.starts_with(start)), "{output}");
    };
    told("ok       runtime directory: /run/user/20001, a mount of its own");
    host.wait_until_gone(RUNTIME);
    host.as_root().run("umount /run/iam-session").successful();
    told("note     runtime directory: /run/user/20001, a mount of its own; /run/iam-session is none");
}

#[test]
fn a_hint_that_is_too_late_for_a_login_comes_at_the_next_one() {
    let plan = Host::plan().with_logind_runtime("alice").site("default_provider = \"wlcg\"");
    let scene = Scene::of(plan.pam_options("start_wait=1ms"));
    let host = &scene.host;
    let hint = "iam-session enroll";
    let first = host.login_on_terminal("alice");
    assert!(!first.greeting().contains(hint), "{:?}", first.greeting());
    host.wait_for_log("state=late");
    first.close();
    host.wait_until_gone(RUNTIME);
    host.write("/etc/pam.d/sshd", host.read("/etc/pam.d/sshd").replace("start_wait=1ms", ""), 0o644);
    host.login_that_shows("alice", hint);
}
