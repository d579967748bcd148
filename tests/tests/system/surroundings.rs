//! Homes that are full, hidden or not there, runtime directories that are full, keys and configurations that change:
//! what was good stays good, and what recovers needs nobody.

use serde_json::json;
use support::{Enrolling, Host};

use crate::scene::{Scene, token_file};

const STORE: &str = "/home/alice/.local/state/iam-session";

fn no_agent_is_left(scene: &Scene) {
    scene.host.wait_until("the end of the agents", || scene.host.agents_of("alice").is_empty());
}

fn root(scene: &Scene, command: &str) {
    scene.host.as_root().run(command).successful();
}

#[test]
fn a_full_home_does_not_cost_the_refresh_token_of_an_issuer_that_rotates() {
    let scene = Scene::new();
    root(&scene, "mount -t tmpfs -o size=256k,mode=0700,uid=20001,gid=20001 tmpfs /home/alice");
    scene.provider.set(json!({"rotate": true}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/a").successful();
    login.run("cat /dev/zero >full 2>/dev/null");
    let refreshes = scene.provider.count("refresh");
    let full = login.run("iam-session token -s storage.read:/b");
    assert_eq!((full.status, full.stdout.as_str()), (1, ""));
    assert!(full.stderr.contains("wlcg.cred: No space left on device"), "{full:?}");
    assert_eq!(scene.provider.count("refresh"), refreshes, "it was not asked");
    login.run("rm full").successful();
    let again = || login.run("iam-session token -s storage.read:/b").status == 0;
    scene.host.wait_until("the end of the pause", again);
    assert_eq!(scene.provider.count("reuse"), 0);
}

#[test]
fn a_refresh_token_is_kept_from_an_answer_that_is_otherwise_useless() {
    let scene = Scene::enrolled();
    scene.provider.set(json!({"rotate": true}));
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/a").successful();
    let spoiled = json!({"fault": "spoiled", "values": {"expires_in": 0}, "at": ["refresh"], "times": 1});
    scene.provider.fail_with(spoiled);
    assert_ne!(login.run("iam-session token -s storage.read:/b").status, 0);
    let again = || login.run("iam-session token -s storage.read:/b").status == 0;
    scene.host.wait_until("the end of the pause", again);
    assert_eq!(scene.provider.count("reuse"), 0);
}

#[test]
fn a_login_into_a_full_runtime_directory_is_not_told_to_enrol() {
    let scene = Scene::enrolled();
    no_agent_is_left(&scene);
    let fill =
        "mount -o remount,size=64k /run/iam-session; cat /dev/zero >/run/iam-session/full 2>/dev/null; true";
    root(&scene, fill);
    let login = scene.host.login("alice");
    let (token, status) = (login.run("iam-session token"), login.run("iam-session status"));
    for told in [&token.stderr, &status.stdout, &status.stderr] {
        assert!(!told.contains("enroll"), "{token:?} {status:?}");
    }
    assert_ne!(token.status, 0);
}

#[test]
fn a_mistake_in_the_configuration_takes_no_good_token_away() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.host.write("/etc/iam-session/config.toml", "session_scopes = \"openid\"\n", 0o644);
    let status = login.run("iam-session status");
    assert!(status.stderr.contains("config.toml:1: unknown key"), "{status:?}");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    login.run("iam-session token").successful();
}

#[test]
fn a_store_that_cannot_be_read_for_a_moment_takes_no_good_token_away() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    root(&scene, &format!("chmod 0 {STORE}"));
    scene.host.ssh("alice", "iam-session status");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    login.run("iam-session token").successful();
    root(&scene, &format!("chmod 0700 {STORE}"));
    login.run("iam-session token -s storage.read:/x").successful();
}

#[test]
fn a_home_that_is_not_there_for_a_moment_takes_no_good_token_away() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    root(&scene, "mv /home/alice /home/.alice");
    let status = login.run("iam-session status").stdout;
    assert!(status.contains("is the home directory mounted?"), "{status}");
    assert!(scene.host.exists(&token_file(&login)));
    root(&scene, "mv /home/.alice /home/alice");
    login.run("iam-session token -s storage.read:/x").successful();
    assert!(!login.run("iam-session status").stdout.contains("mounted"));
}

#[test]
fn a_login_at_a_bad_moment_has_its_token_when_the_store_comes_back() {
    let scene = Scene::enrolled();
    no_agent_is_left(&scene);
    root(&scene, &format!("chmod 0 {STORE}"));
    let login = scene.host.login("alice");
    let file = token_file(&login);
    assert!(!scene.host.exists(&file));
    root(&scene, &format!("chmod 0700 {STORE}"));
    // By itself within a minute; at once when anybody asks.
    login.run("iam-session token").successful();
    scene.host.wait_until("the token file", || scene.host.exists(&file));
}

#[test]
fn a_home_that_is_hidden_does_not_matter_where_the_store_is_elsewhere() {
    let scene = Scene::of(Host::plan().site("store_dir = \"/var/tmp/%U\""));
    scene.host.enroll(&scene.provider, "alice");
    no_agent_is_left(&scene);
    root(&scene, "chown root /home/alice");
    let login = scene.host.login("alice");
    login.run("cd /; iam-session token").successful();
}

#[test]
fn a_login_with_an_older_key_takes_nothing_from_one_with_the_newer() {
    let scene = Scene::new();
    let old = scene.host.login("alice");
    scene.host.add_node_key_of("20270101T000000");
    scene.host.enroll(&scene.provider, "alice");
    let new = scene.host.login("alice");
    assert_ne!(old.run("iam-session token -s storage.read:/x").status, 0);
    assert!(scene.provider.accepts(&new.read(&token_file(&new))));
    new.run("iam-session token -s storage.read:/x").successful();
}

#[test]
fn what_an_agent_did_not_put_into_the_file_it_still_removes_when_it_ends() {
    let scene = Scene::enrolled_with_lifetime(8);
    let (stays, leaves) = (scene.host.login("alice"), scene.host.login("alice"));
    let file = token_file(&stays);
    // A lasting failure: nobody expects anything any more.
    let body = r#"{"error":"invalid_client","error_description":"x"}"#;
    scene.provider.fail_with(json!({"fault": "status", "status": 401, "body": body, "at": ["refresh"]}));
    scene.host.wait_until_gone(&file);
    scene.provider.heal();
    scene.host.wait_until("a token all the same", || leaves.run("iam-session token").status == 0);
    scene.host.wait_until("the file", || scene.host.exists(&file));
    leaves.close();
    let first = stays.read(&file);
    let seen = || stays.run(&format!("cat {file}")).stdout;
    scene.host.wait_until("another token, or none", || seen() != first);
    let now = seen();
    assert!(now.is_empty() || scene.provider.accepts(&now));
}

#[test]
fn a_token_that_is_too_large_for_the_file_does_not_leave_its_predecessor_there() {
    let path = |number| format!("storage.read:/a-rather-long-directory-name/{number:03}");
    let scope = (0..120).map(path).collect::<Vec<_>>().join(" ");
    let scene = Scene::of(Host::plan().site(&format!("session_scope = \"openid {scope}\"")));
    scene.provider.set(json!({"access_token_lifetime": 12}));
    let login = scene.host.login("alice");
    let file = token_file(&login);
    scene.provider.set(json!({"device_interval": 1}));
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    let code = enrolling.event("device_code");
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    enrolling.event("enrolled");
    assert_eq!(enrolling.status(), Some(5), "the enrolment says it, too");
    assert!(!scene.host.exists(&file));
    // Without the paths it fits.
    scene.provider.set(json!({"denied_scopes": ["storage.read:/"]}));
    scene.host.wait_until("a small token", || scene.host.exists(&file));
    scene.provider.set(json!({"denied_scopes": []}));
    scene.host.wait_until_gone(&file);
    let status = login.run("iam-session status");
    assert!(status.stdout.contains("a token file at most 4096 here"), "{status:?}");
}

#[test]
fn why_a_read_only_home_gives_no_token_is_told() {
    let scene = Scene::new();
    scene.provider.set(json!({"rotate": true, "access_token_lifetime": 8}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    let file = token_file(&login);
    root(&scene, "mount -o remount,ro /home");
    scene.host.wait_until_gone(&file);
    let told = || login.run("iam-session status").stdout.contains("Read-only file system");
    scene.host.wait_until("the reason", told);
    root(&scene, "mount -o remount,rw /home");
    // However often the agent has tried in vain: who asks once it is mended waits for nothing but the end of the moment
    // in which no token so short-lived is asked for again.
    scene.host.wait_until("the token", || login.run("iam-session token").status == 0);
    assert_eq!(scene.provider.count("reuse"), 0);
}

#[test]
fn a_session_scope_that_fails_does_not_keep_named_tokens_away() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let surplus = json!({"fault": "surplus", "scope": "compute.read", "at": ["refresh"], "times": 1});
    scene.provider.fail_with(surplus);
    scene.host.enroll(&scene.provider, "alice");
    login.run("iam-session token -s storage.read:/x").successful();
}

#[test]
fn a_named_token_that_is_refused_does_not_keep_the_sessions_away() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let refusal = r#"{"error":"access_denied"}"#;
    scene
        .provider
        .fail_with(json!({"fault": "status", "status": 400, "body": refusal, "at": ["refresh"], "times": 1}));
    assert_eq!(login.run("iam-session token --aud https://se.example").status, 5);
    login.run("iam-session token --aud https://other.example").successful();
    assert_eq!(login.run("iam-session status").status, 0);
}

#[test]
fn logins_one_after_the_other_do_not_hammer_a_failing_issuer() {
    let scene = Scene::enrolled();
    no_agent_is_left(&scene);
    scene.host.as_user("alice").run("rm .local/state/iam-session/wlcg.token").successful();
    scene
        .provider
        .fail_with(json!({"fault": "status", "status": 503, "retry_after": 600, "at": ["refresh"]}));
    let refreshes = scene.provider.count("refresh");
    for _ in 0..10 {
        scene.host.ssh("alice", "true").successful();
    }
    no_agent_is_left(&scene);
    assert_eq!(scene.provider.count("refresh") - refreshes, 1);
}

#[test]
fn an_issuer_that_hangs_at_the_end_of_an_old_enrolment_does_not_spoil_the_new_one() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.fail_with(json!({"fault": "hang", "at": ["revocation", "deregistration"]}));
    scene.provider.set(json!({"device_interval": 1}));
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    let code = enrolling.event("device_code");
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    enrolling.event("enrolled");
    assert_eq!(enrolling.status(), Some(0));
    assert_eq!(scene.provider.count("deregistration"), 0, "the new client lives");
    login.run("iam-session token -s storage.read:/z").successful();
}

#[test]
fn a_provider_may_let_more_into_the_file_than_the_site_does_by_default() {
    let scene = Scene::new();
    let lines = "issuer = \"https://iam.example/\"\nca_file = \"/etc/iam-session/iam.example.pem\"\n\
                 session_scope = \"openid storage.read:/cms\"\n";
    scene.host.configure_provider("wlcg", lines);
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    assert_eq!(scene.claims(&login)["scope"], "openid storage.read:/cms");
}
