//! Enrolment, with a script in the helper's place. It and the configuration are where they are installed, but in
//! a mount namespace of the test's own (unshare(1)), so that the host is never changed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::agent::{Agent, Directory, FIRST};
use crate::program::{Ended, PROGRAM, run, shown};

/// Lays `$1/etc` and `$1/helper` over the installed places, then becomes the program.
const STAGE: &str = r#"set -e
mount -t tmpfs tmpfs /usr/libexec; mkdir /usr/libexec/iam-session; cp "$1/helper" /usr/libexec/iam-session/helper
mount -t tmpfs tmpfs /etc; cp -r "$1/etc" /etc/iam-session; [ ! -e "$1/group" ] || cp "$1/group" /etc/group
shift; exec "$@""#;

/// Answers as an issuer would, and writes down what it was asked. `@poll@` stands for the answers to polls.
const HELPER: &str = r#"#!/bin/sh
while read -r line; do
    printf '%s\n' "$line" >>'@log@'
    case $line in
    *'"request":"discover"'*) echo '{"ok":{"answer":"discovered","issuer":"https://i.example/","endpoints":{"token":"https://i.example/token","device_authorization":"https://i.example/devicecode","registration":"https://i.example/register","revocation":"https://i.example/revoke"},"scopes_supported":"openid offline_access wlcg storage.read:/","auth_methods":["client_secret_basic"]}}' ;;
    *'"request":"register"'*) echo '{"ok":{"answer":"registered","client":{"client_id":"c","client_secret":"canary-secret","registration_client_uri":"https://i.example/register/c","registration_access_token":"canary-registration"},"scope":"openid offline_access wlcg storage.read:/"}}' ;;
    *'"request":"authorize_device"'*) echo '{"ok":{"answer":"device_authorization","device_code":"canary-device","user_code":"ABCD","verification_uri":"https://i.example/device","verification_uri_complete":"https://i.example/device?user_code=ABCD","expires_in":600,"interval":1}}' ;;
    *'"request":"poll_device"'*) echo '@poll@' ;;
    *'"request":"deregister"'* | *'"request":"revoke"'*) echo '{"ok":{"answer":"done"}}' ;;
    esac
done
"#;

pub(crate) const GRANTED: &str = r#"{"ok":{"answer":"token","access_token":"canary-access","expires_in":3600,"scope":"openid offline_access storage.read:/ wlcg","refresh_token":"canary-refresh","subject":"5a1c"}}"#;
const PENDING: &str = r#"{"error":{"class":"authorization_pending","message":"pending","status":400}}"#;
pub(crate) const DENIED: &str = r#"{"error":{"class":"access_denied","message":"denied","status":400}}"#;
const PROVIDER: &str = "issuer = \"https://i.example/\"\nname = \"Test\"\nsession_scope = \"openid\"\n";

pub(crate) const STATUS: &str = "{\"status\":\"success\",\"session\":\"s\",\"version\":\"0.1.0\",\"pid\":1,\"user\":\"alice\",\"token_file\":\"/run/t\",\"accounts\":[]}\n";
pub(crate) const SEALED: &str =
    "{\"status\":\"success\",\"account\":\"wlcg\",\"session_scope\":\"openid\",\"token_file\":\"/run/t\"}\n";
pub(crate) const NOT_SEALED: &str = "{\"status\":\"failure\",\"error\":\"the store cannot be written\",\"info\":\"make room\",\"kind\":\"failed\"}\n";

/// A host with a provider `wlcg`, a helper that answers polls with `poll`, and an agent.
pub(crate) struct Stage {
    pub(crate) directory: Directory,
}

impl Stage {
    pub(crate) fn new(poll: &str) -> Self {
        Self::with_helper(&HELPER.replace("@poll@", poll))
    }

    /// One whose issuer answers otherwise: each text of the helper's that is replaced by another.
    pub(crate) fn where_it_answers(poll: &str, instead: &[(&str, &str)]) -> Self {
        let helper = instead.iter().fold(HELPER.replace("@poll@", poll), |helper, (usual, other)| {
            assert!(helper.contains(usual), "{usual}");
            helper.replace(usual, other)
        });
        Self::with_helper(&helper)
    }

    fn with_helper(helper: &str) -> Self {
        let directory = Directory::new();
        let helper = helper.replace("@log@", shown(&directory.join("log")));
        fs::create_dir_all(directory.join("etc/issuers.d")).unwrap();
        fs::write(directory.join("etc/issuers.d/wlcg.toml"), PROVIDER).unwrap();
        fs::write(directory.join("etc/config.toml"), "site = \"example\"\n").unwrap();
        fs::write(directory.join("helper"), helper).unwrap();
        assert!(
            Command::new("chmod").args(["755", shown(&directory.join("helper"))]).status().unwrap().success()
        );
        Self { directory }
    }

    pub(crate) fn agent(&self, answers: &[&str]) -> Agent {
        Agent::answering(&self.directory.join(FIRST), answers)
    }

    pub(crate) fn enroll(&self, arguments: &[&str]) -> Command {
        self.command(&[&["enroll"], arguments].concat())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        // Root needs no user namespace, and a container's root may have none.
        let namespaces: &[&str] =
            if nix::unistd::geteuid().is_root() { &["--mount"] } else { &["--mount", "--map-root-user"] };
        let mut command = Command::new("unshare");
        command.args(namespaces).args(["sh", "-c", STAGE, "sh", shown(&self.directory.join(""))]);
        command.arg(PROGRAM).args(arguments).stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("IAM_SESSION_SOCK", self.directory.join(FIRST));
        command
    }

    /// Lines for the file of the provider `wlcg`.
    pub(crate) fn add_to_provider(&self, lines: &str) {
        fs::write(self.directory.join("etc/issuers.d/wlcg.toml"), format!("{PROVIDER}{lines}\n")).unwrap();
    }

    /// A file beside it all; gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        shown(&path).to_owned()
    }

    /// The requests to the helper, in order.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the issuer was asked, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.requests().iter().filter_map(|request| request["request"].as_str().map(str::to_owned)).collect()
    }
}

pub(crate) fn assert_no_canary(ended: &Ended) {
    assert!(!ended.stdout.contains("canary") && !ended.stderr.contains("canary"), "{ended:?}");
}

#[test]
fn a_good_enrolment_is_two_events_and_goes_to_the_agent() {
    let stage = Stage::new(GRANTED);
    let agent = stage.agent(&[STATUS, SEALED]);
    let mut command = stage.enroll(&["wlcg", "--json"]);
    command.env("X509_CERT_DIR", "/etc/grid-security/certificates");
    let ended = run(command);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        ended.stdout,
        "{\"event\":\"device_code\",\"verification_uri\":\"https://i.example/device\",\
         \"verification_uri_complete\":\"https://i.example/device?user_code=ABCD\",\"user_code\":\"ABCD\",\"expires_in\":600}\n\
         {\"event\":\"enrolled\",\"account\":\"wlcg\",\"issuer\":\"https://i.example/\",\
         \"scope\":\"offline_access openid storage.read:/ wlcg\"}\n"
    );
    assert_eq!(stage.asked(), ["discover", "register", "authorize_device", "poll_device"]);
    assert_eq!(
        agent.requests()[1],
        json!({
            "request": "enroll", "account": "wlcg", "issuer": "https://i.example/",
            "endpoints": {"token": "https://i.example/token", "device_authorization": "https://i.example/devicecode",
                          "registration": "https://i.example/register", "revocation": "https://i.example/revoke"},
            "client": {"client_id": "c", "client_secret": "canary-secret", "auth": "client_secret_basic",
                       "registration_client_uri": "https://i.example/register/c",
                       "registration_access_token": "canary-registration"},
            "refresh_token": "canary-refresh", "scope": "offline_access openid storage.read:/ wlcg", "states_scope": true,
            "subject": "5a1c", "audience_mode": "audience",
            "transport": {"ca_dir": "/etc/grid-security/certificates"},
            "registered_scope": "offline_access openid storage.read:/ wlcg", "client_name": "iam-session:example:alice",
        })
    );
}

#[test]
fn a_person_is_told_what_to_do_and_what_to_look_for() {
    let stage = Stage::new(GRANTED);
    let agent = stage.agent(&[STATUS, SEALED]);
    let ended = run(stage.enroll(&[]));
    agent.requests();
    assert_no_canary(&ended);
    for expected in [
        "Enrolling alice on ",
        " with https://i.example/ (Test) as account 'wlcg'.\n",
        "open  https://i.example/device?user_code=ABCD\nor                   https://i.example/device\n",
        "The code is          ABCD\n",
        "The page must show the client 'iam-session:example:alice'.",
        "Nobody from the site ever sends you a code",
    ] {
        assert!(ended.stderr.contains(expected), "{expected}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains('█') && !ended.stderr.contains('\x1b'));
    assert_eq!(
        ended.stdout,
        "Enrolled alice as account 'wlcg' with https://i.example/.\n\
         granted      offline_access openid storage.read:/ wlcg\nin the file  openid\ntoken file   /run/t\n"
    );
}

#[test]
fn a_scope_that_was_named_and_not_granted_is_told_and_exit_5() {
    let stage = Stage::new(GRANTED);
    let agent = stage.agent(&[STATUS, SEALED]);
    let ended = run(stage.enroll(&["wlcg", "-s", "compute.create"]));
    assert_eq!(agent.requests().len(), 2);
    assert_eq!(ended.code, Some(5));
    assert!(ended.stderr.ends_with(
        "iam-session: warning: scope 'compute.create' was not granted: the issuer does not give it to a new \
         client (a restricted scope: ask its administrators)\n"
    ));
}

#[test]
fn a_program_is_told_what_is_missing_in_the_same_object() {
    let stage = Stage::new(GRANTED);
    let agent = stage.agent(&[STATUS, SEALED]);
    let ended = run(stage.enroll(&["wlcg", "--json", "-s", "compute.create"]));
    assert_eq!((ended.code, agent.requests().len()), (Some(5), 2));
    let enrolled: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(enrolled["not_granted"][0]["scope"], "compute.create");
    assert!(
        enrolled["not_granted"][0]["reason"].as_str().unwrap().contains("restricted scope"),
        "{enrolled}"
    );
}

#[test]
fn a_refusal_leaves_no_client_behind() {
    let stage = Stage::new(DENIED);
    let agent = stage.agent(&[STATUS]);
    let ended = run(stage.enroll(&["wlcg", "--json"]));
    agent.requests();
    assert_eq!(ended.code, Some(5));
    assert!(
        ended
            .stdout
            .ends_with("{\"event\":\"error\",\"error\":\"you refused on the consent page\",\"hint\":null}\n")
    );
    assert_eq!(ended.stderr, "iam-session: you refused on the consent page\n");
    assert_eq!(stage.asked().last().map(String::as_str), Some("deregister"));
}

#[test]
fn an_agent_that_cannot_seal_leaves_no_client_behind() {
    let stage = Stage::new(GRANTED);
    let agent = stage.agent(&[STATUS, NOT_SEALED]);
    let ended = run(stage.enroll(&["https://i.example"]));
    agent.requests();
    assert_no_canary(&ended);
    assert!(
        ended.stderr.ends_with("iam-session: the store cannot be written; make room\n"),
        "{}",
        ended.stderr
    );
    assert_eq!((ended.code, stage.asked().last().map(String::as_str)), (Some(1), Some("deregister")));
}

/// As Ctrl-C does. SIGINT itself would be ignored where the tests run as a background job.
fn end(child: &Child) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
}

#[test]
fn ctrl_c_while_waiting_leaves_no_client_behind() {
    let stage = Stage::new(PENDING);
    let agent = stage.agent(&[STATUS]);
    let mut child =
        stage.enroll(&["wlcg", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut event = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut event).unwrap();
    assert!(event.contains("device_code"), "{event}");
    end(&child);
    let mut rest = String::new();
    stdout.read_line(&mut rest).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    agent.requests();
    assert_eq!(rest, "{\"event\":\"error\",\"error\":\"cancelled; nothing was stored\",\"hint\":null}\n");
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(1), "iam-session: cancelled; nothing was stored\n")
    );
    assert_eq!(stage.asked().last().map(String::as_str), Some("deregister"));
}

#[test]
fn without_an_agent_the_issuer_is_not_even_asked() {
    let stage = Stage::new(GRANTED);
    let ended = run(stage.enroll(&["wlcg"]));
    assert_eq!((ended.code, stage.asked().len()), (Some(4), 0));
}

#[test]
fn a_name_of_another_issuer_is_refused_before_the_issuer_is_asked() {
    let stage = Stage::new(GRANTED);
    let account =
        r#""accounts":[{"name":"wlcg","issuer":"https://other.example/","scope":"","session_scope":""}]"#;
    let agent = stage.agent(&[&STATUS.replace("\"accounts\":[]", account)]);
    let ended = run(stage.enroll(&["wlcg"]));
    agent.requests();
    assert_eq!((ended.code, stage.asked().len()), (Some(2), 0));
    assert_eq!(
        ended.stderr,
        "iam-session: account 'wlcg' is already one of https://other.example/; choose another name with --account NAME\n"
    );
}

#[test]
fn off_a_terminal_a_choice_is_an_error_with_the_list() {
    let stage = Stage::new(GRANTED);
    fs::write(stage.directory.join("etc/issuers.d/egi.toml"), "issuer = \"https://egi.example/\"\n").unwrap();
    let agent = stage.agent(&[STATUS]);
    let ended = run(stage.enroll(&[]));
    agent.requests();
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "iam-session: which issuer?; name one of: egi (https://egi.example/), wlcg (https://i.example/)\n"
    );
}

#[test]
fn a_mistake_in_the_sites_files_is_one_line() {
    let stage = Stage::new(GRANTED);
    fs::write(stage.directory.join("etc/issuers.d/wlcg.toml"), "issuer = \"i.example\"\n").unwrap();
    let ended = run(stage.enroll(&["wlcg"]));
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        "iam-session: /etc/iam-session/issuers.d/wlcg.toml:1: issuer = 'i.example' is wrong; \
         accepted: an https:// URL without user, query or fragment\n"
    );
}

const KNOWN: &str = r#""accounts":[{"name":"wlcg","issuer":"https://i.example/","scope":"openid offline_access","session_scope":"openid"}]"#;
const CODE: &str = "{\"status\":\"success\",\"outcome\":\"code\",\"device_code\":\"canary-device\",\"user_code\":\"ABCD\",\
    \"code_verifier\":\"canary-proof\",\"verification_uri\":\"https://i.example/device\",\"expires_in\":600,\"interval\":1,\
    \"scope\":\"openid offline_access\",\"client_name\":\"iam-session:elsewhere:alice\"}\n";
const ENROLLED: &str = "{\"status\":\"success\",\"outcome\":\"enrolled\",\"account\":\"wlcg\",\"session_scope\":\"openid\",\
    \"token_file\":\"/run/t\",\"issuer\":\"https://i.example/\",\"scope\":\"openid offline_access\"}\n";

fn outcome(name: &str) -> String {
    format!("{{\"status\":\"success\",\"outcome\":\"{name}\"}}\n")
}

fn reenroll(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = stage.command(&["reenroll"]);
    command.args(arguments);
    command
}

#[test]
fn again_the_agent_asks_the_issuer_and_the_code_is_shown_with_the_clients_own_name() {
    let stage = Stage::new(GRANTED);
    let status = STATUS.replace("\"accounts\":[]", KNOWN);
    let conversations: [&[&str]; 3] = [&[&status, CODE], &[&outcome("pending")], &[ENROLLED]];
    let agent = Agent::meeting(&stage.directory.join(FIRST), &conversations);
    let ended = run(reenroll(&stage, &["wlcg"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("The page must show the client 'iam-session:elsewhere:alice'."),
        "{ended:?}"
    );
    assert_no_canary(&ended);
    assert!(stage.asked().is_empty(), "no helper is needed");
    let asked = json!({"account": "wlcg", "client_of": "wlcg", "scope": "offline_access openid"});
    let with = |request: &str, more: Value| {
        let mut all = asked.clone();
        all["request"] = request.into();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let poll = with("poll", json!({"device_code": "canary-device", "code_verifier": "canary-proof"}));
    let expected = [json!({"request": "status"}), with("authorize", json!({})), poll.clone(), poll];
    assert_eq!(agent.requests(), expected);
}

#[test]
fn a_refusal_and_the_end_of_a_code_are_told_as_at_the_first_time() {
    for (name, line, code) in [
        ("denied", "you refused on the consent page", 5),
        ("expired", "the code ended before it was approved; run the command again for a new one", 1),
    ] {
        let stage = Stage::new(GRANTED);
        let status = STATUS.replace("\"accounts\":[]", KNOWN);
        let conversations: [&[&str]; 2] = [&[&status, CODE], &[&outcome(name)]];
        let agent = Agent::meeting(&stage.directory.join(FIRST), &conversations);
        let ended = run(reenroll(&stage, &["wlcg"]));
        agent.requests();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.ends_with(&format!("iam-session: {line}\n")), "{ended:?}");
    }
}

#[test]
fn a_client_that_cannot_be_used_is_told_and_another_is_registered() {
    let stage = Stage::new(GRANTED);
    let status = STATUS.replace("\"accounts\":[]", KNOWN);
    let gone = "{\"status\":\"success\",\"outcome\":\"no_client\",\"error\":\"i.example does not know this client\"}\n";
    let agent = stage.agent(&[&status, gone, SEALED]);
    let ended = run(stage.enroll(&["wlcg"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = "The client of account 'wlcg' cannot be used: i.example does not know this client. A new one is registered.\n";
    assert!(ended.stderr.starts_with(told), "{ended:?}");
    assert_eq!(agent.requests()[2]["client"]["client_id"], "c");
    assert!(stage.asked().contains(&"register".to_owned()));
}

#[test]
fn ctrl_c_while_the_agent_polls_says_that_it_may_have_been_kept() {
    let stage = Stage::new(GRANTED);
    let status = STATUS.replace("\"accounts\":[]", KNOWN);
    // The second connection is never answered.
    let conversations: [&[&str]; 2] = [&[&status, CODE], &[]];
    let agent = Agent::meeting(&stage.directory.join(FIRST), &conversations);
    let mut child =
        reenroll(&stage, &["wlcg", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut event = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut event).unwrap();
    assert!(event.contains("device_code"), "{event}");
    // Its second connection is there: it polls.
    agent.requests();
    end(&child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "iam-session: interrupted while the agent was at work; what was asked goes on; 'iam-session status' tells \
         what came of it\n"
    );
}
