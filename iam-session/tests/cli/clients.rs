//! Enrolment with a client that is there already, with a token that opens the registration, and with a refresh token
//! that was obtained elsewhere.

use serde_json::json;

use crate::agent::{Agent, FIRST};
use crate::enroll::{CANCELLED, CODE, ENROLLED, OFFERED, STATUS, Stage, assert_no_canary, kinds};
use crate::program::run;

const CLOSED: &str = "{\"status\":\"success\",\"outcome\":\"registration_closed\",\"error\":{\"class\":\"registration_closed\",\
    \"message\":\"i.example does not register clients for everybody (403)\",\"status\":403}}\n";

/// A code that is asked for by a client that was there before.
fn code_of(client: &str) -> String {
    let code =
        CODE.replace("\"client_name\":\"iam-session:example:alice\",\"is_new\":true", "\"is_new\":false");
    code.replace("\"client_id\":\"c\"", &format!("\"client_id\":\"{client}\""))
}

#[test]
fn the_sites_public_client_is_used() {
    let stage = Stage::new();
    stage.add_to_provider("client_id = \"site\"");
    let agent = stage.agent(&[STATUS, OFFERED, &code_of("site"), ENROLLED]);
    let ended = run(stage.enroll(&["wlcg"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("The page shows the name of the client 'site', which was there before.\n"));
    assert_eq!(agent.requests()[2]["client"], json!({"client_id": "site", "auth": "none"}));
}

#[test]
fn a_client_of_ones_own_keeps_its_secret_off_the_command_line() {
    let stage = Stage::new();
    let secret = stage.write("secret", "canary-own\n");
    let agent = stage.agent(&[STATUS, OFFERED, &code_of("mine"), ENROLLED]);
    let ended = run(stage.enroll(&["wlcg", "--client-id", "mine", "--client-secret-file", &secret]));
    assert_no_canary(&ended);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(agent.requests()[2]["client"], json!({"client_id": "mine", "client_secret": "canary-own"}));
}

#[test]
fn an_issuer_that_registers_not_everybody_is_shown_a_token() {
    let stage = Stage::new();
    let agent = stage.agent(&[STATUS, OFFERED, CLOSED, CANCELLED]);
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

    let stage = Stage::new();
    let token = stage.write("token", "canary-initial\n");
    let agent = stage.agent(&[STATUS, OFFERED, CODE, ENROLLED]);
    let ended = run(stage.enroll(&["wlcg", "--initial-access-token-file", &token]));
    assert_no_canary(&ended);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(agent.requests()[2]["initial_access_token"], "canary-initial");
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
    let stage = Stage::new();
    let sealed = ENROLLED.replace("openid offline_access storage.read:/ wlcg", "openid wlcg");
    let agent = Agent::answering(&stage.directory.join(FIRST), &[STATUS, &sealed]);
    let ended = import(&stage, "canary-elsewhere\n", &["--client-id", "mine", "-s", "openid iam"]);
    assert_no_canary(&ended);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stdout.contains("granted      openid wlcg\n"), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "iam-session: warning: scope 'iam' was not granted: the refresh token was not granted it\n"
    );
    stage.assert_no_helper();
    let requests = agent.requests();
    assert_eq!(kinds(&requests), ["status", "import"]);
    assert_eq!(
        requests[1],
        json!({"request": "import", "account": "wlcg", "issuer": "https://i.example/",
               "client": {"client_id": "mine"}, "refresh_token": "canary-elsewhere", "scope": "iam openid"})
    );
}

#[test]
fn a_refresh_token_without_its_client_is_of_no_use() {
    let stage = Stage::new();
    let agent = stage.agent(&[STATUS]);
    let ended = import(&stage, "canary-elsewhere\n", &[]);
    agent.requests();
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            Some(2),
            "iam-session: a refresh token is good only with the client that it was issued to; name that with \
             --client-id\n"
        )
    );
}

#[test]
fn what_cannot_be_read_is_told_before_the_issuer_is_asked() {
    let stage = Stage::new();
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
        stage.assert_no_helper();
        std::fs::remove_file(stage.directory.join(crate::agent::FIRST)).unwrap();
    }
    let ended = run(stage.enroll(&["wlcg", "--client-secret-file", "x"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
