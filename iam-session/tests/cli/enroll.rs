//! Enrolment, with a script in the helper's place. It and the configuration are where they are installed, but in
//! a mount namespace of the test's own (unshare(1)), so that the host is never changed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::agent::{Agent, FIRST};
use crate::program::{Ended, PROGRAM, run, shown};
use crate::scratch::Scratch;

/// Lays `$1/etc` and `$1/helper` over the installed places, then becomes the program.
const STAGE: &str = r#"set -e
mount -t tmpfs tmpfs /usr/libexec; mkdir /usr/libexec/iam-session; cp "$1/helper" /usr/libexec/iam-session/helper
mount -t tmpfs tmpfs /etc; cp -r "$1/etc" /etc/iam-session; [ ! -e "$1/group" ] || cp "$1/group" /etc/group
shift; exec "$@""#;

/// Leaves a trace of having been started: an enrolment needs none, for the agent's mint speaks to the issuer.
const HELPER: &str = "#!/bin/sh\n: >'@log@'\n";

const PROVIDER: &str = "issuer = \"https://i.example/\"\nname = \"Test\"\nsession_scope = \"openid\"\n";

pub(crate) const STATUS: &str = "{\"status\":\"success\",\"session\":\"s\",\"version\":\"0.1.0\",\"pid\":1,\"user\":\"alice\",\"token_file\":\"/run/t\",\"accounts\":[]}\n";
pub(crate) const OFFERED: &str = "{\"status\":\"success\",\"outcome\":\"offered\",\"issuer\":\"https://i.example/\",\
    \"scope\":\"openid offline_access wlcg storage.read:/\"}\n";
/// Of a client that was registered for it.
pub(crate) const CODE: &str = "{\"status\":\"success\",\"outcome\":\"code\",\"ticket\":\"sealed\",\"user_code\":\"ABCD\",\
    \"verification_uri\":\"https://i.example/device\",\"verification_uri_complete\":\"https://i.example/device?user_code=ABCD\",\
    \"expires_in\":600,\"interval\":1,\"scope\":\"openid offline_access wlcg storage.read:/\",\"client_id\":\"c\",\
    \"client_name\":\"iam-session:example:alice\",\"is_new\":true}\n";
pub(crate) const ENROLLED: &str = "{\"status\":\"success\",\"outcome\":\"enrolled\",\"account\":\"wlcg\",\
    \"issuer\":\"https://i.example/\",\"scope\":\"openid offline_access storage.read:/ wlcg\",\"session_scope\":\"openid\",\
    \"token_file\":\"/run/t\"}\n";
pub(crate) const NOT_SEALED: &str = "{\"status\":\"failure\",\"error\":\"the store cannot be written\",\"info\":\"make room\",\"kind\":\"failed\"}\n";
pub(crate) const CANCELLED: &str = "{\"status\":\"success\"}\n";

/// What the issuer says in place of a token.
pub(crate) fn no_token(class: &str) -> String {
    json!({"status": "success", "outcome": "no_token", "error": {"class": class, "message": "m", "status": 400}}).to_string() + "\n"
}

/// A host with a provider `wlcg`.
pub(crate) struct Stage {
    pub(crate) directory: Scratch,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let directory = Scratch::new();
        let helper = HELPER.replace("@log@", shown(&directory.join("log")));
        directory.write("etc/issuers.d/wlcg.toml", PROVIDER);
        directory.write("etc/config.toml", "site = \"example\"\n");
        directory.write("helper", helper);
        assert!(
            Command::new("chmod").args(["755", shown(&directory.join("helper"))]).status().unwrap().success()
        );
        Self { directory }
    }

    /// An agent that is asked so often, each time on a connection of its own.
    pub(crate) fn agent(&self, answers: &[&str]) -> Agent {
        let each: Vec<&[&str]> = answers.chunks(1).collect();
        Agent::meeting(&self.directory.join(FIRST), &each)
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
        self.directory.write("etc/issuers.d/wlcg.toml", format!("{PROVIDER}{lines}\n"));
    }

    /// A file beside it all; gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        shown(&self.directory.write(name, text)).to_owned()
    }

    pub(crate) fn assert_no_helper(&self) {
        assert!(!self.directory.join("log").exists());
    }
}

pub(crate) fn assert_no_canary(ended: &Ended) {
    assert!(!ended.stdout.contains("canary") && !ended.stderr.contains("canary"), "{ended:?}");
}

/// The kinds of requests, in order.
pub(crate) fn kinds(requests: &[Value]) -> Vec<&str> {
    requests.iter().map(|request| request["request"].as_str().unwrap()).collect()
}

#[test]
fn a_good_enrolment_is_two_events_and_the_agent_is_told_what_was_chosen() {
    let stage = Stage::new();
    let agent = stage.agent(&[STATUS, OFFERED, CODE, &no_token("authorization_pending"), ENROLLED]);
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
    stage.assert_no_helper();
    let mut requests = agent.requests();
    let flow = requests[1]["flow"].take();
    assert_eq!((flow.as_str().map(str::len), requests[2]["flow"].take()), (Some(32), flow));
    let target = json!({"request": "enroll", "flow": null, "account": "wlcg", "issuer": "https://i.example/",
                        "ca_dir": "/etc/grid-security/certificates"});
    let mut begin = target.clone();
    begin["scope"] = "offline_access openid storage.read:/ wlcg".into();
    let poll = json!({"request": "poll", "ticket": "sealed"});
    assert_eq!(requests, [json!({"request": "status"}), target, begin, poll.clone(), poll]);
}

#[test]
fn a_person_is_told_what_to_do_and_what_to_look_for() {
    let stage = Stage::new();
    let agent = stage.agent(&[STATUS, OFFERED, CODE, ENROLLED]);
    let ended = run(stage.enroll(&[]));
    agent.requests();
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
         granted      offline_access openid storage.read:/ wlcg\nin the file  openid\ntoken file   /run/t\n\
         this shell   run eval \"$(iam-session env)\" to set BEARER_TOKEN_FILE here; your next login has it by itself\n"
    );
}

#[test]
fn a_user_who_wants_no_variable_is_not_told_how_to_set_it() {
    let stage = Stage::new();
    stage.write("home/.config/iam-session/config.toml", "export = \"no\"\n");
    let agent = stage.agent(&[STATUS, OFFERED, CODE, ENROLLED]);
    let mut command = stage.enroll(&[]);
    command.env("HOME", stage.directory.join("home"));
    let ended = run(command);
    agent.requests();
    assert!(ended.stdout.ends_with("token file   /run/t\n"), "{ended:?}");
}

/// `env --shell-hook` says so to the enrolment.
#[test]
fn a_shell_that_takes_the_variable_by_itself_is_given_no_line_to_type() {
    let stage = Stage::new();
    let agent = stage.agent(&[STATUS, OFFERED, CODE, ENROLLED]);
    let mut command = stage.enroll(&[]);
    command.env("IAM_SESSION_SHELL_HOOK", "1");
    let ended = run(command);
    agent.requests();
    assert!(ended.stdout.ends_with("token file   /run/t\n"), "{ended:?}");
}

#[test]
fn a_scope_that_was_named_and_not_granted_is_told_and_exit_5() {
    let stage = Stage::new();
    let agent = stage.agent(&[STATUS, CODE, ENROLLED]);
    let ended = run(stage.enroll(&["wlcg", "-s", "compute.create"]));
    assert_eq!(kinds(&agent.requests()), ["status", "enroll", "poll"], "what is named is asked for as it is");
    assert_eq!(ended.code, Some(5));
    assert!(ended.stderr.ends_with(
        "iam-session: warning: scope 'compute.create' was not granted: the issuer does not give it to a new \
         client (a restricted scope: ask its administrators)\n"
    ));
}

#[test]
fn a_program_is_told_what_is_missing_in_the_same_object() {
    let stage = Stage::new();
    let agent = stage.agent(&[STATUS, CODE, ENROLLED]);
    let ended = run(stage.enroll(&["wlcg", "--json", "-s", "compute.create"]));
    assert_eq!((ended.code, agent.requests().len()), (Some(5), 3));
    let enrolled: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(enrolled["not_granted"][0]["scope"], "compute.create");
    assert!(
        enrolled["not_granted"][0]["reason"].as_str().unwrap().contains("restricted scope"),
        "{enrolled}"
    );
}

/// The name of the flow that was begun, and the one that was cancelled at the end.
fn begun_and_cancelled(requests: &[Value]) -> (&Value, &Value) {
    let last = requests.last().unwrap();
    assert_eq!(last["request"], "cancel", "{requests:?}");
    (&requests[1]["flow"], &last["flow"])
}

#[test]
fn whatever_ends_a_flow_it_is_cancelled_and_told() {
    for (answer, line, code) in [
        (no_token("access_denied"), "you refused on the consent page", 5),
        (
            no_token("expired_token"),
            "the code ended before it was approved; run the command again for a new one",
            1,
        ),
        (NOT_SEALED.to_owned(), "the store cannot be written; make room", 1),
    ] {
        let stage = Stage::new();
        let agent = stage.agent(&[STATUS, OFFERED, CODE, &answer, CANCELLED]);
        let ended = run(stage.enroll(&["wlcg"]));
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.ends_with(&format!("iam-session: {line}\n")), "{ended:?}");
        let requests = agent.requests();
        let (begun, cancelled) = begun_and_cancelled(&requests);
        assert_eq!(begun, cancelled);
    }
}

#[test]
fn what_stays_at_the_issuer_is_told() {
    let stage = Stage::new();
    let left = "{\"status\":\"success\",\"error\":\"client 'x' stays registered at i\"}\n";
    let agent = stage.agent(&[STATUS, OFFERED, CODE, &no_token("access_denied"), left]);
    let ended = run(stage.enroll(&["wlcg", "--json"]));
    agent.requests();
    assert_eq!(
        ended.stderr,
        "iam-session: warning: client 'x' stays registered at i\niam-session: you refused on the consent page\n"
    );
}

/// As Ctrl-C does. SIGINT itself would be ignored where the tests run as a background job.
fn end(child: &Child) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
}

/// A command that was ended when it had shown a code, and what it wrote since.
fn ended_after_the_code(mut command: Command, before: impl FnOnce()) -> (String, Ended) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut event = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut event).unwrap();
    assert!(event.contains("device_code"), "{event}");
    before();
    end(&child);
    let mut rest = String::new();
    stdout.read_line(&mut rest).unwrap();
    (rest, Ended::from(child.wait_with_output().unwrap()))
}

#[test]
fn ctrl_c_while_waiting_has_the_flow_cancelled() {
    let stage = Stage::new();
    let slow = CODE.replace("\"interval\":1,", "\"interval\":60,");
    let agent = stage.agent(&[STATUS, OFFERED, &slow, CANCELLED]);
    let (rest, ended) = ended_after_the_code(stage.enroll(&["wlcg", "--json"]), || {});
    assert_eq!(rest, "{\"event\":\"error\",\"error\":\"cancelled; nothing was stored\",\"hint\":null}\n");
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(1), "iam-session: cancelled; nothing was stored\n")
    );
    let requests = agent.requests();
    let (begun, cancelled) = begun_and_cancelled(&requests);
    assert_eq!(begun, cancelled);
}

#[test]
fn ctrl_c_while_a_client_is_registered_waits_and_once_more_does_not() {
    let stage = Stage::new();
    // Neither the registration nor the end of the flow is ever answered.
    let conversations: [&[&str]; 3] = [&[STATUS], &[OFFERED], &[]];
    let agent = Agent::meeting(&stage.directory.join(FIRST), &conversations);
    let mut child = stage.enroll(&["wlcg"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its third connection is there: it has the client registered.
    agent.requests();
    end(&child);
    let mut told = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut told).unwrap();
    assert_eq!(
        told,
        "Waiting for the issuer's answer, to leave nothing behind; Ctrl-C again does not wait.\n"
    );
    end(&child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn ctrl_c_while_the_agent_polls_says_that_it_may_have_been_kept() {
    let stage = Stage::new();
    // The poll is never answered.
    let conversations: [&[&str]; 4] = [&[STATUS], &[OFFERED], &[CODE], &[]];
    let agent = Agent::meeting(&stage.directory.join(FIRST), &conversations);
    let polls = || drop(agent.requests());
    let (_, ended) = ended_after_the_code(stage.enroll(&["wlcg", "--json"]), polls);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "iam-session: interrupted while the agent was at work; what was asked goes on; 'iam-session status' tells \
         what came of it\n"
    );
}

#[test]
fn without_an_agent_nothing_is_begun() {
    let stage = Stage::new();
    let ended = run(stage.enroll(&["wlcg"]));
    assert_eq!(ended.code, Some(4));
    stage.assert_no_helper();
}

#[test]
fn an_agent_that_an_upgrade_left_running_is_told_in_a_line() {
    let stage = Stage::new();
    let older = "{\"status\":\"failure\",\"error\":\"this version of the agent has no such request (column 200)\",\
                 \"kind\":\"usage\"}\n";
    let agent = stage.agent(&[STATUS, older]);
    let ended = run(stage.enroll(&["wlcg"]));
    agent.requests();
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(1), "iam-session: this session's agent is of an older version; log in again\n")
    );
}

#[test]
fn a_name_of_another_issuer_is_refused_before_anything_is_begun() {
    let stage = Stage::new();
    let account =
        r#""accounts":[{"name":"wlcg","issuer":"https://other.example/","scope":"","session_scope":""}]"#;
    let agent = stage.agent(&[&STATUS.replace("\"accounts\":[]", account)]);
    let ended = run(stage.enroll(&["wlcg"]));
    agent.requests();
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "iam-session: account 'wlcg' is already one of https://other.example/; choose another name with --account NAME\n"
    );
}

#[test]
fn off_a_terminal_a_choice_is_an_error_with_the_list() {
    let stage = Stage::new();
    stage.directory.write("etc/issuers.d/egi.toml", "issuer = \"https://egi.example/\"\n");
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
    let stage = Stage::new();
    stage.directory.write("etc/issuers.d/wlcg.toml", "issuer = \"i.example\"\n");
    let ended = run(stage.enroll(&["wlcg"]));
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        "iam-session: /etc/iam-session/issuers.d/wlcg.toml:1: issuer = 'i.example' is wrong; \
         accepted: an https:// URL without user, query or fragment\n"
    );
}

const KNOWN: &str = r#""accounts":[{"name":"wlcg","issuer":"https://i.example/","scope":"openid offline_access","session_scope":"openid"}]"#;

#[test]
fn again_the_accounts_own_client_and_scopes_are_asked_for() {
    let stage = Stage::new();
    let status = STATUS.replace("\"accounts\":[]", KNOWN);
    let code = CODE
        .replace("iam-session:example", "iam-session:elsewhere")
        .replace("\"is_new\":true", "\"is_new\":false");
    let conversations: [&[&str]; 3] = [&[&status], &[&code], &[ENROLLED]];
    let agent = Agent::meeting(&stage.directory.join(FIRST), &conversations);
    let ended = run(stage.command(&["reenroll", "wlcg"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("The page must show the client 'iam-session:elsewhere:alice'."),
        "{ended:?}"
    );
    let requests = agent.requests();
    assert_eq!(kinds(&requests), ["status", "enroll", "poll"]);
    let asked = |field: &str| requests[1][field].as_str().unwrap();
    assert_eq!((asked("client_of"), asked("scope")), ("wlcg", "offline_access openid"));
}

#[test]
fn a_client_that_cannot_be_used_is_told_and_another_is_registered() {
    let stage = Stage::new();
    let status = STATUS.replace("\"accounts\":[]", KNOWN);
    let gone = CODE.replace("\"is_new\"", "\"unusable\":\"i.example does not know this client\",\"is_new\"");
    let agent = stage.agent(&[&status, OFFERED, &gone, ENROLLED]);
    let ended = run(stage.enroll(&["wlcg"]));
    agent.requests();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = "The client of account 'wlcg' cannot be used: i.example does not know this client. A new one is registered.\n";
    assert!(ended.stderr.starts_with(told), "{ended:?}");
}
