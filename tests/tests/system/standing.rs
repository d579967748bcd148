//! Without PAM: an agent that a shell has started, and a passphrase in the place of a node key.

use std::time::Duration;

use serde_json::{Value, json};
use support::{Host, Login, Output, Provider, wait};

use crate::scene::{Scene, json_of, token_file};

const PASSPHRASE: &str = "correct horse battery";
const RUNTIME: &str = "/home/alice/.local/state/iam-session-run/login1";

/// A host whose logins start no agent.
fn scene() -> Scene {
    let host = Host::plan().without_agent().start();
    let provider = Provider::start(&host);
    Scene { provider, host }
}

fn given(passphrase: &str) -> String {
    format!("--passphrase-fd 3 3<<<'{passphrase}'")
}

/// What `eval "$(iam-session start …)"` does, with the status of the command.
fn start(login: &Login, options: &str) -> Output {
    login.run(&format!("text=\"$(iam-session start {options})\"; code=$?; eval \"$text\"; (exit $code)"))
}

/// Enrols in a shell that has an agent, as its user does.
fn enroll(scene: &Scene, login: &Login) {
    scene.provider.set(json!({"device_interval": 1}));
    login.run("iam-session enroll --json wlcg >enroll.json 2>enroll.err &").successful();
    let event = || -> Option<Value> {
        serde_json::from_str(login.run("cat enroll.json").stdout.lines().next()?).ok()
    };
    let came = wait::succeeds(|| event().is_some());
    assert!(came, "{}", login.run("cat enroll.err").stdout);
    scene.provider.approve(event().unwrap()["user_code"].as_str().unwrap(), "alice");
    login.run("wait").successful();
    assert!(
        login.run("cat enroll.json").stdout.contains("\"enrolled\""),
        "{}",
        login.run("cat enroll.err").stdout
    );
}

/// A login that has enrolled under the passphrase.
fn enrolled(scene: &Scene) -> Login {
    let login = scene.host.login("alice");
    start(&login, &given(PASSPHRASE)).successful();
    enroll(scene, &login);
    login
}

/// The same, and its agent is gone.
fn enrolled_and_stopped(scene: &Scene) -> Login {
    let login = enrolled(scene);
    login.run("eval \"$(iam-session stop)\"").successful();
    login
}

fn agents_are_gone(host: &Host) {
    host.wait_until("the end of the agents", || host.agents_of("alice").is_empty());
}

#[test]
fn a_shell_starts_its_agent_and_ends_it() {
    let scene = scene();
    let login = scene.host.login("alice");
    assert_eq!(login.env("IAM_SESSION_SOCK"), None);
    login.run(&format!("eval \"$(iam-session start {})\"", given(PASSPHRASE))).successful();
    enroll(&scene, &login);
    let file = token_file(&login);
    assert_eq!(file, format!("{RUNTIME}/bt_u20001-iam"));
    assert!(scene.provider.accepts(&login.read(&file)));
    assert_eq!(login.run(&format!("stat -c '%a %U' {RUNTIME}")).stdout, "700 alice\n");
    let other = login.run("iam-session token -s storage.read:/cms").successful();
    assert_eq!(scene.provider.verify(&other.stdout)["scope"], "storage.read:/cms");

    login.run("eval \"$(iam-session stop)\"").successful();
    assert!(scene.host.agents_of("alice").is_empty(), "it is gone when the command returns");
    assert_eq!(login.run(&format!("find {RUNTIME} -mindepth 1")).stdout, "");
    for name in ["BEARER_TOKEN_FILE", "IAM_SESSION_SOCK", "IAM_SESSION_ID"] {
        assert_eq!(login.env(name), None, "{name}");
    }
    scene.host.wait_until("the end of the mint", || {
        !scene.host.processes_of("alice").iter().any(|process| process.command.ends_with(" mint"))
    });
}

#[test]
fn a_second_shell_finds_the_first_ones_agent_and_keeps_it() {
    let scene = scene();
    let (one, other) = (enrolled(&scene), scene.host.login("alice"));
    // Nothing is asked, so nothing need be given.
    let found = start(&other, "").successful();
    assert_eq!(found.stderr, "");
    assert_eq!(other.env("IAM_SESSION_ID"), one.env("IAM_SESSION_ID"));
    assert_eq!(scene.host.agents_of("alice").len(), 1);
    start(&other, "").successful();
    one.close();
    // The first shell is gone for longer than the pauses between the agent's looks.
    let pid = json_of(&other, "iam-session status --json")["pid"].clone();
    let refreshed = || other.run("iam-session token -s storage.read:/later --force").successful();
    wait::until("a few looks at the shells", || {
        refreshed();
        other.run(&format!("test $(ps -o etimes= -p {pid}) -ge 6")).status == 0
    });
    assert_eq!(scene.host.agents_of("alice").len(), 1);
    other.close();
    agents_are_gone(&scene.host);
}

#[test]
fn it_ends_with_its_shell_and_leaves_nothing() {
    let scene = scene();
    let login = enrolled(&scene);
    let file = token_file(&login);
    login.close();
    scene.host.wait_until_gone(&file);
    agents_are_gone(&scene.host);
    assert_eq!(scene.host.as_root().run(&format!("find {RUNTIME} -mindepth 1")).stdout, "");
}

#[test]
fn a_subshell_that_runs_the_command_is_not_taken_for_the_shell() {
    let scene = scene();
    let login = scene.host.login("alice");
    // It has ended, and the shell has no child, long before the agent looks for the third time.
    login.run("eval \"$(true; iam-session start --no-unlock; true)\"").successful();
    let pid = json_of(&login, "iam-session status --json || true")["pid"].clone();
    wait::until("a few looks at the shell", || {
        login.run(&format!("test $(ps -o etimes= -p {pid}) -ge 2")).status == 0
    });
    assert_eq!(login.run("iam-session status").status, 3, "it is there, and nothing is enrolled");
}

#[test]
fn what_the_shell_left_running_keeps_its_token() {
    let scene = scene();
    let login = enrolled(&scene);
    let file = token_file(&login);
    login.run("nohup sleep 1000 >/dev/null 2>&1 </dev/null &").successful();
    login.close();
    scene.host.wait_for_log("what it left running keeps its token");
    let token = scene.host.as_user("alice").run(&format!("cat {file}")).successful().stdout;
    assert!(scene.provider.accepts(&token));
    scene.host.as_user("alice").run("pkill -x sleep").successful();
    wait::within(Duration::from_secs(60), "the end of the agent", || {
        scene.host.agents_of("alice").is_empty()
    });
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
fn a_wrong_passphrase_is_told_and_the_next_one_waits() {
    let scene = scene();
    let login = enrolled_and_stopped(&scene);
    login.run("rm .local/state/iam-session/wlcg.token").successful();
    let wrong = start(&login, &given("Correct horse battery"));
    assert_eq!(wrong.status, 6, "{wrong:?}");
    assert_eq!(
        wrong.stderr,
        "iam-session: the passphrase is wrong: it does not open 'wlcg'; run 'iam-session unlock' to try again\n"
    );
    // The agent is there all the same. Its next answer is a second away, the one after that two more.
    let again = login.run(&format!("iam-session unlock {}", given("correct horse")));
    assert_eq!(again.status, 6, "{again:?}");
    let right = login.run(&format!("iam-session unlock {}", given(PASSPHRASE))).successful();
    assert!(right.elapsed > Duration::from_secs(1), "{:?}", right.elapsed);
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
    for (prompts, tail) in [
        (&["New iam-session passphrase: ", "The same again: "][..], "iam-session status; iam-session stop"),
        (&["passphrase: "], "exit"),
    ] {
        let seen = on_a_terminal(&scene.host, prompts, tail);
        assert!(!seen.contains(PASSPHRASE), "{seen}");
        assert!(seen.contains("sock=/home/alice/") && seen.contains(" echo "), "{seen}");
        // For the second round there must be something to open.
        if prompts.len() == 2 {
            enrolled_and_stopped(&scene);
        }
    }
}

/// What a terminal shows while a shell on it starts an agent and its user answers each prompt with the passphrase.
fn on_a_terminal(host: &Host, prompts: &[&str], tail: &str) -> String {
    let script = format!(
        "import os, pty, re, sys
pid, fd = pty.fork()
if pid == 0:
    line = 'eval \"$(iam-session start)\"; echo sock=$IAM_SESSION_SOCK; stty -a; {tail}'
    os.execvp('bash', ['bash', '-c', line])
seen = b''
def read():
    global seen
    try:
        piece = os.read(fd, 4096)
    except OSError:
        piece = b''
    seen += piece
    return piece
for prompt in {prompts:?}:
    while prompt.encode() not in seen:
        if not read():
            sys.exit(seen.decode())
    os.write(fd, b'{PASSPHRASE}\\n')
while read():
    pass
os.waitpid(pid, 0)
sys.stdout.write(seen.decode())"
    );
    host.write("/mnt/terminal.py", script, 0o644);
    let environment = "env HOME=/home/alice /mnt/tools/python/bin/python /mnt/terminal.py";
    host.as_user("alice").run(environment).successful().stdout
}

#[test]
fn every_shell_takes_what_is_printed_for_it() {
    let scene = scene();
    let login = scene.host.login("alice");
    // As bad as the name of a directory gets.
    login
        .run(r#"export XDG_RUNTIME_DIR="$HOME/it's \$(x)!*"; mkdir -m 0700 "$XDG_RUNTIME_DIR""#)
        .successful();
    let expected = format!("/home/alice/it's $(x)!*/bt_u{}-iam\n", scene.host.uid("alice"));
    let print = "printenv BEARER_TOKEN_FILE; printenv IAM_SESSION_SOCK | xargs -0 dirname >/dev/null";
    for (shell, start, stop) in [
        ("bash", "eval \"$(iam-session start --no-unlock)\"", "eval \"$(iam-session stop)\""),
        ("dash", "eval \"$(iam-session start --no-unlock)\"", "eval \"$(iam-session stop)\""),
        ("tcsh", "eval \"`iam-session start --no-unlock`\"", "eval \"`iam-session stop`\""),
        ("fish", "iam-session start --no-unlock | source", "iam-session stop | source"),
    ] {
        let script = format!("{start}\n{print}\n{stop}\nprintenv IAM_SESSION_ID\ntrue\n");
        scene.host.write("/mnt/script", script, 0o644);
        let output = login.run(&format!("SHELL=$(command -v {shell}) {shell} /mnt/script")).successful();
        assert_eq!((output.stdout, output.stderr), (expected.clone(), String::new()), "{shell}");
        assert!(scene.host.agents_of("alice").is_empty(), "{shell}");
    }
}

#[test]
fn nothing_of_the_shell_reaches_the_agent() {
    let scene = scene();
    let login = scene.host.login("alice");
    login.run("exec 7</etc/passwd; export CANARY=1; umask 000; trap '' HUP").successful();
    start(&login, &given(PASSPHRASE)).successful();
    let agent = scene.host.agents_of("alice").remove(0);
    let root = scene.host.as_root();
    assert_eq!(
        root.run(&format!("tr '\\0' '\\n' </proc/{}/environ", agent.pid)).stdout,
        "PATH=/usr/bin:/bin\n"
    );
    assert_eq!(root.run(&format!("readlink /proc/{}/cwd", agent.pid)).stdout, "/\n");
    let descriptors = root.run(&format!("readlink /proc/{}/fd/*", agent.pid)).stdout;
    assert!(!descriptors.contains("passwd"), "{descriptors}");
    let session = root.run(&format!("ps -o sid= -p {}", agent.pid)).stdout;
    assert_eq!(session.trim(), agent.pid.to_string(), "a session of its own");
    for file in ["mem", "environ", "maps"] {
        assert_ne!(login.run(&format!("head -c1 /proc/{}/{file}", agent.pid)).status, 0, "{file}");
    }
    scene.host.wait_until("the token directory", || scene.host.exists(RUNTIME));
    assert_eq!(login.run(&format!("find {RUNTIME} -perm /077 | wc -l")).stdout, "0\n");
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

    let login = scene.host.login_on_terminal("alice");
    assert!(login.greeting().contains("iam-session unlock"), "{:?}", login.greeting());
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
fn an_agent_without_keys_takes_nothing_from_one_that_has_them() {
    let scene = Scene::of(Host::plan().with_logind_runtime("alice"));
    scene.host.enroll(&scene.provider, "alice");
    let (login, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let file = token_file(&login);
    other.run("unset IAM_SESSION_SOCK; export XDG_RUNTIME_DIR=/run/user/20001").successful();
    start(&other, "--no-unlock").successful();
    assert_eq!(token_file(&other), file);
    assert_ne!(other.env("IAM_SESSION_SOCK"), login.env("IAM_SESSION_SOCK"));
    // It looks at the store, cannot open the record, and leaves it at that.
    let status: Value = serde_json::from_str(&other.run("iam-session status --json").stdout).unwrap();
    assert_eq!(status["accounts"][0]["issuer"], "https://iam.example/", "{status}");
    assert!(scene.provider.accepts(&login.read(&file)));
    login.run("iam-session status").successful();
    // With the last agent that has the key goes what the others knew.
    let keyed =
        || scene.host.agents_of("alice").into_iter().filter(|agent| !agent.command.contains("standing"));
    keyed().for_each(|agent| scene.host.kill("TERM", &agent));
    scene.host.wait_until("the end of the logins' agents", || keyed().next().is_none());
    let closed = other.run("iam-session token -s storage.read:/new");
    assert!(closed.stderr.contains("no node key of this host opens"), "{closed:?}");
}
