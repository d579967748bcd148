use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::agent::{Agent, FIRST};
use crate::program::{Ended, failed, run, with_socket, without_socket};
use crate::scratch::Scratch;

const TOKEN: &str = r#"{"status":"success","access_token":"eyJ0.eyJ1.c2ln","issuer":"https://i.example/","account":"wlcg","scope":"openid storage.read:/","audience":"","expires_at":4102444800}"#;

/// Runs `token` with `arguments` against an agent that answers `answer`.
fn token(arguments: &[&str], answer: &str) -> (Ended, Vec<Value>) {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let agent = Agent::answering(&socket, &[answer]);
    let arguments: Vec<&str> = std::iter::once(&"token").chain(arguments).copied().collect();
    (run(with_socket(&socket, &arguments)), agent.requests())
}

fn line(answer: &str) -> String {
    format!("{answer}\n")
}

#[test]
fn stdout_is_the_token_and_a_newline() {
    let (ended, requests) = token(&[], &line(TOKEN));
    assert_eq!(ended, Ended { stdout: "eyJ0.eyJ1.c2ln\n".into(), stderr: String::new(), code: Some(0) });
    assert_eq!(requests, [json!({"request": "access_token", "min_valid_period": 0})]);
}

#[test]
fn every_option_reaches_the_agent() {
    let options =
        ["-s", "b a", "--scope", "c", "--aud", "https://se.example", "--account", "cms", "--min-valid", "90"];
    let (_, requests) = token(&options, &line(TOKEN));
    assert_eq!(
        requests,
        [json!({"request": "access_token", "account": "cms", "scope": "a b c",
                "audience": "https://se.example", "min_valid_period": 90})]
    );
    let (_, requests) = token(&["--force"], &line(TOKEN));
    assert_eq!(requests, [json!({"request": "access_token", "min_valid_period": -1})]);
}

#[test]
fn a_token_that_lives_too_short_is_refused() {
    let ends = r#"{"status":"success","access_token":"eyJ0.eyJ1.c2ln","issuer":"https://i.example/","account":"wlcg","scope":"openid","audience":"","expires_at":1000}"#;
    let why = "https://i.example/ gives no token that lives for 60 s: this one has 0 s left; ask for less with --min-valid";
    assert_eq!(token(&["--min-valid", "60"], &line(ends)).0, failed(5, why));
    assert_eq!(token(&[], &line(ends)).0.code, Some(0), "nobody asked for any length");
}

/// `-s "$SCOPE"` in a script whose variable is not set would otherwise print the session's wide token.
#[test]
fn an_empty_scope_or_audience_is_refused() {
    for (command, option) in [("token", "-s"), ("token", "--aud"), ("run", "-s"), ("run", "--aud")] {
        for value in ["", " "] {
            let directory = Scratch::new();
            let socket = directory.join(FIRST);
            let mut arguments = vec![command, option, value];
            if command == "run" {
                arguments.push("true");
            }
            let ended = run(with_socket(&socket, &arguments));
            let what = format!(
                "{option} is empty; leave it out for the session's token; in a script, see whether its variable is set"
            );
            assert_eq!(ended, failed(if command == "run" { 125 } else { 2 }, &what), "{arguments:?}");
        }
    }
}

#[test]
fn json_is_one_object_on_one_line() {
    let (ended, _) = token(&["--json"], &line(TOKEN));
    assert_eq!(
        ended.stdout,
        "{\"access_token\":\"eyJ0.eyJ1.c2ln\",\"issuer\":\"https://i.example/\",\"account\":\"wlcg\",\
         \"scope\":\"openid storage.read:/\",\"audience\":\"\",\"expires_at\":4102444800}\n"
    );
    assert_eq!((ended.stderr.as_str(), ended.code), ("", Some(0)));
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    for (kind, code) in
        [("failed", 1), ("usage", 2), ("not_enrolled", 3), ("refused", 5), ("locked", 6), ("unreachable", 7)]
    {
        let failure =
            format!(r#"{{"status":"failure","error":"it failed","info":"do that","kind":"{kind}"}}"#);
        assert_eq!(token(&[], &line(&failure)).0, failed(code, "it failed; do that"), "{kind}");
    }
}

#[test]
fn what_an_issuer_says_cannot_drive_the_terminal() {
    let failure = r#"{"status":"failure","error":"a\u001b[2J\nb","kind":"failed"}"#;
    assert_eq!(token(&[], &line(failure)).0, failed(1, "a\\x1b[2J\\x0ab"));
}

#[test]
fn an_agent_without_room_is_asked_again() {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let agent = Agent::crowded(&socket, 3, &[&line(TOKEN)]);
    assert_eq!(run(with_socket(&socket, &["token"])).stdout, "eyJ0.eyJ1.c2ln\n");
    assert_eq!(agent.requests().len(), 1);
}

#[test]
fn an_agent_that_always_closes_is_named() {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let agent = Agent::crowded(&socket, 5, &[""]);
    let ended = run(with_socket(&socket, &["token"]));
    agent.requests();
    let message = format!(
        "the agent at {} closed the connection without an answer; try once more, then log in again",
        socket.display()
    );
    assert_eq!(ended, failed(4, &message));
}

#[test]
fn garbage_and_endless_lines_are_no_answer() {
    for answer in
        ["hello\n".to_owned(), "[]\n".to_owned(), line(r#"{"status":"success"}"#), "x".repeat(70_000)]
    {
        let directory = Scratch::new();
        let socket = directory.join(FIRST);
        let agent = Agent::answering(&socket, &[&answer]);
        let ended = run(with_socket(&socket, &["token"]));
        agent.requests();
        let message = format!(
            "the agent at {} answered something else than the protocol has; it may be of another version: log in again",
            socket.display()
        );
        assert_eq!(ended, failed(4, &message));
    }
}

#[test]
fn a_reader_that_leaves_hears_nothing() {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let agent = Agent::answering(&socket, &[&line(TOKEN)]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = with_socket(&socket, &["token"]);
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(1), ""));
    agent.requests();
}

#[test]
fn a_full_disk_is_an_error() {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let agent = Agent::answering(&socket, &[&line(TOKEN)]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = with_socket(&socket, &["token"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    agent.requests();
    let message = "cannot write to standard output: No space left on device (os error 28)";
    assert_eq!(Ended::from(output), failed(1, message));
}

#[test]
fn a_wrong_option_is_one_line_before_anything_is_asked() {
    assert_eq!(
        run(without_socket(&["token", "wlcg"])),
        failed(2, "unexpected argument 'wlcg' found; see 'iam-session token --help'")
    );
    assert_eq!(
        run(without_socket(&["tokn"])),
        failed(
            2,
            "unrecognized subcommand 'tokn'; a similar subcommand exists: 'token'; see 'iam-session --help'"
        )
    );
}

#[test]
fn every_command_explains_itself() {
    for arguments in [
        &["--help"][..],
        &["help", "token"],
        &["token", "--help"],
        &["run", "--help"],
        &["decode", "--help"],
        &["status", "-h"],
        &["login", "--help"],
        &["forget", "--help"],
    ] {
        let ended = run(without_socket(arguments));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(ended.stdout.contains("Usage: iam-session"), "{arguments:?}: {}", ended.stdout);
    }
    let version = run(without_socket(&["--version"]));
    assert_eq!(version.stdout, concat!("iam-session ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn an_agent_that_is_busy_is_asked_again() {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let busy = line(
        r#"{"status":"failure","error":"too many requests are waiting for this agent","kind":"unreachable"}"#,
    );
    let agent = Agent::meeting(&socket, &[&[busy.as_str()], &[busy.as_str()], &[line(TOKEN).as_str()]]);
    let ended = run(with_socket(&socket, &["token"]));
    assert_eq!((ended.stdout.as_str(), ended.code), ("eyJ0.eyJ1.c2ln\n", Some(0)));
    assert_eq!(agent.requests().len(), 3);
}
