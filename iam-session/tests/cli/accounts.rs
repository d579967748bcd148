//! The commands about accounts, to the letter.

use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::agent::{Agent, FIRST, SECOND};
use crate::program::{Ended, failed, run, with_socket, without_socket};
use crate::scratch::Scratch;

/// What a command does with an agent that gives these answers, and what it asked.
fn ask(arguments: &[&str], answers: &[Value]) -> (Ended, Vec<Value>) {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let lines: Vec<String> = answers.iter().map(|answer| format!("{answer}\n")).collect();
    let agent = Agent::answering(&socket, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = run(with_socket(&socket, arguments));
    // Where the command did not come at all, somebody else ends the wait for it.
    let _ = UnixStream::connect(&socket);
    (ended, agent.requests())
}

fn status(accounts: &[(&str, &str)]) -> Value {
    let account = |(name, issuer): &(&str, &str)| {
        json!({"name": name, "issuer": issuer, "scope": "openid",
                                                         "session_scope": "openid"})
    };
    json!({"status": "success", "session": "s", "version": "0.1.0", "pid": 1, "user": "alice",
           "token_file": "/run/none/bt", "default_account": accounts.first().map(|account| account.0),
           "accounts": accounts.iter().map(account).collect::<Vec<_>>()})
}

fn printed(stdout: &str) -> Ended {
    Ended { stdout: stdout.into(), stderr: String::new(), code: Some(0) }
}

#[test]
fn a_list_without_accounts_is_an_error_and_says_what_to_do() {
    let (ended, _) = ask(&["list"], &[status(&[])]);
    assert_eq!(ended, failed(3, "you have no account; run 'iam-session enroll'"));
    let mut unread = status(&[]);
    unread["trouble"] = json!({"error": "the store is hidden", "info": "wait", "kind": "failed"});
    assert_eq!(ask(&["list"], &[unread]).0, failed(1, "the store is hidden; wait"));
}

#[test]
fn the_list_for_programs_is_a_part_of_the_status() {
    let (ended, _) = ask(&["list", "--json"], &[status(&[("wlcg", "https://i.example/")])]);
    assert_eq!(
        ended,
        printed(
            "{\"default_account\":\"wlcg\",\"accounts\":[{\"name\":\"wlcg\",\"issuer\":\"https://i.example/\",\
             \"scope\":\"openid\",\"session_scope\":\"openid\"}],\"locked\":[]}\n"
        )
    );
}

#[test]
fn the_account_in_use_is_told_with_its_file() {
    let used = json!({"status": "success", "account": "cms", "token_file": "/run/t"});
    let (ended, asked) = ask(&["use", "cms"], &[used]);
    assert_eq!(ended, printed("account 'cms' is in use: /run/t\n"));
    assert_eq!(asked, [json!({"request": "use", "account": "cms"})]);
}

#[test]
fn a_file_without_a_token_is_a_warning_and_the_exit_code_of_the_trouble() {
    let trouble =
        json!({"error": "cannot reach i.example", "info": "try again later", "kind": "unreachable"});
    let used = json!({"status": "success", "account": "cms", "token_file": "/run/t", "trouble": trouble});
    let (ended, _) = ask(&["use", "cms"], std::slice::from_ref(&used));
    assert_eq!(ended.code, Some(7));
    assert_eq!(
        ended.stderr,
        "iam-session: warning: there is no token in the file yet: cannot reach i.example\n"
    );
    let (ended, asked) = ask(&["env", "--account", "cms", "--shell", "sh"], &[used]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(7), "BEARER_TOKEN_FILE='/run/t'; export BEARER_TOKEN_FILE;\n")
    );
    assert_eq!(asked, [json!({"request": "keep", "account": "cms"})]);
}

#[test]
fn nothing_but_variables_is_for_the_shell_to_eval() {
    let evil = json!({"status": "success", "account": "cms", "token_file": "/run/t\n$(reboot)"});
    let (ended, _) = ask(&["env", "--account", "cms"], &[evil]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let quoted = json!({"status": "success", "account": "cms", "token_file": "/run/it's $(x)"});
    let (ended, _) = ask(&["env", "--account", "cms", "--shell", "sh"], &[quoted]);
    assert_eq!(ended.stdout, "BEARER_TOKEN_FILE='/run/it'\\''s $(x)'; export BEARER_TOKEN_FILE;\n");
    assert_eq!(run(without_socket(&["env"])).stdout, "");
}

#[test]
fn an_issuer_is_looked_up_first() {
    let used = json!({"status": "success", "account": "cms", "token_file": "/run/t"});
    let accounts = [("wlcg", "https://w.example/"), ("cms", "https://c.example/")];
    let (ended, asked) = ask(&["use", "https://c.example"], &[status(&accounts), used]);
    assert_eq!((ended.code, &asked[1]), (Some(0), &json!({"request": "use", "account": "cms"})));
    let twice = [("a", "https://c.example/"), ("b", "https://c.example")];
    assert_eq!(
        ask(&["use", "https://c.example"], &[status(&twice)]).0,
        failed(2, "several of your accounts are of https://c.example: a, b; name one of them")
    );
    assert_eq!(
        ask(&["use", "https://d.example"], &[status(&twice)]).0,
        failed(3, "no account of yours is one of https://d.example; 'iam-session list' shows the accounts")
    );
}

#[test]
fn a_new_name_is_told_with_what_still_has_the_old_one() {
    let renamed = json!({"status": "success", "account": "b", "kept_file": "/run/t.b", "note": "c.toml:1 still says a"});
    let (ended, asked) = ask(&["rename", "a", "b"], &[renamed]);
    assert_eq!(asked, [json!({"request": "rename", "account": "a", "to": "b"})]);
    assert_eq!(
        ended,
        Ended {
            stdout: "account 'a' is now 'b'\n".into(),
            stderr: "iam-session: warning: its own token file is /run/t.b now: run 'iam-session env --account b' where it is used\n\
                     iam-session: warning: c.toml:1 still says a\n"
                .into(),
            code: Some(0),
        }
    );
}

#[test]
fn names_that_are_none_are_not_even_asked_for() {
    for arguments in [
        &["use", "../x"][..],
        &["env", "--account", "../x"],
        &["rename", "a", "../x"],
        &["forget", "--local", "../x"],
    ] {
        let (ended, asked) = ask(arguments, &[status(&[])]);
        assert_eq!((ended.code, asked.len()), (Some(2), 0), "{ended:?}");
        assert!(ended.stderr.starts_with("iam-session: '../x' is no account name: "), "{ended:?}");
    }
}

#[test]
fn here_alone_is_another_request_and_what_stays_at_the_issuer_is_no_failure() {
    let steps = json!([{"step": "revoke", "error": "it was not asked"}, {"step": "remove"}]);
    let (ended, asked) =
        ask(&["forget", "--local", "cms"], &[json!({"status": "success", "account": "cms", "steps": steps})]);
    assert_eq!(asked, [json!({"request": "end_account", "account": "cms", "mode": "remove"})]);
    assert_eq!(
        ended,
        Ended {
            stdout: "removed account 'cms'\n".into(),
            stderr: "iam-session: warning: the refresh token stays valid at the issuer: it was not asked\n"
                .into(),
            code: Some(0),
        }
    );
}

#[test]
fn revoke_ends_each_account_and_then_each_agent() {
    let directory = Scratch::new();
    let line = |answer: Value| format!("{answer}\n");
    let done = line(
        json!({"status": "success", "account": "wlcg", "steps": [{"step": "revoke"}, {"step": "remove"}]}),
    );
    let failure = line(json!({"status": "failure", "error": "the home hangs", "kind": "failed"}));
    let status = line(status(&[("wlcg", "https://i.example/"), ("cms", "https://i.example/")]));
    let heeded = line(json!({"status": "success"}));
    let own = Agent::meeting(&directory.join(FIRST), &[&[&status, &done, &failure], &[&heeded]]);
    let other = Agent::answering(&directory.join(SECOND), &[&heeded]);
    let ended = run(with_socket(&directory.join(FIRST), &["revoke", "--yes"]));
    assert_eq!(other.requests(), [json!({"request": "stop", "mode": "any"})]);
    assert_eq!(
        own.requests()[1..],
        [
            json!({"request": "end_account", "account": "wlcg", "mode": "revoke"}),
            json!({"request": "end_account", "account": "cms", "mode": "revoke"}),
            json!({"request": "stop", "mode": "any"}),
        ]
    );
    assert_eq!(
        ended,
        Ended {
            stdout: "account 'wlcg': revoked the refresh token\naccount 'wlcg': removed account 'wlcg'\nended 2 agents\n".into(),
            stderr: "iam-session: warning: account 'cms' was not revoked: the home hangs\n".into(),
            code: Some(1),
        }
    );
}

#[test]
fn without_a_terminal_revoke_wants_to_be_told() {
    let (ended, asked) = ask(&["revoke"], &[status(&[("wlcg", "https://i.example/")])]);
    assert_eq!(ended, failed(2, "this has to be confirmed, and there is no terminal to ask on; say --yes"));
    assert_eq!(asked.len(), 1);
}

#[test]
fn an_agent_of_an_earlier_version_ends_no_account_and_is_said_to_be_one() {
    // As such an agent answers: it knows neither the request, nor what a mode of `stop` is.
    let unknown = json!({"status": "failure", "error": "this version of the agent has no such request (column 24)", "kind": "usage"});
    for arguments in [&["forget", "wlcg"][..], &["forget", "--local", "wlcg"]] {
        let (ended, _) = ask(arguments, std::slice::from_ref(&unknown));
        assert_eq!(ended, failed(1, "this session's agent is of an older version; log in again"));
    }
    let directory = Scratch::new();
    let line = |answer: Value| format!("{answer}\n");
    let refused = json!({"status": "failure", "error": "this agent was started by a login, and ends with it", "info": "log out to end it", "kind": "failed"});
    let status = line(status(&[("wlcg", "https://i.example/")]));
    let _agent = Agent::meeting(&directory.join(FIRST), &[&[&status, &line(unknown)], &[&line(refused)]]);
    let ended = run(with_socket(&directory.join(FIRST), &["revoke", "--yes"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "ended 0 agents\n"));
    assert_eq!(
        ended.stderr,
        "iam-session: warning: account 'wlcg' was not revoked: this session's agent is of an older version\n\
         iam-session: warning: an agent was not ended: this agent was started by a login, and ends with it\n"
    );
}
