//! A new consent for an account that is there: the same client where that can be, and never two refresh tokens.

use serde_json::json;
use support::Enrolling;

use crate::accounts::with_cms;
use crate::lock::{lock, unlock};
use crate::scene::{Scene, json_of, token_file, words};

fn granted(scene: &Scene, account: &str) -> Vec<String> {
    let listing = json_of(&scene.host.login("alice"), "iam-session list --json");
    let accounts = listing["accounts"].as_array().unwrap();
    let account = accounts.iter().find(|one| one["name"] == account).unwrap();
    words(&account["scope"]).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_same_scopes_the_same_client_and_the_old_refresh_token_is_revoked() {
    let scene = Scene::enrolled();
    let before = granted(&scene, "wlcg");
    scene.host.reenroll(&scene.provider, "alice", "wlcg");
    assert_eq!(granted(&scene, "wlcg"), before);
    scene.host.wait_until("the end of the old one", || scene.provider.count("revocation") == 1);
    assert_eq!((scene.provider.count("registration"), scene.provider.count("deregistration")), (1, 0));
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/new").successful();
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn an_account_that_was_there_first_stays_in_the_file_when_it_is_enrolled_again() {
    let scene = with_cms(Scene::enrolled());
    scene.host.reenroll(&scene.provider, "alice", "wlcg");
    let listing = json_of(&scene.host.login("alice"), "iam-session list --json");
    assert_eq!(listing["default_account"], "wlcg");
}

#[test]
fn more_scopes_change_the_clients_registration_for_all_its_accounts() {
    let scene = with_cms(Scene::enrolled());
    // A client that can be deleted at the end has kept up with its registration token.
    scene.provider.set(json!({"rotate_registration_tokens": true}));
    scene.host.reenroll(&scene.provider, "alice", "cms -s 'storage.read:/cms storage.create:/cms'");
    assert!(granted(&scene, "cms").contains(&"storage.create:/cms".to_owned()));
    assert_eq!((scene.provider.count("registration"), scene.provider.count("client")), (1, 2));
    // What it may ask for now is known: nothing is changed for less.
    scene.host.reenroll(&scene.provider, "alice", "wlcg -s 'storage.read:/ storage.create:/cms/x'");
    assert_eq!((scene.provider.count("registration"), scene.provider.count("client")), (1, 2));
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.create:/cms/x").successful();
    login.run("iam-session forget cms").successful();
    let told = login.run("iam-session forget wlcg").successful().stdout;
    assert!(told.contains("deregistered the client"), "{told}");
}

#[test]
fn enrolling_under_the_same_name_changes_the_scopes_too() {
    let scene = Scene::enrolled();
    scene.host.enroll_with(&scene.provider, "alice", "--account wlcg -s storage.modify:/");
    assert_eq!(granted(&scene, "wlcg"), ["offline_access", "openid", "storage.modify:/"]);
    assert_eq!(scene.provider.count("registration"), 1);
}

#[test]
fn a_scope_that_the_issuer_keeps_back_is_named() {
    let scene = Scene::enrolled();
    scene.provider.set(json!({"restricted_scopes": ["storage.modify:/"], "device_interval": 1}));
    let mut enrolling =
        Enrolling::running(&scene.host, "alice", "reenroll --json wlcg -s 'storage.read:/ storage.modify:/'");
    let code = enrolling.event("device_code");
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    enrolling.event("enrolled");
    assert_eq!(enrolling.status(), Some(5));
    assert_eq!(granted(&scene, "wlcg"), ["offline_access", "openid", "storage.read:/"]);
}

#[test]
fn where_a_client_cannot_be_changed_another_one_is_registered() {
    let scene = Scene::new();
    scene.provider.set(json!({"client_management": false}));
    scene.host.enroll(&scene.provider, "alice");
    // The same scopes need no other client.
    scene.host.reenroll(&scene.provider, "alice", "wlcg");
    assert_eq!(scene.provider.count("registration"), 1);
    scene.host.reenroll(&scene.provider, "alice", "wlcg -s storage.create:/x");
    assert_eq!((scene.provider.count("registration"), scene.provider.count("client")), (2, 0));
    scene.host.login("alice").run("iam-session token -s storage.create:/x").successful();
}

#[test]
fn where_the_client_is_gone_another_one_is_registered() {
    let scene = Scene::enrolled();
    scene.provider.delete_clients();
    scene.host.enroll(&scene.provider, "alice");
    assert_eq!(scene.provider.count("registration"), 2);
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/new").successful();
}

#[test]
fn what_is_not_approved_leaves_everything_as_it_was() {
    let scene = Scene::enrolled();
    scene.provider.set(json!({"device_interval": 1}));
    let mut enrolling = Enrolling::running(&scene.host, "alice", "reenroll --json wlcg");
    let code = enrolling.event("device_code");
    scene.provider.deny(code["user_code"].as_str().unwrap());
    let event = enrolling.event("error");
    assert_eq!(event["error"], "at iam.example the request was denied: access_denied: the user refused");
    assert_eq!(enrolling.status(), Some(5));
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/still").successful();
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (0, 0));
}

#[test]
fn an_issuer_that_is_busy_meanwhile_is_polled_on() {
    let scene = Scene::enrolled();
    scene.provider.set(json!({"device_interval": 1}));
    let mut enrolling = Enrolling::running(&scene.host, "alice", "reenroll --json wlcg");
    let code = enrolling.event("device_code");
    scene.provider.fail_with(json!({"fault": "status", "status": 503, "at": ["poll"], "times": 2}));
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    enrolling.event("enrolled");
    assert_eq!(enrolling.status(), Some(0));
}

/// An issuer that ends all of a client's grants with one of its refresh tokens, and has been told to the site.
fn with_shared_grants(lines: &str) -> Scene {
    let scene = Scene::new();
    scene.provider.set(json!({"shared_grants": true}));
    let file = "/etc/iam-session/issuers.d/wlcg.toml";
    let text = scene.host.sandbox().read(file);
    scene.host.write(file, format!("revocation = \"grant\"\n{lines}{text}"), 0o644);
    scene.host.enroll(&scene.provider, "alice");
    scene
}

#[test]
fn where_a_revocation_ends_the_whole_grant_a_new_consent_outlives_the_old_one() {
    let scene = with_shared_grants("");
    scene.host.reenroll(&scene.provider, "alice", "wlcg");
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/new").successful();
    assert_eq!(scene.provider.count("revocation"), 0);
    // The last of them ends all there is.
    login.run("iam-session forget wlcg").successful();
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (1, 1));
}

#[test]
fn where_a_revocation_ends_the_whole_grant_another_account_of_the_client_outlives_a_forgotten_one() {
    let scene = with_cms(with_shared_grants(""));
    let login = scene.host.login("alice");
    let told = login.run("iam-session forget cms");
    assert!(told.stderr.contains("it ends with the last of them"), "{told:?}");
    login.run("iam-session token -s storage.read:/new").successful();
    assert_eq!(scene.provider.count("revocation"), 0);
}

#[test]
fn where_a_revocation_ends_the_whole_grant_a_new_consent_that_fails_costs_the_account_nothing() {
    let scene = with_shared_grants("expect_subject = \"preferred_username=%u\"\n");
    scene.provider.set(json!({"device_interval": 1}));
    scene.provider.fail_with(json!({"fault": "status", "status": 503, "at": ["userinfo"]}));
    let mut enrolling = Enrolling::running(&scene.host, "alice", "reenroll --json wlcg");
    let code = enrolling.event("device_code");
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    enrolling.event("error");
    assert_eq!(enrolling.status(), Some(1));
    scene.provider.heal();
    scene.host.login("alice").run("iam-session token -s storage.read:/new").successful();
    assert_eq!(scene.provider.count("revocation"), 0);
}

#[test]
fn where_a_client_cannot_be_deleted_the_grant_of_an_enrolment_that_fails_is_revoked() {
    let scene = Scene::new();
    scene.provider.set(json!({"client_management": false, "device_interval": 1}));
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    let code = enrolling.event("device_code");
    let line = "allowed_issuers = [\"https://other.example/\"]\n";
    scene.host.write("/etc/iam-session/config.toml", line, 0o644);
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    enrolling.event("error");
    scene.host.wait_until("the end of the grant", || scene.provider.count("revocation") == 1);
}

/// A new consent for 'wlcg' that is given, while the issuer's answer is still on its way.
fn given_and_not_told(scene: &Scene) -> Enrolling {
    scene.provider.set(json!({"device_interval": 1}));
    let mut enrolling = Enrolling::running(&scene.host, "alice", "reenroll --json wlcg");
    let code = enrolling.event("device_code");
    scene.provider.fail_with(json!({"fault": "held", "at": ["poll"]}));
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    scene.host.wait_until("the answer", || scene.provider.count("held") == 1);
    enrolling
}

#[test]
fn a_client_that_is_changed_meanwhile_is_kept_as_it_is_now() {
    let scene = with_cms(Scene::enrolled());
    scene.provider.set(json!({"rotate_registration_tokens": true}));
    let mut enrolling = given_and_not_told(&scene);
    let mut other = Enrolling::running(&scene.host, "alice", "reenroll --json cms -s 'storage.create:/cms'");
    let code = other.event("device_code");
    assert_eq!(scene.provider.count("client"), 2, "the client has another registration token");
    scene.provider.heal();
    enrolling.event("enrolled");
    scene.provider.deny(code["user_code"].as_str().unwrap());
    other.event("error");
    // Only with the newest token can it be changed once more.
    scene.host.reenroll(&scene.provider, "alice", "wlcg -s storage.modify:/x");
    assert_eq!(scene.provider.count("registration"), 1);
}

#[test]
fn what_is_given_when_the_host_is_locked_does_not_live_on() {
    let scene = Scene::enrolled();
    let mut enrolling = given_and_not_told(&scene);
    lock(&scene.host.login("alice"));
    scene.provider.heal();
    let event = enrolling.event("error");
    assert!(event["error"].as_str().unwrap().contains("locked"), "{event}");
    scene.host.wait_until("the end of what was granted", || scene.provider.count("revocation") == 1);
    let login = scene.host.login("alice");
    unlock(&login, "");
    login.run("iam-session token -s storage.read:/still").successful();
}

#[test]
fn an_account_that_is_not_there_cannot_be_enrolled_again() {
    let scene = Scene::enrolled();
    let refused = scene.host.login("alice").run("iam-session reenroll cms");
    assert_eq!(refused.status, 3, "{refused:?}");
    assert!(refused.stderr.starts_with("iam-session: there is no account 'cms'; "), "{refused:?}");
}
