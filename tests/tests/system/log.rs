//! The log: every kind of line, with its fields, and nothing secret. What docs/admin.md tells a site to look for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::json;
use support::Host;

use crate::scene::{Scene, is_deserted};

/// The fields of a line of ours.
type Fields = BTreeMap<String, String>;

/// Every line of the module and the agents. One that does not parse fails the test.
fn lines(host: &Host) -> Vec<(String, Fields)> {
    let ours = |line: &String| line.contains(" pam_iam[") || line.contains(" iam-session[");
    host.log_lines().into_iter().filter(ours).map(|line| parse(&line)).collect()
}

/// `<PRI>TIME PROGRAM[PID]: key=value key="value in \"quotes\""`.
fn parse(line: &str) -> (String, Fields) {
    let (head, mut rest) = line.split_once("]: ").unwrap();
    // LOG_AUTHPRIV is 80.
    assert!(["<83>", "<84>", "<86>", "<87>"].iter().any(|priority| head.starts_with(priority)), "{line}");
    let program = if head.contains(" pam_iam[") { "pam_iam" } else { "iam-session" };
    let mut fields = Fields::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').unwrap_or_else(|| panic!("no key at {rest:?}: {line}"));
        let (value, after) = value(after);
        assert!(key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        assert!(fields.insert(key.to_owned(), value).is_none(), "{key} stands twice: {line}");
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    (program.to_owned(), fields)
}

fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    panic!("a quote without an end: {text}");
}

/// The one line of this event, or the last one of several; it must have these fields and no others.
fn the(host: &Host, program: &str, event: &str, keys: &str) -> Fields {
    let found =
        || lines(host).into_iter().rev().find(|(by, fields)| by == program && fields["event"] == event);
    host.wait_until(event, || found().is_some());
    let fields = found().unwrap().1;
    let mut expected: Vec<&str> = keys.split(' ').chain(["event", "user"]).collect();
    expected.sort_unstable();
    assert_eq!(fields.keys().collect::<Vec<_>>(), expected, "{event}: {fields:?}");
    assert_eq!(fields["user"], "alice", "{event}");
    fields
}

/// The same, once its last one is of this session or token: there was one before, and lines come after what they tell.
fn the_one(host: &Host, program: &str, event: &str, keys: &str, (key, value): (&str, &str)) -> Fields {
    host.wait_until(event, || the(host, program, event, keys)[key] == value);
    the(host, program, event, keys)
}

#[test]
fn a_session_is_told_from_its_beginning_to_its_end_and_its_lines_join() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    host.wait_until("the end of the enrolment's login", || is_deserted(host));
    let login = host.login("alice");
    let session = login.env("IAM_SESSION_ID").unwrap();
    let of_session = ("session", session.as_str());
    let opened = the_one(host, "pam_iam", "session_opened", "session service rhost state", of_session);
    assert_eq!(opened["service"], "sshd");
    assert_eq!((opened["rhost"].as_str(), opened["state"].as_str()), ("127.0.0.1", "ready"));
    the_one(host, "iam-session", "agent_started", "session version", of_session);
    login.close();
    // The client is gone before its server is.
    for (program, event) in [("pam_iam", "session_closed"), ("iam-session", "agent_ended")] {
        the_one(host, program, event, "session", of_session);
    }
}

#[test]
fn an_enrolment_a_token_and_a_farewell_are_told_with_what_an_audit_asks() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    let login = host.login("alice");
    let enrolled = the(host, "iam-session", "enrolled", "session account issuer subject scope");
    assert_eq!((enrolled["account"].as_str(), enrolled["subject"].as_str()), ("wlcg", "alice"));
    let token =
        login.run("iam-session token -s storage.read:/x --aud https://se.example --json").successful();
    let token: serde_json::Value = serde_json::from_str(&token.stdout).unwrap();
    let keys = "session account issuer scope audience jti expires_at";
    let minted = the_one(host, "iam-session", "minted", keys, ("scope", "storage.read:/x"));
    assert_eq!(minted["issuer"], "https://iam.example/");
    assert_eq!(minted["audience"], "https://se.example");
    assert_eq!(minted["expires_at"], token["expires_at"].to_string());
    let claims = scene.provider.verify(token["access_token"].as_str().unwrap());
    assert_eq!(claims["jti"], minted["jti"].as_str());
    assert_eq!(minted["session"], login.env("IAM_SESSION_ID").unwrap());
    login.run("iam-session forget wlcg").successful();
    assert_eq!(the(host, "iam-session", "forgotten", "session account")["account"], "wlcg");
}

#[test]
fn a_failure_is_told_with_its_class() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.fail_with(json!({"fault": "status", "status": 503}));
    let failed = login.run("iam-session token -s storage.read:/x");
    assert_ne!(failed.status, 0);
    let told = the(&scene.host, "iam-session", "failed", "session account kind class error");
    assert_eq!((told["kind"].as_str(), told["class"].as_str()), ("unreachable", "busy"));
    assert!(told["error"].contains("iam.example"), "{told:?}");
}

#[test]
fn what_went_wrong_at_a_login_is_told_by_root() {
    let host = Host::start();
    host.as_root().run("rm /usr/libexec/iam-session/agent").successful();
    host.ssh("alice", "true").successful();
    let told = the(&host, "pam_iam", "error", "error");
    assert!(told["error"].starts_with("no session: the agent failed (exec)"), "{told:?}");
}

#[test]
fn no_line_holds_a_token_and_an_issuers_words_make_no_field() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    let login = host.login("alice");
    let token = login.run("iam-session token -s storage.read:/x").successful().stdout;
    scene.provider.revoke_user("alice");
    // IAM puts the refresh token itself into its refusal; parse() fails where its quotes would make a field.
    login.run("iam-session token -s storage.read:/y");
    the(host, "iam-session", "failed", "session account kind class error");
    assert!(!lines(host).is_empty());
    let log = host.log_lines().join("\n");
    assert!(!log.contains("eyJ") && !log.contains(token.trim()), "{log}");
}

#[test]
fn user_and_root_are_told_of_an_agent_that_the_log_does_not_take() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    host.wait_until("the end of the enrolment's login", || is_deserted(host));
    // As SELinux keeps a confined user from it, and not the module.
    host.as_root().run("chmod 0600 /dev/log").successful();
    let login = host.login("alice");
    let told = "cannot write to the system log";
    let status = login.run("iam-session status").successful();
    assert!(status.stderr.contains(&format!("{told} (Permission denied")), "{status:?}");
    assert!(login.run("iam-session doctor").stdout.contains(told));
    let sessions = || host.as_root().run("iam-session-admin sessions").successful().stdout;
    assert!(sessions().ends_with(&format!("{told}: alice\n")), "{}", sessions());
    host.as_root().run("chmod 0666 /dev/log").successful();
    assert!(!login.run("iam-session status").stderr.contains(told));
    assert!(!sessions().contains(told));
}

const FOR_SITES: &str = include_str!("../../../docs/admin.md");
const FOR_USERS: &str = include_str!("../../../packaging/man/iam-session.1");

/// Every `event` that the agent, the command line and root's tool can write: the word after the level.
fn events(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            events(&path, found);
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for call in source.split(".event(").skip(1) {
            let Some((_, word)) =
                call.trim_start().strip_prefix("Level::").and_then(|call| call.split_once('"'))
            else {
                panic!("{}: an event without a word: {:.60}", path.display(), call);
            };
            found.insert(word.split('"').next().unwrap().to_owned());
        }
    }
}

#[test]
fn every_event_is_in_the_documents() {
    let mut found = BTreeSet::new();
    events(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../iam-session/src"), &mut found);
    assert!(found.len() > 15 && found.contains("minted"), "{found:?}");
    let (_, manual) = FOR_USERS.split_once("\n.SH LOG\n").unwrap();
    let manual = manual.split("\n.SH ").next().unwrap();
    let words: Vec<&str> = manual.split([' ', '"', '\n', ';', ',']).collect();
    for event in &found {
        let row = |line: &str| line.starts_with("| `iam-session` |") && line.contains(&format!("`{event}`"));
        assert!(FOR_SITES.lines().any(row), "docs/admin.md has no {event}");
        assert!(words.contains(&event.as_str()), "iam-session(1) has no {event}");
    }
}
