//! `iam-session forget` ends an account here and at the issuer.

use serde_json::{Value, json};

use crate::lock::lock;
use crate::passphrase::enrolled_and_stopped;
use crate::scene::{Scene, token_file};
use crate::standing::start;

const RECORD: &str = "/home/alice/.local/state/iam-session/wlcg.cred";

/// Answers of somebody in the issuer's place.
const ODD: [&str; 3] = [
    r#"{"fault": "redirect", "to": "https://maintenance.example/"}"#,
    r#"{"fault": "status", "status": 403, "body": "<html>blocked</html>"}"#,
    r#"{"fault": "html"}"#,
];

/// One of them, once, to the next revocation.
fn at_the_revocation(fault: &str) -> Value {
    let mut fault: Value = serde_json::from_str(fault).unwrap();
    fault["at"] = json!(["revocation"]);
    fault["times"] = 1.into();
    fault
}

#[test]
fn an_account_can_be_removed_here_while_the_host_is_locked() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    lock(&login);
    let refused = login.run("iam-session forget wlcg");
    assert_eq!(refused.status, 6, "{refused:?}");
    assert!(scene.host.exists(RECORD));
    login.run("iam-session forget --local wlcg").successful();
    assert!(!scene.host.exists(RECORD));
}

#[test]
fn what_is_forgotten_is_gone_here_and_at_the_issuer() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let told = login.run("iam-session forget wlcg").successful().stdout;
    assert_eq!(told, "revoked the refresh token\nderegistered the client\nremoved account 'wlcg'\n");
    assert_eq!(scene.provider.count("revocation"), 1);
    assert_eq!(scene.provider.count("deregistration"), 1);
    assert!(!scene.host.exists(RECORD));
    assert!(!scene.host.exists(&token_file(&login)));
    assert_eq!(login.run("iam-session token").status, 3);
}

#[test]
fn while_the_issuer_is_down_the_record_is_kept_to_revoke_it_later() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.stop();
    let kept = login.run("iam-session forget wlcg");
    assert_eq!(kept.status, 1);
    assert!(kept.stderr.contains("the refresh token stays valid at the issuer"), "{kept:?}");
    assert!(scene.host.exists(RECORD));
    scene.provider.restart();
    login.run("iam-session forget wlcg").successful();
    assert!(!scene.host.exists(RECORD));
}

#[test]
fn an_answer_that_is_not_the_issuers_own_keeps_the_record() {
    let scene = Scene::new();
    scene.provider.set(json!({"rotate": true}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    for fault in ODD {
        let before = scene.provider.count("refresh");
        scene.provider.fail_with(at_the_revocation(fault));
        let kept = login.run("iam-session forget wlcg");
        assert!(kept.status == 1 && kept.stderr.contains("forget --local wlcg"), "{kept:?}");
        assert!(kept.stderr.contains("; it still gives tokens\n"), "one refresh has told: {kept:?}");
        assert_eq!(scene.provider.count("refresh"), before + 1);
        assert!(scene.host.exists(RECORD));
        assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    }
    // Where that refresh tells nothing, it is as if there had been none.
    scene.provider.fail_with(at_the_revocation(ODD[0]));
    scene.provider.fail_with(json!({"fault": "status", "status": 503, "at": ["refresh"], "times": 1}));
    let kept = login.run("iam-session forget wlcg");
    assert!(kept.status == 1 && !kept.stderr.contains("it still gives tokens"), "{kept:?}");
    assert!(scene.host.exists(RECORD));
    login.run("iam-session forget wlcg").successful();
    assert!(!scene.host.exists(RECORD));
    assert_eq!(scene.provider.count("reuse"), 0, "what those refreshes returned was kept");
}

#[test]
fn what_was_revoked_with_an_answer_that_does_not_say_so_is_forgotten() {
    for fault in ODD {
        let scene = Scene::enrolled();
        let login = scene.host.login("alice");
        let mut fault = at_the_revocation(fault);
        fault["done"] = true.into();
        scene.provider.fail_with(fault);
        let told = login.run("iam-session forget wlcg").successful().stdout;
        assert_eq!(told, "revoked the refresh token\nderegistered the client\nremoved account 'wlcg'\n");
        assert!(!scene.host.exists(RECORD));
        let left = login.run("ls -A .local/state/iam-session | grep -v '^.lock$'");
        assert_eq!(left.stdout, "", "not even the note of that refresh");
    }
}

/// Promise 13.
#[test]
fn a_refresh_token_that_is_known_to_be_dead_is_not_presented_again() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.revoke_user("alice");
    assert_eq!(login.run("iam-session token -s storage.read:/x").status, 3);
    let before = scene.provider.count("refresh");
    scene.provider.fail_with(at_the_revocation(ODD[0]));
    login.run("iam-session forget wlcg").successful();
    assert!(!scene.host.exists(RECORD));
    assert_eq!(scene.provider.count("refresh"), before);
}

#[test]
fn what_is_not_there_cannot_be_forgotten() {
    let scene = Scene::new();
    let told = scene.host.login("alice").run("iam-session forget wlcg");
    assert_eq!(told.status, 3, "{told:?}");
    assert!(told.stderr.contains("there is no account 'wlcg'"), "{told:?}");
}

#[test]
fn a_new_enrolment_takes_the_place_of_the_old_one_and_ends_it() {
    let scene = Scene::enrolled();
    scene.host.enroll_with(&scene.provider, "alice", "-s max");
    // After the answer, so that an issuer that hangs at this holds nobody up.
    scene.host.wait_until("the end of the old one", || scene.provider.count("revocation") == 1);
    assert_eq!(scene.provider.count("deregistration"), 0, "the client is the same");
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.modify:/x").successful();
}

#[test]
fn here_alone_needs_neither_the_issuer_nor_a_passphrase_and_says_what_stays_there() {
    let scene = crate::standing::scene();
    let login = enrolled_and_stopped(&scene);
    start(&login, "--no-unlock").successful();
    scene.provider.stop();
    let told = login.run("iam-session forget --local wlcg").successful();
    assert_eq!(told.stdout, "removed account 'wlcg'\n");
    for what in [
        "the refresh token stays valid at the issuer: https://iam.example/ was not asked; revoke it on its pages",
        "the client stays registered at the issuer: https://iam.example/ was not asked; delete the client (",
    ] {
        assert!(told.stderr.contains(what), "{told:?}");
    }
    assert!(!scene.host.exists(RECORD) && !scene.host.exists(&token_file(&login)));
    scene.provider.restart();
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (0, 0));
}

#[test]
fn a_record_that_is_damaged_can_be_removed_here() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run("echo rubbish >.local/state/iam-session/wlcg.cred").successful();
    let told = login.run("iam-session forget --local wlcg").successful();
    assert_eq!(told.stdout, "removed account 'wlcg'\n");
    assert!(told.stderr.contains("its issuer was not asked"), "{told:?}");
    assert!(!scene.host.exists(RECORD) && !scene.host.exists(&token_file(&login)));
}
