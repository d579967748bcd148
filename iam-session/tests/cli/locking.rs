use serde_json::json;

use crate::agent::{Agent, Directory, FIRST, SECOND};
use crate::program::{Ended, failed, run, with_socket, without_socket};

const STATUS: &str = r#"{"status":"success","session":"0a","version":"1","pid":1,"user":"alice","token_file":"/t","accounts":[]"#;
const DONE: &str = "{\"status\":\"success\"}\n";

fn status(more: &str) -> String {
    format!("{STATUS},{more}}}\n")
}

/// Runs a command with a passphrase from a command, as one that has no terminal does.
fn with_passphrase(socket: &std::path::Path, arguments: &[&str]) -> Ended {
    let mut command =
        with_socket(socket, &[arguments, &["--passphrase-command", "echo correct horse"]].concat());
    command.env("PATH", "/usr/bin:/bin");
    run(command)
}

fn printed(text: &str) -> Ended {
    Ended { stdout: text.into(), stderr: String::new(), code: Some(0) }
}

#[test]
fn every_agent_is_told_of_a_lock() {
    let directory = Directory::new();
    let (own, other) = (directory.join(FIRST), directory.join(SECOND));
    let open = status(r#""sealing":"node""#);
    let first = Agent::answering(&own, &[&open, DONE]);
    let second = Agent::answering(&other, &[&open, DONE]);
    assert_eq!(with_passphrase(&own, &["lock"]), printed("locked; 'iam-session unlock' opens it again\n"));
    let lock = json!({"request": "lock", "passphrase": "correct horse"});
    for agent in [first, second] {
        assert_eq!(agent.requests(), [json!({"request": "status"}), lock.clone()]);
    }
}

#[test]
fn a_lock_that_stands_needs_no_passphrase() {
    for (stands, text) in [
        ("\"host_locked\":true", "this host is locked already\n"),
        ("\"lock_kept\":true", "locked; 'iam-session unlock' opens it again\n"),
    ] {
        let directory = Directory::new();
        let own = directory.join(FIRST);
        let agent = Agent::answering(&own, &[&status(stands), DONE]);
        assert_eq!(run(with_socket(&own, &["lock"])), printed(text));
        assert_eq!(agent.requests(), [json!({"request": "status"}), json!({"request": "lock"})]);
    }
}

#[test]
fn an_agent_that_is_not_told_is_named() {
    let directory = Directory::new();
    let (own, other) = (directory.join(FIRST), directory.join(SECOND));
    let open = status(r#""sealing":"node""#);
    let _first = Agent::answering(&own, &[&open, DONE]);
    let refusal = "{\"status\":\"failure\",\"error\":\"no\",\"kind\":\"failed\"}\n";
    let _second = Agent::answering(&other, &[&open, refusal]);
    let ended = with_passphrase(&own, &["lock"]);
    assert_eq!(ended.code, Some(0));
    let line = format!(
        "iam-session: warning: another of your agents, {}: no; it locks itself when it notices\n",
        other.display()
    );
    assert_eq!(ended.stderr, line);
}

#[test]
fn an_unlock_reaches_every_agent_and_lifts_the_lock_last() {
    let directory = Directory::new();
    let (own, other) = (directory.join(FIRST), directory.join(SECOND));
    let locked = status(r#""host_locked":true"#);
    let unlocked =
        "{\"status\":\"success\",\"accounts\":[\"wlcg\"],\"token_file\":\"/t\",\"lock\":\"0a0b\"}\n";
    let first = Agent::answering(&own, &[&locked, unlocked, DONE]);
    let second = Agent::answering(&other, &[&locked, unlocked]);
    assert_eq!(with_passphrase(&own, &["unlock"]), printed("unlocked 'wlcg'\n"));
    let unlock = json!({"request": "unlock", "passphrase": "correct horse"});
    let status = json!({"request": "status"});
    let lift = json!({"request": "lift", "lock": "0a0b"});
    assert_eq!(first.requests(), [status.clone(), unlock.clone(), lift]);
    assert_eq!(second.requests(), [status, unlock]);
}

#[test]
fn an_unlock_for_a_time_leaves_the_lock() {
    let directory = Directory::new();
    let own = directory.join(FIRST);
    let unlocked =
        "{\"status\":\"success\",\"accounts\":[\"wlcg\"],\"token_file\":\"/t\",\"lock\":\"0a0b\"}\n";
    let agent = Agent::answering(&own, &[&status(r#""host_locked":true"#), unlocked]);
    let ended = with_passphrase(&own, &["unlock", "--for", "8h"]);
    assert_eq!(ended, printed("unlocked 'wlcg' for 8 h\n"));
    let requests = agent.requests();
    assert_eq!((requests.len(), &requests[1]["for"]), (2, &json!(28_800)));
}

#[test]
fn a_wrong_passphrase_is_given_to_one_agent_only() {
    let directory = Directory::new();
    let (own, other) = (directory.join(FIRST), directory.join(SECOND));
    let wrong = "{\"status\":\"failure\",\"error\":\"the passphrase is wrong\",\"kind\":\"locked\"}\n";
    let _first = Agent::answering(&own, &[&status(r#""host_locked":true"#), wrong]);
    let listener = std::os::unix::net::UnixListener::bind(&other).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(with_passphrase(&own, &["unlock"]), failed(6, "the passphrase is wrong"));
    assert!(listener.accept().is_err(), "nobody came");
}

#[test]
fn a_seal_is_shown_and_changed() {
    let directory = Directory::new();
    let own = directory.join(FIRST);
    let slots = r#"[{"kind":"node","key":"aada221d6a508794","opens_now":true,"opens_at_login":true}]"#;
    let answer = format!(
        "{{\"status\":\"success\",\"accounts\":[{{\"name\":\"wlcg\",\"changed\":true,\"slots\":{slots}}}]}}\n"
    );
    let agent = Agent::answering(&own, &[&answer]);
    let shown = run(with_socket(&own, &["seal", "list"]));
    assert_eq!(shown, printed("wlcg\n  node key aada221d6a508794: opens at each login\n"));
    assert_eq!(agent.requests(), [json!({"request": "seal", "action": "list"})]);
    std::fs::remove_file(&own).unwrap();
    let agent = Agent::answering(&own, &[&answer]);
    let added = with_passphrase(&own, &["seal", "add", "passphrase", "--account", "wlcg"]);
    assert_eq!(added, printed("the passphrase opens 'wlcg'\n"));
    let request = json!({"request": "seal", "action": "add", "slot": "passphrase", "account": "wlcg", "passphrase": "correct horse"});
    assert_eq!(agent.requests(), [request]);
}

#[test]
fn a_slot_that_stays_is_a_failure_with_what_to_do() {
    let directory = Directory::new();
    let own = directory.join(FIRST);
    let answer = r#"{"status":"success","accounts":[{"name":"wlcg","slots":[],"trouble":{"error":"nothing else opens it","info":"add one","kind":"usage"}}]}"#;
    let _agent = Agent::answering(&own, &[&format!("{answer}\n")]);
    let ended = run(with_socket(&own, &["seal", "remove", "node"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr, "iam-session: warning: account 'wlcg': nothing else opens it; add one\n");
}

#[test]
fn without_a_terminal_a_lock_says_how_to_give_a_passphrase() {
    let directory = Directory::new();
    let own = directory.join(FIRST);
    let _agent = Agent::answering(&own, &[&status(r#""sealing":"node""#)]);
    // setsid(1): the tests may have a terminal of their own.
    let mut command = std::process::Command::new("setsid");
    command.args(["-w", crate::program::PROGRAM, "lock"]).env("IAM_SESSION_SOCK", &own);
    let ended = run(command);
    assert_eq!(
        ended,
        failed(
            6,
            "there is no terminal to ask for the passphrase on; use --passphrase-fd, --passphrase-file or --passphrase-command"
        )
    );
}

#[test]
fn a_time_that_is_none_is_not_even_asked_for() {
    let ended = run(without_socket(&["unlock", "--for", "8"]));
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("accepted are seconds, minutes and hours, as in 90s, 30m or 8h, up to 24h")
    );
}
