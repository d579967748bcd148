use serde_json::json;

use crate::agent::{Agent, FIRST};
use crate::program::{Ended, run, with_socket, without_socket};
use crate::scratch::Scratch;

fn forget(steps: &str) -> Ended {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let answer = format!("{{\"status\":\"success\",\"account\":\"wlcg\",\"steps\":{steps}}}\n");
    let agent = Agent::answering(&socket, &[&answer]);
    let ended = run(with_socket(&socket, &["forget", "wlcg"]));
    assert_eq!(agent.requests(), [json!({"request": "end_account", "account": "wlcg", "mode": "forget"})]);
    ended
}

#[test]
fn each_step_is_a_line() {
    assert_eq!(
        forget(r#"[{"step":"revoke"},{"step":"deregister"},{"step":"remove"}]"#),
        Ended {
            stdout: "revoked the refresh token\nderegistered the client\nremoved account 'wlcg'\n".into(),
            stderr: String::new(),
            code: Some(0),
        }
    );
}

#[test]
fn what_was_gone_is_not_said_to_have_been_done() {
    let ended = forget(r#"[{"step":"revoke"},{"step":"deregister","was_gone":true},{"step":"remove"}]"#);
    assert_eq!(
        (ended.stdout.as_str(), ended.code),
        (
            "revoked the refresh token\nthe issuer does not know the client any more\nremoved account 'wlcg'\n",
            Some(0)
        )
    );
}

#[test]
fn what_stays_behind_is_told_and_fails() {
    assert_eq!(
        forget(r#"[{"step":"revoke","error":"i.example is out of reach"},{"step":"remove"}]"#),
        Ended {
            stdout: "removed account 'wlcg'\n".into(),
            stderr: "iam-session: warning: the refresh token stays valid at the issuer: i.example is out of reach\n".into(),
            code: Some(1),
        }
    );
}

#[test]
fn a_name_that_is_none_is_not_even_asked_for() {
    let ended = run(without_socket(&["forget", "../x"]));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.starts_with("iam-session: '../x' is no account name: accepted are 1 to 64 of "));
    assert!(ended.stderr.ends_with("; 'iam-session list' shows the accounts\n"), "{}", ended.stderr);
}
