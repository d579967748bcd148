//! Whether a login sets BEARER_TOKEN_FILE: programs that find it use what is behind it.

use support::Host;

use crate::scene::{Scene, json_of};

const FILE: &str = "BEARER_TOKEN_FILE";

fn scene() -> Scene {
    Scene::of(Host::plan().pam_options("token_wait=5s export=enrolled"))
}

#[test]
fn who_has_no_enrolment_has_a_session_and_no_token_file() {
    let scene = scene();
    let login = scene.host.login("alice");
    assert_eq!(login.env(FILE), None);
    assert!(login.env("IAM_SESSION_SOCK").is_some() && login.env("IAM_SESSION_ID").is_some());
    // Nothing is missed before there is anything.
    assert_eq!(json_of_failing(&login)["warnings"], serde_json::json!([]));
    // The site's PAM line of before.
    assert!(Scene::new().host.login("alice").env(FILE).is_some());
}

/// The status of a session without an enrolment.
fn json_of_failing(login: &support::Login) -> serde_json::Value {
    serde_json::from_str(&login.run("iam-session status --json").stdout).unwrap()
}

#[test]
fn the_login_that_enrols_has_it_by_the_line_that_enroll_prints_and_the_next_by_itself() {
    let scene = scene();
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    assert!(scene.provider.accepts(&login.read(&login.env(FILE).unwrap())));
    // As in the login before, whose environment had none.
    let read = "unset BEARER_TOKEN_FILE; eval \"$(iam-session env)\"; cat $BEARER_TOKEN_FILE";
    assert!(scene.provider.accepts(&login.run(read).successful().stdout));
    let hook = "unset BEARER_TOKEN_FILE; eval \"$(iam-session env --shell-hook)\"; cat $BEARER_TOKEN_FILE";
    assert!(scene.provider.accepts(&login.run(hook).successful().stdout));
}

#[test]
fn who_says_no_has_none_and_the_token_all_the_same() {
    let scene = Scene::enrolled();
    let configure =
        "mkdir -p ~/.config/iam-session && echo 'export = \"no\"' >~/.config/iam-session/config.toml";
    scene.host.as_user("alice").run(configure).successful();
    let login = scene.host.login("alice");
    assert_eq!(login.env(FILE), None);
    assert!(scene.provider.accepts(login.run("iam-session token").successful().stdout.trim()));
    let status = json_of(&login, "iam-session status --json");
    assert_eq!((&status["export"], &status["warnings"]), (&"no".into(), &serde_json::json!([])));
    // Who asks for it has it.
    let read = "eval \"$(iam-session env)\"; cat $BEARER_TOKEN_FILE";
    assert!(scene.provider.accepts(&login.run(read).successful().stdout));
}
