//! What is in the token file, and that it stays good.

use serde_json::json;
use support::Host;

use crate::scene::{Scene, token_file, words};

#[test]
fn whatever_was_granted_the_file_is_narrow() {
    let scene = Scene::enrolled_with("-s max");
    let login = scene.host.login("alice");
    let granted = login.run("iam-session status --json").successful().stdout;
    assert!(granted.contains("storage.modify:/") && granted.contains("compute.create"), "{granted}");
    assert_eq!(words(&scene.claims(&login)["scope"]), ["openid", "storage.read:/", "wlcg"]);
}

#[test]
fn the_site_decides_what_is_in_the_file() {
    let scene = Scene::of(Host::plan().site("session_scope = \"openid storage.read:/cms\""));
    scene.host.enroll_with(&scene.provider, "alice", "-s max");
    let login = scene.host.login("alice");
    assert_eq!(words(&scene.claims(&login)["scope"]), ["openid", "storage.read:/cms"]);
}

#[test]
fn a_user_narrows_the_file_and_does_not_widen_it() {
    let scene = Scene::enrolled_with("-s max");
    let write = "mkdir -p .config/iam-session && cat >.config/iam-session/config.toml";
    let lines = b"session_scope = \"openid storage.read:/cms storage.modify:/\"\n";
    let written = scene.host.as_user("alice").run_with_input(write, lines);
    written.successful();
    let login = scene.host.login("alice");
    assert_eq!(words(&scene.claims(&login)["scope"]), ["openid", "storage.read:/cms"]);
}

#[test]
fn an_issuer_that_grants_more_than_it_was_asked_does_not_get_it_into_the_file() {
    let scene = Scene::new();
    scene.provider.fail_with(json!({"fault": "surplus", "scope": "storage.modify:/", "at": ["refresh"]}));
    scene.host.enroll_with(&scene.provider, "alice", "-s max");
    let login = scene.host.login("alice");
    assert_eq!(login.run(&format!("test -e {}", token_file(&login))).status, 1);
    let status = login.run("iam-session status");
    assert_eq!(status.status, 5, "{status:?}");
    assert!(status.stdout.contains("storage.modify:/"), "{status:?}");
}

#[test]
fn an_issuer_that_names_offline_access_in_every_answer_grants_no_more_by_that() {
    let scene = Scene::new();
    scene.provider.fail_with(json!({"fault": "surplus", "scope": "offline_access", "at": ["refresh"]}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    // Nor is one that the last login has left of less use.
    login.close();
    let login = scene.host.login("alice");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    assert_eq!(scene.provider.count("refresh"), 1);
}

#[test]
fn what_the_token_itself_says_counts_and_who_somebody_is_may_be_said_unasked() {
    let scene = Scene::new();
    let wide = json!({"fault": "wide_answer", "scope": "email profile storage.modify:/", "at": ["refresh"]});
    scene.provider.fail_with(wide);
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    scene.host.wait_until("the token file", || scene.host.exists(&token_file(&login)));
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    scene.provider.heal();
    let narrow = json!({"fault": "claims", "values": {"scope": "profile email"}, "at": ["refresh"]});
    scene.provider.fail_with(narrow);
    let refused = login.run("iam-session token -s storage.read:/a/b");
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""), "{refused:?}");
    assert!(refused.stderr.contains("did not grant 'storage.read:/a/b'"), "{refused:?}");
    // Whoever asks in a loop is told the same, and the issuer is not asked again.
    let asked = scene.provider.count("refresh");
    let again = login.run("iam-session token -s storage.read:/a/b");
    assert_eq!((again.stderr, scene.provider.count("refresh")), (refused.stderr, asked));
}

#[test]
fn a_token_that_is_not_for_whom_it_was_asked_for_is_not_given() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.fail_with(json!({"fault": "claims", "values": {"aud": "account"}, "at": ["refresh"]}));
    let refused = login.run("iam-session token --aud 'https://se.example https://other.example'");
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""), "{refused:?}");
    let named = "did not make the token for 'https://se.example https://other.example'";
    assert!(refused.stderr.contains(named), "{refused:?}");
    scene.provider.heal();
    login.run("iam-session token --aud https://se.example").successful();
}

/// Reads the file until it has held three tokens, and counts the moments in which it was not one whole line.
const READER: &str = r#"/mnt/tools/python/bin/python -c '
import os, time
path = os.environ["BEARER_TOKEN_FILE"]
end = time.monotonic() + 30
tokens, reads, bad = set(), 0, 0
while len(tokens) < 3 and time.monotonic() < end:
    try:
        token = open(path).read()
    except FileNotFoundError:
        token = ""
    bad += not (token.count(".") == 2 and token.endswith("\n") and token.count("\n") == 1)
    tokens.add(token)
    reads += 1
print(len(tokens), bad, reads > 1000)
'"#;

#[test]
fn a_renewal_leaves_no_moment_without_a_whole_token() {
    let scene = Scene::enrolled_with_lifetime(9);
    let login = scene.host.login("alice");
    assert_eq!(login.run(READER).successful().stdout, "3 0 True\n");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn a_token_that_has_ended_is_not_left_in_the_file() {
    let scene = Scene::enrolled_with_lifetime(4);
    let login = scene.host.login("alice");
    let file = token_file(&login);
    assert!(scene.host.exists(&file));
    // It hangs, so that a mint is under way when the token ends.
    scene.provider.fail_with(json!({"fault": "hang"}));
    scene.host.wait_until_gone(&file);
    let status = login.run("iam-session status");
    assert_ne!(status.status, 0, "{status:?}");
}

#[test]
fn a_login_that_stays_takes_over_from_the_one_that_leaves() {
    let scene = Scene::new();
    scene.provider.set(json!({"access_token_lifetime": 9}));
    let stays = scene.host.login("alice");
    // Enrolled in a login of its own, which ends.
    scene.host.enroll(&scene.provider, "alice");
    let file = token_file(&stays);
    let first = stays.read(&file);
    let now = || stays.run(&format!("cat {file}")).stdout;
    scene.host.wait_until("a renewal", || now() != first && scene.provider.accepts(&now()));
}

#[test]
fn a_site_lets_larger_tokens_into_the_file() {
    let path = |number| format!("storage.read:/a-rather-long-directory-name/{number:03}");
    let scope = (0..120).map(path).collect::<Vec<_>>().join(" ");
    let lines = format!("session_scope = \"openid {scope}\"\nmax_token_file = 16384");
    let scene = Scene::of(Host::plan().site(&lines));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    scene.claims(&login);
    assert!(login.read(&token_file(&login)).len() > 4096);
}

#[test]
fn a_session_scope_that_the_site_has_mended_ends_the_pause() {
    let scene = Scene::of(Host::plan().site("session_scope = \"openid storage.read:/\""));
    scene.provider.fail_with(json!({"fault": "surplus", "scope": "storage.modify:/", "at": ["refresh"]}));
    scene.host.enroll_with(&scene.provider, "alice", "-s max");
    let login = scene.host.login("alice");
    let status = login.run("iam-session status").stdout;
    assert!(status.contains("storage.modify:/") && status.contains("next attempt in 1"), "{status}");
    let mended = "session_scope = \"openid storage.read:/ storage.modify:/\"\n";
    scene.host.write("/etc/iam-session/config.toml", mended, 0o644);
    let login = scene.host.login("alice");
    assert!(words(&scene.claims(&login)["scope"]).contains(&"storage.modify:/"));
}
