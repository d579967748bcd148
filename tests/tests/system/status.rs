//! `iam-session status`, and the status line that a login begins with.

use serde_json::{Value, json};
use support::Host;

use crate::scene::{Scene, json_of, token_file};

#[test]
fn status_tells_a_person_what_is_there() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let status = login.run("iam-session").successful().stdout;
    for text in [
        "https://iam.example/",
        "wlcg",
        "alice",
        "storage.read:/",
        &token_file(&login),
        &login.env("IAM_SESSION_ID").unwrap(),
        "all is well",
    ] {
        assert!(status.contains(text), "{text} is not in:\n{status}");
    }
}

#[test]
fn status_tells_a_script_the_same() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let status = json_of(&login, "iam-session status --json");
    assert_eq!(status["default_account"], "wlcg");
    assert_eq!(status["session"], login.env("IAM_SESSION_ID").unwrap().as_str());
    let account = &status["accounts"][0];
    assert_eq!((&account["issuer"], &account["subject"]), (&json!("https://iam.example/"), &json!("alice")));
    // The refresh token is a JWT that says when it ends.
    let left =
        account["enrollment_ends_at"].as_u64().unwrap() - account["token_expires_at"].as_u64().unwrap();
    assert!((29 * 86400 - 7200..30 * 86400).contains(&left), "{left}");
}

#[test]
fn since_when_a_token_has_been_asked_for_is_told_while_the_issuer_hangs() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    host.wait_until("the end of the enrolment's login", || host.agents_of("alice").is_empty());
    host.as_user("alice").run("rm .local/state/iam-session/wlcg.token").successful();
    let before = scene.provider.count("refresh");
    scene.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]}));
    let login = host.login("alice");
    host.wait_until("the request", || scene.provider.count("refresh") > before);
    let status = login.run("iam-session status");
    assert_ne!(status.status, 0, "{status:?}");
    let token = status.stdout.lines().find(|line| line.starts_with("token  ") && !line.contains("file"));
    assert!(token.unwrap().starts_with("token       none; one has been asked for since 2"), "{status:?}");
    assert!(status.stdout.contains("next        there is no token yet:"), "{status:?}");
    let asked = |answer: Value| answer["accounts"][0]["token_asked_at"].as_u64();
    let now: u64 = login.run("date +%s").stdout.trim().parse().unwrap();
    let since = asked(json_of(&login, "iam-session status --json; true")).unwrap();
    assert!((now - 120..=now).contains(&since), "{since} {now}");
    scene.provider.heal();
}

#[test]
fn a_stale_bearer_token_is_told() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let warned = login.run("BEARER_TOKEN=x iam-session status").successful();
    assert!(warned.stderr.contains("unset BEARER_TOKEN"), "{warned:?}");
}

#[test]
fn a_user_who_has_not_enrolled_is_told_once_a_day_where_the_site_has_a_provider() {
    let scene = Scene::of(Host::plan().site("default_provider = \"wlcg\""));
    let hint = "iam-session enroll";
    let first = scene.host.login_on_terminal("alice");
    assert!(first.greeting().contains(hint), "{:?}", first.greeting());
    assert!(!scene.host.login_on_terminal("alice").greeting().contains(hint));
    first.close();
}

#[test]
fn a_user_of_a_site_without_a_provider_is_left_alone() {
    let host = Host::start();
    let login = host.login_on_terminal("alice");
    assert!(!login.greeting().contains("iam-session"), "{:?}", login.greeting());
    let status = login.run("iam-session status");
    assert_eq!(status.status, 3);
    assert!(status.stdout.contains("run 'iam-session enroll'"), "{status:?}");
}

#[test]
fn an_enrolment_that_ends_soon_is_told_at_login() {
    let scene = Scene::new();
    scene.provider.set(json!({"refresh_token_lifetime": 3 * 86400}));
    let enrolled = scene.host.enroll_with(&scene.provider, "alice", "");
    assert!(enrolled["ends_at"].is_u64(), "{enrolled}");
    let login = scene.host.login_that_shows("alice", "ends within 7 days");
    assert!(login.run("iam-session status").successful().stdout.contains("the enrolment ends soon"));
}

#[test]
fn a_token_that_comes_late_is_waited_for_where_the_site_says_so() {
    let scene = Scene::of(Host::plan().pam_options("token_wait=5s"));
    scene.host.enroll(&scene.provider, "alice");
    scene.host.wait_until("the end of the enrolment's login", || scene.host.agents_of("alice").is_empty());
    // Nothing is cached: neither here nor beside the record.
    scene.host.as_user("alice").run("rm .local/state/iam-session/wlcg.token").successful();
    let read = scene.host.ssh("alice", "cat $BEARER_TOKEN_FILE").successful();
    assert!(scene.provider.accepts(&read.stdout));
}
