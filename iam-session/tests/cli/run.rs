use std::process::Command;

use serde_json::json;

use crate::agent::{Agent, FIRST};
use crate::program::{Ended, failed, run, with_socket, without_socket};
use crate::scratch::Scratch;

const TOKEN: &str = "{\"status\":\"success\",\"access_token\":\"eyJ0.eyJ1.c2ln\",\"issuer\":\"https://i.example/\",\"account\":\"wlcg\",\"scope\":\"openid\",\"audience\":\"\",\"expires_at\":1795483411}\n";

/// Runs `run` with `arguments`, in the environment that `change` makes, against an agent that has a token.
fn run_changed(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Ended {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let agent = Agent::answering(&socket, &[TOKEN]);
    let arguments: Vec<&str> = std::iter::once(&"run").chain(arguments).copied().collect();
    let mut command = with_socket(&socket, &arguments);
    command.env("PATH", "/usr/bin:/bin");
    change(&mut command);
    let ended = run(command);
    agent.requests();
    ended
}

fn run_with(arguments: &[&str]) -> Ended {
    run_changed(arguments, |_| {})
}

#[test]
fn the_command_finds_the_token_in_its_environment() {
    let ended = run_with(&["printenv", "BEARER_TOKEN"]);
    assert_eq!(ended, Ended { stdout: "eyJ0.eyJ1.c2ln\n".into(), stderr: String::new(), code: Some(0) });
}

#[test]
fn without_a_token_the_command_finds_none_and_no_agent_is_asked() {
    let mut command = without_socket(&["run", "--no-token", "--", "printenv"]);
    command.env("PATH", "/usr/bin:/bin").env("IAM_SESSION_SOCK", "/run/nobody.sock");
    for name in ["BEARER_TOKEN", "BEARER_TOKEN_FILE", "IAM_SESSION_ID"] {
        command.env(name, "x");
    }
    let ended = run(command);
    assert_eq!(ended, Ended { stdout: "PATH=/usr/bin:/bin\n".into(), stderr: String::new(), code: Some(0) });
}

#[test]
fn a_token_that_was_there_before_gives_way_and_the_file_stays() {
    let ended = run_changed(&["sh", "-c", "echo $BEARER_TOKEN $BEARER_TOKEN_FILE"], |command| {
        command.env("BEARER_TOKEN", "old").env("BEARER_TOKEN_FILE", "/run/file");
    });
    assert_eq!(ended.stdout, "eyJ0.eyJ1.c2ln /run/file\n");
}

#[test]
fn the_command_ends_it() {
    for (script, code) in [("exit 7", Some(7)), ("kill -9 $$", None)] {
        assert_eq!(run_with(&["--", "sh", "-c", script]).code, code, "{script}");
    }
}

#[test]
fn the_command_has_its_own_arguments_to_the_letter() {
    let ended = run_with(&["--", "printf", "%s|", "-s", "a b", "", "$HOME;ls", "--", "--json"]);
    assert_eq!(ended.stdout, "-s|a b||$HOME;ls|--|--json|");
}

#[test]
fn no_descriptor_of_ours_is_left_to_the_command() {
    // Whoever runs the tests may have left some.
    let list = ["sh", "-c", "ls -l /proc/self/fd | grep -c -e socket -e agent; ls /proc/self/fd | wc -l"];
    let [program, arguments @ ..] = list;
    let mut plain = Command::new(program);
    plain.args(arguments).stdin(std::process::Stdio::null());
    assert_eq!(run_with(&list).stdout, run(plain).stdout);
}

#[test]
fn a_command_that_does_not_begin_has_the_codes_of_env() {
    assert_eq!(
        run_with(&["no-such-command"]),
        failed(127, "cannot run 'no-such-command': there is no such command")
    );
    assert_eq!(run_with(&[""]).code, Some(127));
    for path in ["/etc/passwd", "/etc"] {
        assert_eq!(run_with(&[path]), failed(126, &format!("cannot run '{path}': it is not executable")));
    }
}

#[test]
fn without_a_token_nothing_is_run() {
    let ended = run(without_socket(&["run", "echo", "ran"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""));
    assert!(ended.stderr.starts_with("iam-session: "), "{ended:?}");
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let agent = Agent::answering(
        &socket,
        &["{\"status\":\"failure\",\"error\":\"it failed\",\"info\":\"do that\",\"kind\":\"refused\"}\n"],
    );
    let refused = run(with_socket(&socket, &["run", "-s", "b", "-s", "a", "--aud", "x", "echo", "ran"]));
    assert_eq!(refused, failed(125, "it failed; do that"));
    let asked = json!({"request": "access_token", "scope": "a b", "audience": "x", "min_valid_period": 0});
    assert_eq!(agent.requests(), [asked]);
}

#[test]
fn a_mistake_is_not_the_commands_own_end() {
    let mistake = run(without_socket(&["run", "--acount", "cms", "true"]));
    assert_eq!(mistake.code, Some(125));
    assert!(mistake.stderr.contains("'--account'"), "{mistake:?}");
    assert_eq!(run(without_socket(&["run"])).code, Some(125));
    assert_eq!(run(without_socket(&["run", "--help"])).code, Some(0));
}
