//! `iam-session run` and `iam-session decode` in a login.

use serde_json::json;

use crate::scene::{Scene, json_of, token_file};

#[test]
fn a_command_has_a_token_of_its_own_and_the_shell_has_not() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let command = "iam-session run -s storage.read:/cms --aud https://se.example -- printenv BEARER_TOKEN";
    let run = login.run(command).successful();
    let claims = scene.provider.verify(&run.stdout);
    assert_eq!(
        (&claims["scope"], &claims["aud"]),
        (&json!("storage.read:/cms"), &json!("https://se.example"))
    );
    assert_eq!(run.stderr, "");
    assert_eq!(login.env("BEARER_TOKEN"), None);
    // The session's file stays what it is, for who looks for it.
    let file = login.run("iam-session run printenv BEARER_TOKEN_FILE").successful();
    assert_eq!(file.stdout.trim(), token_file(&login));
}

#[test]
fn the_command_takes_the_place_of_the_program() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let same = "sh -c 'echo $$; exec iam-session run -- sh -c \"echo \\$\\$; exit 42\"'";
    let run = login.run(same);
    let pids: Vec<&str> = run.stdout.lines().collect();
    assert_eq!((run.status, pids.len()), (42, 2), "{run:?}");
    assert_eq!(pids[0], pids[1]);
    // Ctrl-C and pipes are the command's own, as without it.
    assert_eq!(login.run("iam-session run yes | head -n 1; echo ${PIPESTATUS[0]}").stdout, "y\n141\n");
}

#[test]
fn a_scope_that_was_not_granted_runs_nothing() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let run = login.run("iam-session run -s storage.modify:/ -- touch here");
    assert_eq!((run.status, run.stdout.as_str()), (125, ""));
    assert!(run.stderr.contains("'storage.modify:/'"), "{run:?}");
    assert_eq!(login.run("ls here 2>/dev/null").stdout, "");
}

#[test]
fn a_token_is_decoded_from_wherever_it_is() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let of_session = json_of(&login, "iam-session decode --json");
    assert_eq!(of_session["claims"], scene.claims(&login));
    assert_eq!((&of_session["verified"], &of_session["header"]["alg"]), (&json!(false), &json!("RS256")));
    assert_eq!(json_of(&login, "iam-session decode --json $BEARER_TOKEN_FILE"), of_session);
    let other = json_of(&login, "iam-session token -s storage.read:/cms | iam-session decode --json -");
    assert_eq!(other["claims"]["scope"], "storage.read:/cms");
    let shown = login.run("iam-session decode").successful().stdout;
    assert!(shown.starts_with("The session's token, of account 'wlcg'. Not verified"), "{shown}");
    let signature = login.run("cut -d . -f 3 $BEARER_TOKEN_FILE").stdout;
    assert!(signature.len() > 100 && !shown.contains(&signature.trim()[..20]), "{shown}");
}
