//! `iam-session env`: a second token file, for one account.

use serde_json::json;
use support::Login;

use crate::accounts::{two_accounts, with_cms};
use crate::scene::{Scene, left_behind, token_file, words};

/// Has a file kept for an account, in the shell of this login alone.
fn keep(login: &Login, account: &str) -> String {
    login.run(&format!("eval \"$(iam-session env --shell sh --account {account})\"")).successful();
    token_file(login)
}

fn is_of_cms(scene: &Scene, token: &str) -> bool {
    words(&scene.provider.verify(token)["scope"]).contains(&"storage.read:/cms")
}

#[test]
fn one_shell_has_its_own_account_and_every_other_goes_on() {
    let scene = two_accounts();
    let (login, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let main = token_file(&login);
    let file = keep(&login, "cms");
    assert_eq!(file, format!("{main}.cms"));
    assert!(is_of_cms(&scene, &login.read(&file)));
    assert!(!is_of_cms(&scene, &other.read(&token_file(&other))));
    assert_eq!(login.run(&format!("stat -c %a {file}")).stdout, "600\n");
    assert!(login.run("iam-session list").stdout.contains(&format!("  own file   {file}\n")));
    // Never wider than the session's may be, whatever was granted.
    scene.host.reenroll(&scene.provider, "alice", "cms -s max");
    let claims = scene.provider.verify(&login.read(&file));
    assert_eq!(words(&claims["scope"]), ["openid", "storage.read:/", "wlcg"]);
}

#[test]
fn it_is_renewed_by_whoever_lives_and_goes_with_the_last() {
    let scene = with_cms(Scene::enrolled_with_lifetime(12));
    let (login, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let file = keep(&login, "cms");
    let first = other.read(&file);
    login.close();
    let current = || other.run(&format!("cat {file}")).stdout;
    scene.host.wait_until("a new token", || ![first.as_str(), ""].contains(&current().as_str()));
    assert!(is_of_cms(&scene, &current()));
    other.close();
    scene.host.wait_until_gone(&file);
    scene.host.wait_until("the end of the agents", || scene.host.agents_of("alice").is_empty());
    scene.host.wait_until("the rest", || left_behind(&scene.host).is_empty());
}

#[test]
fn it_is_removed_when_its_token_ends_and_comes_back_with_the_issuer() {
    let scene = with_cms(Scene::enrolled_with_lifetime(8));
    let login = scene.host.login("alice");
    let file = keep(&login, "cms");
    scene.provider.stop();
    scene.host.wait_until_gone(&file);
    scene.provider.restart();
    scene.host.wait_until("the file", || scene.host.exists(&file));
    assert!(is_of_cms(&scene, &login.read(&file)));
}

#[test]
fn a_file_without_a_token_yet_is_told_and_comes() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    login.run("rm -f .local/state/iam-session/cms.token $(dirname $IAM_SESSION_SOCK)/cache/*").successful();
    scene.provider.fail_with(json!({"fault": "status", "status": 503, "at": ["refresh"]}));
    let told = login.run("iam-session env --shell sh --account cms");
    assert_eq!(told.status, 7, "{told:?}");
    let file = format!("{}.cms", token_file(&login));
    assert_eq!(told.stdout, format!("BEARER_TOKEN_FILE='{file}'; export BEARER_TOKEN_FILE;\n"));
    assert!(told.stderr.contains(&format!("warning: there is no token in {file} yet: ")), "{told:?}");
    scene.provider.heal();
    scene.host.wait_until("the file", || scene.host.exists(&file));
}

#[test]
fn a_new_name_takes_the_file_along_and_an_end_ends_it() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let main = token_file(&login);
    let file = keep(&login, "cms");
    let told = login.run("iam-session rename cms atlas").successful();
    assert!(told.stderr.contains(&format!("its own token file is {main}.atlas now")), "{told:?}");
    assert!(!scene.host.exists(&file));
    assert!(is_of_cms(&scene, &login.read(&format!("{main}.atlas"))));
    login.run("iam-session forget atlas").successful();
    assert!(!scene.host.exists(&format!("{main}.atlas")) && scene.host.exists(&main));
    // Its agents have nothing to look after any more.
    assert_eq!(login.run("iam-session env --account atlas").status, 3);
}

#[test]
fn without_an_account_it_prints_the_sessions_own() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let known = |name| login.env(name).unwrap();
    let before = [known("BEARER_TOKEN_FILE"), known("IAM_SESSION_SOCK"), known("IAM_SESSION_ID")];
    let lost = "unset BEARER_TOKEN_FILE IAM_SESSION_SOCK IAM_SESSION_ID; eval \"$(iam-session env)\"";
    login.run(lost).successful();
    assert_eq!([known("BEARER_TOKEN_FILE"), known("IAM_SESSION_SOCK"), known("IAM_SESSION_ID")], before);
    for (shell, line) in [("csh", "setenv BEARER_TOKEN_FILE "), ("fish", "set -gx BEARER_TOKEN_FILE ")] {
        let text = login.run(&format!("iam-session env --shell {shell}")).successful().stdout;
        assert!(text.starts_with(line), "{text}");
    }
}
