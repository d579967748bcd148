//! Which agent is asked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::agent::{Agent, FIRST, SECOND, dead};
use crate::program::{Ended, PROGRAM, failed, run, shown, with_socket, without_socket};
use crate::scratch::Scratch;

const TOKEN: &str = "{\"status\":\"success\",\"access_token\":\"t\",\"issuer\":\"i\",\"account\":\"a\",\"scope\":\"\",\"audience\":\"\",\"expires_at\":1}\n";

#[test]
fn without_any_agent_the_user_is_told_to_log_in() {
    let message = "no agent is running for you on this host; log in again, or start one here: eval \"$(iam-session start)\"";
    for arguments in
        [&["token"][..], &["status"], &[], &["forget", "a"], &["unlock"], &["enroll", "https://i.example/"]]
    {
        assert_eq!(run(without_socket(arguments)), failed(4, message), "{arguments:?}");
    }
    for (shell, line) in
        [("/bin/tcsh", "eval \"`iam-session start`\""), ("/usr/bin/fish", "iam-session start | source")]
    {
        let mut command = without_socket(&["token"]);
        command.env("SHELL", shell);
        let told = run(command).stderr;
        assert!(told.ends_with(&format!("or start one here: {line}\n")), "{told}");
    }
}

#[test]
fn a_dead_socket_is_named() {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let message = format!("no agent is listening at {}; its login has ended: log in again", socket.display());
    assert_eq!(run(with_socket(&socket, &["token"])), failed(4, &message));
    dead(&socket);
    assert_eq!(run(with_socket(&socket, &["token"])), failed(4, &message));
    let below = socket.join("x.sock");
    assert_eq!(run(with_socket(&below, &["token"])).code, Some(4));
}

/// As in a terminal that tmux(1) opens long after the login has ended.
#[test]
fn an_agent_of_a_login_that_is_older_than_the_session_is_not_waited_for() {
    let directory = Scratch::new();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "setsid -w timeout 5 \"$0\" token; exit $?", PROGRAM]);
    shell.env_clear().env("PATH", "/usr/bin:/bin").env("IAM_SESSION_SOCK", directory.join(FIRST));
    assert_eq!(run(shell).code, Some(4));
}

#[test]
fn a_sibling_answers_for_a_dead_agent() {
    let directory = Scratch::new();
    dead(&directory.join(FIRST));
    let agent = Agent::answering(&directory.join(SECOND), &[TOKEN]);
    let ended = run(with_socket(&directory.join(FIRST), &["token"]));
    assert_eq!(ended, Ended { stdout: "t\n".into(), stderr: String::new(), code: Some(0) });
    assert_eq!(agent.requests().len(), 1);
}

#[test]
fn siblings_in_a_directory_that_others_may_enter_are_not_trusted() {
    let directory = Scratch::new();
    dead(&directory.join(FIRST));
    let _listening = UnixListener::bind(directory.join(SECOND)).unwrap();
    fs::set_permissions(directory.join("."), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(run(with_socket(&directory.join(FIRST), &["token"])).code, Some(4));
}

#[test]
fn a_name_that_is_too_long_is_an_error() {
    let socket = format!("/run/{}.sock", "x".repeat(200));
    let ended = run(with_socket(Path::new(&socket), &["token"]));
    assert_eq!(
        ended,
        failed(
            4,
            &format!("cannot talk to the agent at {socket}: File name too long (os error 36); log in again")
        )
    );
}

/// Needs root, as the tests of the whole system do: only root can be two users.
#[test]
fn another_users_socket_gets_not_one_byte() {
    const NOBODY: u32 = 65_534;
    let directory = Scratch::new();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    open(&directory.join("."));
    // A copy: the build directory may be closed to other users. Made by a child, as no descriptor open for
    // writing must be inherited by the fork of a test beside this one (execve(2), ETXTBSY).
    let program = directory.join("iam-session");
    assert!(Command::new("install").args([PROGRAM, shown(&program)]).status().unwrap().success());
    let socket = directory.join(FIRST);
    let listener = UnixListener::bind(&socket).unwrap();
    open(&socket);
    for (shell, line) in [
        ("/bin/bash", "unset BEARER_TOKEN_FILE IAM_SESSION_SOCK IAM_SESSION_ID"),
        ("/bin/csh", "unsetenv BEARER_TOKEN_FILE; unsetenv IAM_SESSION_SOCK; unsetenv IAM_SESSION_ID"),
        ("/usr/bin/fish", "set -e BEARER_TOKEN_FILE IAM_SESSION_SOCK IAM_SESSION_ID"),
    ] {
        let mut command = Command::new(&program);
        command.arg("token").env_clear().env("IAM_SESSION_SOCK", &socket).env("SHELL", shell);
        command.uid(NOBODY).gid(NOBODY);
        let message = format!(
            "{} is the socket of root, not yours; su or sudo has kept these variables: run '{line}', or use \
             'su -' or 'sudo -i'",
            socket.display()
        );
        assert_eq!(run(command), failed(4, &message));
        let (mut stream, _) = listener.accept().unwrap();
        assert_eq!(std::io::read_to_string(&mut stream).unwrap(), "");
    }
}
