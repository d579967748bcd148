//! What a login makes of each thing an agent can say, or not say.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::host::{
    AGENT, CEILING, Host, PAM_SESSION_ERR, PAM_SUCCESS, error, make_fifo, on_a_host, wait_until,
};
use super::outcome::{Said, links};

const ENROL: &str = "4 To have access tokens here, run 'iam-session enroll' once.";
const UNLOCK: &str = "4 Your access tokens are locked: run 'iam-session unlock'.";
const ENDS_SOON: &str =
    "4 Your enrolment for access tokens ends within 7 days: 'iam-session status' says how to renew it.";

const NO_EXEC: &str = "the agent failed (exec): is /usr/libexec/iam-session/agent there and executable, \
                       and may the user have more processes?";

/// One login with an agent that does `script`, and is heard in time.
fn login(host: &Host, script: &str) -> Said {
    within_ceiling(host.agent(script).run_heard("alice", &["open", "end"]))
}

fn within_ceiling(said: Said) -> Said {
    assert!(said.milliseconds("open") < CEILING, "{said:?}");
    said
}

fn exports(said: &Said) -> usize {
    said.environment().len()
}

/// The agent has spoken: variables, success and one line in the log.
fn expect_session(script: &'static str, logged: &'static str, texts: &'static [&'static str]) {
    on_a_host(move |host| {
        let said = login(host, script);
        assert_eq!((said.codes("open"), exports(&said)), (vec![PAM_SUCCESS], 3), "{script}");
        assert_eq!(said.texts(), texts, "{script}");
        let log = host.log();
        assert!(
            log[0].starts_with("event=session_opened user=alice session=") && log[0].ends_with(logged),
            "{script}: {log:?}"
        );
        assert!(log.len() == 2 && log[1].starts_with("event=session_closed user=alice session="), "{log:?}");
    });
}

/// There is none: no variables, an error and one line in the log.
fn expect_failure(host: &Host, script: &str, logged: &str) {
    let said = login(host, script);
    assert_eq!((said.codes("open"), exports(&said)), (vec![PAM_SESSION_ERR], 0), "{script}");
    assert_eq!(said.texts(), [""; 0], "{script}");
    assert_eq!(host.log(), [error("alice", &format!("no session: {logged}"))], "{script}");
}

#[test]
fn each_word_opens_a_session_and_has_its_own_hint() {
    for (script, logged, texts) in [
        ("say ready", " state=ready", &[][..]),
        ("say ready ends-soon", " state=ready", &[ENDS_SOON]),
        ("say ready-no-token", " state=ready-no-token", &[]),
        ("say not-enrolled", " state=not-enrolled", &[]),
        ("say not-enrolled enrol", " state=not-enrolled", &[ENROL]),
        ("say locked", " state=locked", &[]),
        ("say locked unlock", " state=locked", &[UNLOCK]),
        ("say store-unavailable", " state=store-unavailable", &[]),
    ] {
        expect_session(script, logged, texts);
    }
}

/// The names of what the login of an agent that does `script` has in its environment.
fn variables(host: &Host, script: &str) -> Vec<String> {
    let said = login(host, script);
    assert_eq!(said.codes("open"), [PAM_SUCCESS], "{script}");
    said.environment().keys().map(|name| (*name).to_owned()).collect()
}

const ALL: [&str; 3] = ["BEARER_TOKEN_FILE", "IAM_SESSION_ID", "IAM_SESSION_SOCK"];

#[test]
fn with_export_enrolled_only_who_is_not_enrolled_gets_no_token_file() {
    on_a_host(|host| {
        host.line("export=enrolled token_wait=100ms");
        for script in ["say not-enrolled", "say not-enrolled enrol"] {
            assert_eq!(variables(host, script), ALL[1..], "{script}");
        }
        for script in ["say ready", "say ready-no-token", "say locked", "say store-unavailable", "pause 100"]
        {
            assert_eq!(variables(host, script), ALL, "{script}");
        }
        host.line("export=always");
        assert_eq!(variables(host, "say not-enrolled"), ALL);
    });
}

#[test]
fn a_user_who_says_no_gets_no_token_file_whatever_the_line_says() {
    on_a_host(|host| {
        for line in ["", "export=always", "export=enrolled", "token_wait=10s"] {
            host.line(line);
            assert_eq!(variables(host, "say no-export; say ready"), ALL[1..], "{line}");
            assert!(host.log()[0].ends_with(" state=ready"));
        }
        host.line("token_wait=10s");
        assert_eq!(variables(host, "say no-export; say ready-no-token; say ready"), ALL[1..]);
        host.line("start_wait=150ms");
        assert_eq!(variables(host, "say no-export"), ALL[1..]);
        // That alone is no agent, and the word has one place.
        host.line("");
        host.log();
        for script in ["say no-export; silence", "say no-export; say no-export"] {
            expect_failure(host, script, "the agent ended without an answer");
        }
        assert_eq!(variables(host, "say ready; say no-export"), ALL);
    });
}

#[test]
fn a_failure_is_named_only_if_its_code_is_known() {
    on_a_host(|host| {
        expect_failure(host, "say failed harden; exit", "the agent failed (harden)");
        expect_failure(host, "say failed runtime", "the agent failed (runtime)");
        expect_failure(host, "say failed \u{1b}[2J", "the agent failed");
        expect_failure(host, "say failed secret", "the agent failed");
    });
}

#[test]
fn an_agent_that_ends_or_babbles_is_no_session() {
    on_a_host(|host| {
        let silent = "the agent ended without an answer";
        for script in ["exit", "silence", "say hello", "say ready now", "say READY", "say "] {
            expect_failure(host, script, silent);
        }
        expect_failure(host, &format!("say {}", "x".repeat(5000)), silent);
    });
}

#[test]
fn an_agent_said_not_to_serve_is_no_session_and_no_error() {
    on_a_host(|host| {
        let said = login(host, "say not-served");
        assert_eq!((said.codes("open"), exports(&said), host.log().len()), (vec![PAM_SUCCESS], 0, 0));
    });
}

#[test]
fn an_agent_that_is_missing_or_cannot_be_executed_is_an_error_at_once() {
    on_a_host(|host| {
        let logged = NO_EXEC;
        fs::set_permissions(AGENT, Permissions::from_mode(0o644)).unwrap();
        expect_failure(host, "", logged);
        fs::write(AGENT, "no program").unwrap();
        fs::set_permissions(AGENT, Permissions::from_mode(0o755)).unwrap();
        expect_failure(host, "", logged);
        fs::remove_file(AGENT).unwrap();
        expect_failure(host, "", logged);
        fs::remove_dir("/usr/libexec/iam-session").unwrap();
        expect_failure(host, "", logged);
    });
}

fn expect_late(host: &Host, script: &str) {
    let said = within_ceiling(host.agent(script).run("alice", &["open", "end"]));
    assert_eq!((said.codes("open"), exports(&said)), (vec![PAM_SUCCESS], 3));
    assert!(said.milliseconds("open") >= 150, "{said:?}");
    let log = host.log();
    assert!(
        log[0].starts_with("event=session_opened ") && log[0].ends_with(" waited_ms=150 state=late"),
        "{log:?}"
    );
}

#[test]
fn an_agent_that_hangs_costs_start_wait_and_leaves_a_session() {
    on_a_host(|host| {
        host.line("start_wait=150ms");
        expect_late(host, "");
    });
}

#[test]
fn an_agent_that_is_stopped_costs_start_wait_and_leaves_a_session() {
    on_a_host(|host| {
        host.line("start_wait=150ms");
        expect_late(host, "stop");
        let agent = host.the_agent();
        kill(Pid::from_raw(agent.pid()), Signal::SIGCONT).unwrap();
        wait_until("it ends as soon as it goes on", || agent.has_ended());
    });
}

#[test]
fn a_second_line_is_waited_for_only_with_token_wait() {
    on_a_host(|host| {
        let late = "say ready-no-token; pause 200; say ready ends-soon";
        let said = login(host, late);
        assert_eq!((said.codes("open"), said.texts().len()), (vec![PAM_SUCCESS], 0));
        assert!(host.log()[0].ends_with(" state=ready-no-token"));
        host.line("token_wait=10s");
        let said = login(host, late);
        assert_eq!((said.codes("open"), said.texts()), (vec![PAM_SUCCESS], vec![ENDS_SOON]));
        assert!(said.milliseconds("open") >= 200);
        assert!(host.log()[0].ends_with(" state=ready"));
    });
}

#[test]
fn waiting_for_a_token_ends_with_the_pipe_with_another_word_and_with_token_wait() {
    on_a_host(|host| {
        host.line("token_wait=10s");
        for script in [
            "say ready-no-token; silence",
            "say ready-no-token; say locked unlock",
            "say ready-no-token; say x",
        ] {
            let said = login(host, script);
            assert_eq!(
                (said.codes("open"), exports(&said), said.texts().len()),
                (vec![PAM_SUCCESS], 3, 0),
                "{script}"
            );
            assert!(host.log()[0].ends_with(" state=ready-no-token"), "{script}");
        }
        host.line("token_wait=100ms");
        let said = login(host, "say ready-no-token");
        assert_eq!(said.codes("open"), [PAM_SUCCESS]);
        assert!(said.milliseconds("open") >= 100);
    });
}

#[test]
fn a_token_is_not_waited_for_after_another_word() {
    on_a_host(|host| {
        host.line("token_wait=10s");
        let said = login(host, "say not-enrolled enrol; pause 200; say ready");
        assert_eq!(said.texts(), [ENROL]);
    });
}

#[test]
fn nothing_is_printed_when_silent_without_a_conversation_or_with_hint_never() {
    on_a_host(|host| {
        host.agent("say not-enrolled enrol");
        let said = host.run_heard("alice", &["open-silent", "end"]);
        assert_eq!((said.codes("open-silent"), said.texts().len()), (vec![PAM_SUCCESS], 0));
        let said = host.run_heard("alice", &["no-conversation", "open", "end"]);
        assert_eq!((said.codes("open"), said.texts().len()), (vec![PAM_SUCCESS], 0));
        host.line("hint=never");
        let said = host.run_heard("alice", &["open", "end"]);
        assert_eq!((said.codes("open"), said.texts().len()), (vec![PAM_SUCCESS], 0));
    });
}

#[test]
fn a_user_without_a_process_to_spare_gets_an_error_at_once() {
    on_a_host(|host| {
        let said = host.agent("say ready").run_heard("alice", &["processes=0", "open", "end"]);
        assert_eq!((said.codes("open"), exports(&said)), (vec![PAM_SESSION_ERR], 0));
        assert!(said.milliseconds("open") < CEILING);
        assert_eq!(host.log(), [error("alice", &format!("no session: {NO_EXEC}"))]);
    });
}

#[test]
fn a_syslog_daemon_that_stalls_holds_no_login_up() {
    on_a_host(|host| {
        host.stall_log();
        let said = within_ceiling(host.agent("say ready").run("alice", &["open", "end"]));
        assert_eq!((said.codes("open"), exports(&said)), (vec![PAM_SUCCESS], 3));
    });
}

#[test]
fn a_name_service_that_hangs_costs_start_wait_and_its_child_keeps_nothing_of_the_hosts() {
    on_a_host(|host| {
        host.line("start_wait=150ms");
        // The passwd look-up answers, that of groups waits for somebody to write.
        make_fifo("/etc/group");
        let running = host.agent("say ready").start("alice", &["leak=7", "open", "wait", "close", "end"]);
        let lifeline = running.own_pipes();
        assert_eq!(lifeline.len(), 1, "the host's lifeline: {lifeline:?}");
        let children = others_with(&lifeline[0], running.pid());
        assert_eq!(children.len(), 1, "the child that hangs: {children:?}");
        assert_eq!(descriptors(children[0]), 3);
        // It is root's still, and the record names it.
        let record = links(children[0]).into_iter().find(|(number, _)| number == "2").unwrap().1;
        let record = fs::read_to_string(record).unwrap();
        assert!(record.contains(&format!("\nagent={}\n", children[0])), "{record}");
        // Of signals only its own alarm, which ends it, and the two that glibc keeps for itself.
        let status = fs::read_to_string(format!("/proc/{}/status", children[0])).unwrap();
        assert!(status.contains("Uid:\t0\t0\t0\t0\n"), "{status}");
        assert!(status.contains("SigBlk:\tfffffffe7ffbdeff\n"), "{status}");
        assert!(children_of(running.pid()).is_empty(), "the middle child has been reaped");
        let said = running.finish();
        assert_eq!((said.codes("open"), exports(&said)), (vec![PAM_SUCCESS], 3));
        assert!(said.milliseconds("open") < CEILING && said.milliseconds("close") < CEILING);
        drop(fs::OpenOptions::new().write(true).open("/etc/group").unwrap());
        wait_until("the child has gone on and ended", || others_with(&lifeline[0], 0).is_empty());
    });
}

/// The processes besides `pid` that hold `pipe`.
fn others_with(pipe: &str, pid: i32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|other| *other != pid && links(*other).iter().any(|(_, link)| link == pipe)).collect()
}

/// Zombies too.
fn children_of(pid: i32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    // What follows the name in parentheses: the state, the parent.
    let parent = |pid: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    pids.filter(|child| parent(*child) == Some(pid)).collect()
}

/// Those that stay: files that the name service has opened and not closed yet come and go.
fn descriptors(pid: i32) -> usize {
    links(pid).iter().filter(|(_, link)| !link.starts_with("/etc/")).count()
}
