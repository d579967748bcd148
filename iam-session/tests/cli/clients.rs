//! Enrolment with a client that is there already, with a token that opens the registration, and with a refresh token
//! that was obtained elsewhere.

use serde_json::json;

use crate::enroll::{DENIED, GRANTED, NOT_SEALED, SEALED, STATUS, Stage, assert_no_canary};
use crate::program::run;

const CLOSED: &str = r#"{"error":{"class":"registration_closed","message":"i.example does not register clients for everybody (403)","status":403}}"#;
/// What the usual issuer answers to a registration.
const REGISTERED: &str = r#"{"ok":{"answer":"registered","client":{"client_id":"c","client_secret":"canary-secret","registration_client_uri":"https://i.example/register/c","registration_access_token":"canary-registration"},"scope":"openid offline_access wlcg storage.read:/"}}"#;

#[test]
fn the_sites_public_client_is_used_and_left_alone() {
    let stage = Stage::new(GRANTED);
    stage.add_to_provider("client_id = \"site\"");
    let agent = stage.agent(&[STATUS, SEALED]);
    let ended = run(stage.enroll(&["wlcg"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("The page shows the name of the client 'site', which was there before.\n"));
    assert_eq!(stage.asked(), ["discover", "authorize_device", "poll_device"]);
    assert_eq!(agent.requests()[1]["client"], json!({"client_id": "site", "auth": "none"}));

    let stage = Stage::new(DENIED);
    stage.add_to_provider("client_id = \"site\"");
    let agent = stage.agent(&[STATUS]);
    assert_eq!(run(stage.enroll(&["wlcg"])).code, Some(5));
    agent.requests();
    assert_eq!(stage.asked().last().map(String::as_str), Some("poll_device"), "it is not deregistered");
}

#[test]
fn a_client_of_ones_own_keeps_its_secret_off_the_command_line() {
    let stage = Stage::new(GRANTED);
    let secret = stage.write("secret", "canary-own\n");
    let agent = stage.agent(&[STATUS, NOT_SEALED]);
    let ended = run(stage.enroll(&["wlcg", "--client-id", "mine", "--client-secret-file", &secret]));
    assert_no_canary(&ended);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let client = json!({"client_id": "mine", "client_secret": "canary-own", "auth": "client_secret_basic"});
    assert_eq!(agent.requests()[1]["client"], client);
    let requests = stage.requests();
    let last = requests.last().unwrap();
    // Our own client would have been deregistered, and with it what it was granted.
    assert_eq!((&last["request"], &last["client"]), (&json!("revoke"), &client));
    assert_eq!(last["refresh_token"], "canary-refresh");
}

#[test]
fn an_issuer_that_registers_not_everybody_is_shown_a_token() {
    let stage = Stage::where_it_answers(GRANTED, &[(REGISTERED, CLOSED)]);
    let agent = stage.agent(&[STATUS]);
    let ended = run(stage.enroll(&["wlcg"]));
    agent.requests();
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            Some(5),
            "iam-session: i.example does not register clients for everybody (403); name a client with --client-id, \
             or give an initial access token with --initial-access-token-file\n"
        )
    );

    let stage = Stage::new(GRANTED);
    let token = stage.write("token", "canary-initial\n");
    let agent = stage.agent(&[STATUS, SEALED]);
    let ended = run(stage.enroll(&["wlcg", "--initial-access-token-file", &token]));
    assert_no_canary(&ended);
    assert_eq!((ended.code, agent.requests().len()), (Some(0), 2), "{ended:?}");
    let registration = &stage.requests()[1];
    assert_eq!(registration["initial_access_token"], "canary-initial");
}

#[test]
fn an_issuer_that_registers_nobody_says_what_to_do() {
    let stage = Stage::where_it_answers(GRANTED, &[(r#","registration":"https://i.example/register""#, "")]);
    let agent = stage.agent(&[STATUS]);
    let ended = run(stage.enroll(&["wlcg"]));
    agent.requests();
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            Some(1),
            "iam-session: https://i.example/ registers no clients by itself; register one on its pages and name it \
             with --client-id, or ask the site for a client of its own ('client_id' in the provider's file)\n"
        )
    );
}

#[test]
fn the_method_is_what_the_issuer_takes() {
    for (methods, auth) in [
        (r#"["client_secret_post"]"#, "client_secret_post"),
        (r#"["none"]"#, "none"),
        (r#"["none","client_secret_post","client_secret_basic"]"#, "client_secret_basic"),
    ] {
        let stage = Stage::where_it_answers(GRANTED, &[(r#"["client_secret_basic"]"#, methods)]);
        let agent = stage.agent(&[STATUS, SEALED]);
        assert_eq!((run(stage.enroll(&["wlcg"])).code, agent.requests().len()), (Some(0), 2));
        assert_eq!(stage.requests()[1]["auth"], auth, "{methods}");
    }
}

/// Enrols with this refresh token on descriptor 3.
fn import(stage: &Stage, token: &str, arguments: &[&str]) -> crate::program::Ended {
    let path = stage.write("refresh-token", token);
    let enroll = stage.enroll(&[&["wlcg", "--refresh-token-fd", "3"], arguments].concat());
    let mut command = std::process::Command::new("sh");
    command.args(["-c", r#"path=$1; shift; exec "$@" 3<"$path""#, "sh", &path]);
    command.arg(enroll.get_program()).args(enroll.get_args()).stdin(std::process::Stdio::null());
    command.env_clear();
    for (name, value) in enroll.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    run(command)
}

#[test]
fn a_refresh_token_from_elsewhere_is_presented_by_nobody_but_the_agent() {
    let stage = Stage::new(GRANTED);
    let sealed = SEALED.replace("\"session_scope\"", "\"scope\":\"openid wlcg\",\"session_scope\"");
    let agent = stage.agent(&[STATUS, &sealed]);
    let ended = import(&stage, "canary-elsewhere\n", &["--client-id", "mine", "-s", "openid iam"]);
    assert_no_canary(&ended);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stdout.contains("granted      openid wlcg\n"), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "iam-session: warning: scope 'iam' was not granted: the refresh token was not granted it\n"
    );
    assert_eq!(stage.asked(), ["discover"]);
    let enroll = &agent.requests()[1];
    assert_eq!((&enroll["imported"], &enroll["scope"]), (&json!(true), &json!("iam openid")));
    assert_eq!(enroll["refresh_token"], "canary-elsewhere");
    assert_eq!(enroll["client"], json!({"client_id": "mine", "auth": "none"}));
}

#[test]
fn a_refresh_token_without_its_client_is_of_no_use() {
    let stage = Stage::new(GRANTED);
    let agent = stage.agent(&[STATUS]);
    let ended = import(&stage, "canary-elsewhere\n", &[]);
    agent.requests();
    assert_eq!(
        (ended.code, ended.stderr.as_str(), stage.asked().len()),
        (
            Some(2),
            "iam-session: a refresh token is good only with the client that it was issued to; name that with \
             --client-id\n",
            0
        )
    );
}

#[test]
fn what_cannot_be_read_is_told_before_the_issuer_is_asked() {
    let stage = Stage::new(GRANTED);
    for (arguments, line) in [
        (
            &["wlcg", "--initial-access-token-file", "/nonexistent"][..],
            "cannot read the initial access token from /nonexistent: No such file or directory (os error 2)",
        ),
        (
            &["wlcg", "--client-id", "c", "--client-secret-file", "-"],
            "cannot read the client's secret from standard input: its first line is empty",
        ),
        (
            &["wlcg", "--client-id", "c", "--client-auth", "post"],
            "the client's secret is missing; give it with --client-secret-file",
        ),
        (
            &["wlcg", "--client-id", "c", "--refresh-token-fd", "9"],
            "cannot read a refresh token from descriptor 9: No such file or directory (os error 2); \
             in bash: --refresh-token-fd 9 9<file",
        ),
    ] {
        let agent = stage.agent(&[STATUS]);
        let ended = run(stage.enroll(arguments));
        agent.requests();
        assert_eq!((ended.code, ended.stderr), (Some(2), format!("iam-session: {line}\n")));
        assert_eq!(stage.asked().len(), 0);
        std::fs::remove_file(stage.directory.join(crate::agent::FIRST)).unwrap();
    }
    let ended = run(stage.enroll(&["wlcg", "--client-secret-file", "x"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
