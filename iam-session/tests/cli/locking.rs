use serde_json::json;

use crate::agent::{Agent, FIRST, SECOND};
use crate::program::{Ended, failed, run, with_socket, without_socket};
use crate::scratch::Scratch;

const STATUS: &str = r#"{"status":"success","session":"0a","version":"1","pid":1,"user":"alice","token_file":"/t","accounts":[]"#;
const UNLOCKED: &str = "{\"status\":\"success\",\"accounts\":[\"wlcg\"],\"token_file\":\"/t\"}\n";
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
fn one_agent_is_told_of_a_lock() {
    let directory = Scratch::new();
    let own = directory.join(FIRST);
    let agent = Agent::answering(&own, &[&status(r#""sealing":"node""#), DONE]);
    let other = deaf(&directory);
    assert_eq!(with_passphrase(&own, &["lock"]), printed("locked; 'iam-session unlock' opens it again\n"));
    let lock = json!({"request": "lock", "passphrase": "correct horse"});
    assert_eq!(agent.requests(), [json!({"request": "status"}), lock]);
    assert!(other.accept().is_err(), "nobody came");
}

/// Another agent, that nobody is to ask.
fn deaf(directory: &Scratch) -> std::os::unix::net::UnixListener {
    let listener = std::os::unix::net::UnixListener::bind(directory.join(SECOND)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// It would put its keys into the lock.
#[test]
fn an_agent_of_an_older_version_is_neither_locked_nor_unlocked() {
    let refused = failed(1, "this session's agent is of an older version; log in again");
    for (older, command) in [
        (r#""sealing":"node","wrong_passphrases":0"#, "lock"),
        (r#""host_locked":true,"wrong_passphrases":1"#, "unlock"),
        (r#""lock_kept":true,"wrong_passphrases":0"#, "lock"),
    ] {
        let directory = Scratch::new();
        let own = directory.join(FIRST);
        let agent = Agent::answering(&own, &[&status(older)]);
        assert_eq!(with_passphrase(&own, &[command]), refused);
        assert_eq!(agent.requests(), [json!({"request": "status"})]);
    }
}

#[test]
fn a_lock_that_stands_needs_no_passphrase() {
    for (stands, text) in [
        ("\"host_locked\":true", "this host is locked already\n"),
        ("\"lock_kept\":true", "locked; 'iam-session unlock' opens it again\n"),
    ] {
        let directory = Scratch::new();
        let own = directory.join(FIRST);
        let agent = Agent::answering(&own, &[&status(stands), DONE]);
        assert_eq!(run(with_socket(&own, &["lock"])), printed(text));
        assert_eq!(agent.requests(), [json!({"request": "status"}), json!({"request": "lock"})]);
    }
}

#[test]
fn one_agent_is_told_to_open_a_lock() {
    let directory = Scratch::new();
    let own = directory.join(FIRST);
    let agent = Agent::answering(&own, &[&status(r#""host_locked":true"#), UNLOCKED]);
    let other = deaf(&directory);
    assert_eq!(with_passphrase(&own, &["unlock"]), printed("unlocked 'wlcg'\n"));
    let unlock = json!({"request": "unlock", "passphrase": "correct horse"});
    assert_eq!(agent.requests(), [json!({"request": "status"}), unlock]);
    assert!(other.accept().is_err(), "nobody came");
}

#[test]
fn what_a_passphrase_alone_opens_is_opened_at_every_agent_that_needs_it() {
    let directory = Scratch::new();
    let (own, other) = (directory.join(FIRST), directory.join(SECOND));
    let locked = status(r#""locked":["wlcg"]"#);
    let first = Agent::answering(&own, &[&locked, UNLOCKED]);
    let second = Agent::answering(&other, &[&locked, UNLOCKED]);
    assert_eq!(with_passphrase(&own, &["unlock"]), printed("unlocked 'wlcg'\n"));
    let unlock = json!({"request": "unlock", "passphrase": "correct horse"});
    for agent in [first, second] {
        assert_eq!(agent.requests(), [json!({"request": "status"}), unlock.clone()]);
    }
}

#[test]
fn an_agent_that_is_not_told_is_named() {
    let directory = Scratch::new();
    let (own, other) = (directory.join(FIRST), directory.join(SECOND));
    let locked = status(r#""locked":["wlcg"]"#);
    let _first = Agent::answering(&own, &[&locked, UNLOCKED]);
    let refusal = "{\"status\":\"failure\",\"error\":\"no\",\"kind\":\"failed\"}\n";
    let _second = Agent::answering(&other, &[&locked, refusal]);
    let ended = with_passphrase(&own, &["unlock"]);
    assert_eq!(ended.code, Some(0));
    let line =
        format!("iam-session: warning: another of your agents, {}: no; it stays locked\n", other.display());
    assert_eq!(ended.stderr, line);
}

#[test]
fn the_time_of_an_unlock_is_told() {
    let directory = Scratch::new();
    let own = directory.join(FIRST);
    let agent = Agent::answering(&own, &[&status(r#""host_locked":true"#), UNLOCKED]);
    let ended = with_passphrase(&own, &["unlock", "--for", "8h"]);
    assert_eq!(ended, printed("unlocked 'wlcg' for 8 h\n"));
    let requests = agent.requests();
    assert_eq!((requests.len(), &requests[1]["for"]), (2, &json!(28_800)));
}

#[test]
fn a_wrong_passphrase_is_given_to_one_agent_only() {
    let directory = Scratch::new();
    let own = directory.join(FIRST);
    let wrong = "{\"status\":\"failure\",\"error\":\"the passphrase is wrong\",\"kind\":\"locked\"}\n";
    let _first = Agent::answering(&own, &[&status(r#""locked":["wlcg"]"#), wrong]);
    let other = deaf(&directory);
    assert_eq!(with_passphrase(&own, &["unlock"]), failed(6, "the passphrase is wrong"));
    assert!(other.accept().is_err(), "nobody came");
}

#[test]
fn a_seal_is_shown_and_renewed() {
    let directory = Scratch::new();
    let own = directory.join(FIRST);
    let slots = r#"[{"kind":"node","key":"aada221d6a508794","opens_now":true,"opens_at_login":true}]"#;
    let answer = format!(
        "{{\"status\":\"success\",\"accounts\":[{{\"name\":\"wlcg\",\"changed\":true,\"slots\":{slots}}}]}}\n"
    );
    let agent = Agent::answering(&own, &[&answer]);
    let shown = run(with_socket(&own, &["seal"]));
    assert_eq!(shown, printed("wlcg\n  node key aada221d6a508794: opens at each login\n"));
    assert_eq!(agent.requests(), [json!({"request": "seal", "action": "list"})]);
    std::fs::remove_file(&own).unwrap();
    let agent = Agent::answering(&own, &[&answer]);
    let renewed = run(with_socket(&own, &["seal", "renew", "--account", "wlcg"]));
    assert_eq!(renewed, printed("'wlcg' is sealed under the newest node key of this host\n"));
    assert_eq!(agent.requests(), [json!({"request": "seal", "action": "renew", "account": "wlcg"})]);
}

#[test]
fn a_record_that_is_not_renewed_is_a_failure_with_what_to_do() {
    let directory = Scratch::new();
    let own = directory.join(FIRST);
    let answer = r#"{"status":"success","accounts":[{"name":"wlcg","slots":[],"trouble":{"error":"a passphrase opens it","info":"enrol again","kind":"failed"}}]}"#;
    let _agent = Agent::answering(&own, &[&format!("{answer}\n")]);
    let ended = run(with_socket(&own, &["seal", "renew"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert_eq!(ended.stderr, "iam-session: warning: account 'wlcg': a passphrase opens it; enrol again\n");
}

#[test]
fn without_a_terminal_a_lock_says_how_to_give_a_passphrase() {
    let directory = Scratch::new();
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
