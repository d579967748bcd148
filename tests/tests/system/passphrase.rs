//! A passphrase in the place of a node key.

use serde_json::{Value, json};
use support::{Host, Login, Provider};

use crate::scene::{Scene, token_file};
use crate::standing::{PASSPHRASE, agents_are_gone, enroll, enrolled, given, scene, start};

/// A login that has enrolled under the passphrase; its agent is gone.
pub(crate) fn enrolled_and_stopped(scene: &Scene) -> Login {
    let login = enrolled(scene);
    login.run("eval \"$(iam-session stop)\"").successful();
    login
}

#[test]
fn what_was_enrolled_is_locked_until_its_passphrase_is_given() {
    let scene = scene();
    let login = enrolled_and_stopped(&scene);
    // As after a night: no token of before is at hand.
    login.run("rm .local/state/iam-session/wlcg.token").successful();
    start(&login, "--no-unlock").successful();
    let locked = login.run("iam-session token");
    assert_eq!((locked.status, locked.stdout.as_str()), (6, ""));
    assert!(locked.stderr.ends_with("; run 'iam-session unlock'\n"), "{locked:?}");
    let status: Value = serde_json::from_str(&login.run("iam-session status --json").stdout).unwrap();
    assert_eq!((&status["locked"], &status["sealing"]), (&json!(["wlcg"]), &json!("nothing")));
    assert_eq!(status["ends"], "shell");
    let file = token_file(&login);
    assert!(!scene.host.exists(&file));

    let unlocked = login.run(&format!("iam-session unlock {}", given(PASSPHRASE))).successful();
    assert_eq!(unlocked.stdout, "unlocked 'wlcg'\n");
    assert!(scene.provider.accepts(&login.read(&file)), "when the command returns");
    assert_eq!(login.run("iam-session unlock").successful().stdout, "nothing is locked\n");
    // A mint that was started later has the key, too.
    login.run("pkill -f 'agent mint'; true").successful();
    login.run("iam-session token -s storage.read:/again").successful();
}

#[test]
fn a_wrong_passphrase_is_told_and_the_next_one_is_tried() {
    let scene = scene();
    let login = enrolled_and_stopped(&scene);
    login.run("rm .local/state/iam-session/wlcg.token").successful();
    let wrong = start(&login, &given("Correct horse battery"));
    assert_eq!(wrong.status, 6, "{wrong:?}");
    assert_eq!(
        wrong.stderr,
        "iam-session: the passphrase is wrong: it does not open 'wlcg'; run 'iam-session unlock' to try again\n"
    );
    // The agent is there all the same.
    let again = login.run(&format!("iam-session unlock {}", given("correct horse")));
    assert_eq!(again.status, 6, "{again:?}");
    login.run(&format!("iam-session unlock {}", given(PASSPHRASE))).successful();
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn nothing_is_enrolled_before_there_is_something_to_seal_it_with() {
    let scene = scene();
    let login = scene.host.login("alice");
    start(&login, "--no-unlock").successful();
    let refused = login.run("iam-session enroll wlcg");
    assert_eq!(refused.status, 6, "{refused:?}");
    assert!(refused.stderr.contains("run 'iam-session unlock' to choose a passphrase"), "{refused:?}");
    for (passphrase, why) in [("", "is empty"), ("1234567", "too short")] {
        let refused = login.run(&format!("iam-session unlock {}", given(passphrase)));
        assert_eq!(refused.status, 2, "{refused:?}");
        assert!(refused.stderr.contains(why), "{refused:?}");
    }
    login.run(&format!("iam-session unlock {}", given("12345678"))).successful();
    enroll(&scene, &login);
}

#[test]
fn the_terminal_is_asked_without_echo_and_twice_for_a_new_passphrase() {
    let scene = scene();
    let typed = format!("{PASSPHRASE}\n");
    let start = "eval \"$(iam-session start)\"; echo sock=$IAM_SESSION_SOCK";
    let twice = [("New iam-session passphrase: ", &*typed), ("The same again: ", &*typed)];
    let first = on_a_terminal(&scene.host, "bash", start, &twice);
    // The shell has ended, and its agent may not have noticed yet.
    agents_are_gone(&scene.host);
    enrolled_and_stopped(&scene);
    let again = on_a_terminal(&scene.host, "bash", start, &[("passphrase: ", &*typed)]);
    agents_are_gone(&scene.host);
    let csh = "eval \"`iam-session start --shell csh`\"; echo sock=$IAM_SESSION_SOCK";
    let csh = on_a_terminal(&scene.host, "tcsh", csh, &[("passphrase: ", &*typed)]);
    for seen in [first, again, csh] {
        assert!(!seen.contains(PASSPHRASE), "{seen}");
        assert!(seen.contains("sock=/home/alice/"), "{seen}");
    }
}

#[test]
fn a_question_that_is_interrupted_leaves_the_terminal_as_it_was() {
    let scene = scene();
    let script = "eval \"$(iam-session start --no-unlock)\"; trap : INT; iam-session unlock; echo code=$?";
    let seen = on_a_terminal(&scene.host, "bash", script, &[("New iam-session passphrase: ", "half\x03")]);
    assert!(seen.contains("cancelled") && seen.contains("code=6") && !seen.contains("half"), "{seen}");
}

/// What a terminal shows while a shell on it runs a script and its user answers each prompt. At the end it shows what is
/// typed again.
pub(crate) fn on_a_terminal(host: &Host, shell: &str, script: &str, answers: &[(&str, &str)]) -> String {
    host.write("/mnt/script", script, 0o644);
    let conversation = format!(
        "import os, pty, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    os.execvp('{shell}', ['{shell}', '/mnt/script'])
seen = b''
for prompt, answer in {}:
    while not seen.endswith(prompt.encode()):
        seen += os.read(terminal, 1)
    os.write(terminal, answer.encode())
try:
    while True:
        seen += os.read(terminal, 4096)
except OSError:
    pass
os.waitpid(pid, 0)
assert termios.tcgetattr(terminal)[3] & termios.ECHO
sys.stdout.write(seen.decode())",
        serde_json::to_string(answers).unwrap()
    );
    host.write("/mnt/terminal.py", conversation, 0o644);
    let python = "env HOME=/home/alice /mnt/tools/python/bin/python /mnt/terminal.py";
    host.as_user("alice").run(python).successful().stdout
}

#[test]
fn the_passphrase_is_nowhere_in_clear() {
    let scene = scene();
    let login = enrolled(&scene);
    let find = "cat -- $(find ~ /tmp -type f) /proc/[0-9]*/environ /proc/[0-9]*/cmdline";
    let all = login.run(&format!("({find}) 2>/dev/null | tr -c '[:print:]' '\\n'")).stdout;
    assert!(all.contains(login.read(&token_file(&login)).trim()), "the search finds what is there");
    assert!(!all.contains(PASSPHRASE) && !all.contains("refresh_token"));
    let log = scene.host.log_lines().join("\n");
    assert!(!log.contains(PASSPHRASE), "{log}");
}

#[test]
fn at_a_login_by_pam_it_is_locked_and_unlock_opens_it() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    login.run("unset IAM_SESSION_SOCK IAM_SESSION_ID BEARER_TOKEN_FILE").successful();
    start(&login, &given(PASSPHRASE)).successful();
    enroll(&scene, &login);
    login.run("eval \"$(iam-session stop)\"; rm .local/state/iam-session/wlcg.token").successful();

    let login = scene.host.login_that_shows("alice", "iam-session unlock");
    let locked = login.run("iam-session token");
    assert_eq!(locked.status, 6, "{locked:?}");
    login.run(&format!("iam-session unlock {}", given(PASSPHRASE))).successful();
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    let refused = login.run("iam-session stop");
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stdout.contains("was started by a login, and ends with it"), "{refused:?}");
    // A shell that has an agent keeps it.
    let socket = login.env("IAM_SESSION_SOCK");
    start(&login, "").successful();
    assert_eq!(login.env("IAM_SESSION_SOCK"), socket);
}

#[test]
fn one_unlock_is_for_every_session_and_none_takes_from_another() {
    // No node key: what is enrolled here is sealed under a passphrase.
    let host = Host::plan().start();
    let scene = Scene { provider: Provider::start(&host), host };
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    one.run(&format!("iam-session unlock {}", given(PASSPHRASE))).successful();
    enroll(&scene, &one);
    let file = token_file(&one);
    let status: Value = serde_json::from_str(&other.run("iam-session status --json").stdout).unwrap();
    assert_eq!((&status["locked"], &status["accounts"][0]["subject"]), (&json!(["wlcg"]), &json!("alice")));
    assert!(scene.provider.accepts(&other.read(&file)), "it has looked, and left the file alone");
    let locked = other.run("iam-session token -s storage.read:/other");
    assert_eq!(locked.status, 6, "{locked:?}");
    one.run("iam-session token -s storage.read:/one").successful();

    let third = scene.host.login("alice");
    third.run(&format!("iam-session unlock {}", given(PASSPHRASE))).successful();
    one.close();
    scene.host.wait_until("the end of the first agent", || scene.host.agents_of("alice").len() == 2);
    for login in [&other, &third] {
        login.run("iam-session token -s storage.read:/other --force").successful();
    }
}

#[test]
fn a_passphrase_comes_from_a_private_file_or_a_command() {
    let scene = scene();
    let login = enrolled_and_stopped(&scene);
    login
        .run("rm .local/state/iam-session/wlcg.token; start() { iam-session start --no-unlock; }")
        .successful();
    login.run(&format!("(umask 077; echo '{PASSPHRASE}' >secret)")).successful();
    for option in ["--passphrase-file secret", "--passphrase-command 'cat secret'"] {
        login.run("eval \"$(start)\"").successful();
        login.run(&format!("iam-session unlock {option}")).successful();
        login.run("iam-session token -s storage.read:/x --force").successful();
        login.run("eval \"$(iam-session stop)\"").successful();
    }
    login.run("eval \"$(iam-session start --passphrase-file secret)\"").successful();
    login.run("iam-session token -s storage.read:/x --force").successful();
    login.run("eval \"$(iam-session stop)\"; chmod 644 secret").successful();
    start(&login, "--no-unlock").successful();
    let refused = login.run("iam-session unlock --passphrase-file secret");
    assert_eq!((refused.status, refused.stdout.as_str()), (2, ""));
    assert_eq!(
        refused.stderr,
        "iam-session: cannot read a passphrase from secret: others may read or write it; \
         it must be a file of yours with mode 0600 or 0400\n"
    );
    let failed = login.run("iam-session unlock --passphrase-command 'cat secret; false'");
    assert_eq!(failed.status, 1, "{failed:?}");
    assert!(!failed.stderr.contains(PASSPHRASE));
}
