//! The token file as other programs leave it: what is no token is named, and gives way to ours by itself.

use support::Login;

use crate::scene::{Scene, json_of, token_file};

/// As DIRAC's `writeTokenDictToTokenFile` does: the dictionary as JSON, refresh token and all, into the file itself.
const DIRAC_LOGIN: &str = r#"python3 -c '
import json, os
token = {"access_token": "eyJ.a.b", "expires_in": 3600, "refresh_token": "r-secret", "token_type": "Bearer"}
with open(os.environ["BEARER_TOKEN_FILE"], "w") as handle:
    handle.write(json.dumps(token))
'"#;
const DIRAC_LOGOUT: &str = r#"python3 -c 'import os; os.unlink(os.environ["BEARER_TOKEN_FILE"])'"#;
const EMPTY: &str = ": >$BEARER_TOKEN_FILE";
/// As vi and sed -i do: another file takes its place, with what was there and more.
const EDITOR: &str = "cp -p $BEARER_TOKEN_FILE $BEARER_TOKEN_FILE.swp && echo more >>$BEARER_TOKEN_FILE.swp && mv $BEARER_TOKEN_FILE.swp $BEARER_TOKEN_FILE";

/// Our token is in the file again, without anybody asking for it.
fn comes_back(scene: &Scene, login: &Login) {
    let file = token_file(login);
    let ours = || {
        let there = login.run(&format!("cat {file}")).stdout;
        there.starts_with("eyJ") && there.lines().count() == 1 && scene.provider.accepts(&there)
    };
    scene.host.wait_until("our token in the file", ours);
}

fn damages(scene: &Scene) -> Vec<String> {
    let lines = scene.host.log_lines().into_iter();
    lines.filter(|line| line.contains("event=token_file_damaged")).collect()
}

#[test]
fn what_is_no_token_is_named_and_replaced_by_itself() {
    for (script, found) in
        [(DIRAC_LOGIN, "refresh_token"), (DIRAC_LOGOUT, "missing"), (EMPTY, "empty"), (EDITOR, "no_token")]
    {
        let scene = Scene::enrolled();
        let login = scene.host.login("alice");
        comes_back(&scene, &login);
        login.run(script).successful();
        comes_back(&scene, &login);
        let told = damages(&scene);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(&format!(" found={found} ")) && told[0].contains("user=alice"), "{told:?}");
        // What is mended so soon is still told.
        let status = json_of(&login, "iam-session status --json");
        assert_eq!(status["token_file_damage"]["found"], found);
        assert!(login.run("iam-session status").stderr.contains("and it is put right by itself"));
        assert!(login.run("iam-session doctor").stdout.contains("and it is put right by itself"));
    }
}

#[test]
fn a_refresh_token_in_clear_is_named_and_is_in_no_line_of_ours() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run(DIRAC_LOGIN).successful();
    comes_back(&scene, &login);
    let status = login.run("iam-session status").stderr;
    assert!(
        status.contains("a refresh token in clear") && status.contains("end that refresh token"),
        "{status}"
    );
    assert!(!status.contains("r-secret") && !damages(&scene).concat().contains("r-secret"));
}

#[test]
fn login_and_logout_of_dirac_leave_us_our_token() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run(&format!("{DIRAC_LOGIN}\n{DIRAC_LOGOUT}")).successful();
    comes_back(&scene, &login);
}

#[test]
fn of_several_agents_one_mends_and_all_know() {
    let scene = Scene::enrolled();
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    comes_back(&scene, &one);
    one.run(EMPTY).successful();
    comes_back(&scene, &other);
    assert_eq!(damages(&scene).len(), 1);
    for login in [&one, &other] {
        assert_eq!(json_of(login, "iam-session status --json")["token_file_damage"]["found"], "empty");
    }
}

#[test]
fn what_we_remove_ourselves_is_not_missing() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    comes_back(&scene, &login);
    login.run("iam-session forget wlcg").successful();
    assert!(!scene.host.exists(&token_file(&login)));
    login.run("iam-session status");
    assert_eq!(damages(&scene), [""; 0]);
}

#[test]
fn the_file_of_one_account_is_guarded_too() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let file =
        login.run("eval \"$(iam-session env --account wlcg)\"; echo $BEARER_TOKEN_FILE").successful().stdout;
    let file = file.trim();
    for script in [DIRAC_LOGIN, EMPTY, DIRAC_LOGOUT] {
        login.run(&format!("BEARER_TOKEN_FILE={file}; export BEARER_TOKEN_FILE; {script}")).successful();
        let ours = || scene.provider.accepts(&login.run(&format!("cat {file}")).stdout);
        scene.host.wait_until("our token in the file", ours);
    }
}
