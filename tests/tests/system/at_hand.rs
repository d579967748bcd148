//! Answers out of the cache: they cost an agent little, and are what the files say at that moment, whoever has changed
//! them. The command line reads the same files itself, so these tests ask at an agent's socket.

use serde_json::{Value, json};
use support::{Background, Login};

use crate::measure::script;
use crate::scene::Scene;

/// Reads and writes, a wait, and a look at each file that an answer depends on: 8 or 9. More files are read while an
/// agent or its mint has just begun.
const CALLS_A_REQUEST: u64 = 16;
const REQUESTS: u64 = 300;

/// Kilobytes. A program as it is shipped has 100, and one that was compiled quickly half as much again.
const OWN_MEMORY: u64 = 160;

/// What this login's agent answers, asked so often by one client.
fn ask(login: &Login, how_often: u64) -> Value {
    let text = login.run(&format!("python3 /mnt/ask.py $IAM_SESSION_SOCK {how_often}")).successful().stdout;
    serde_json::from_str(&text).unwrap()
}

fn scene() -> Scene {
    let scene = Scene::enrolled();
    script(&scene.host, "ask.py", include_str!("ask.py"));
    scene
}

fn token(login: &Login) -> String {
    let answer = ask(login, 1);
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn a_request_for_a_token_at_hand_costs_a_dozen_system_calls() {
    let scene = scene();
    let login = scene.host.login("alice");
    token(&login);
    let agent = scene.host.agents_of("alice").remove(0).pid;
    let trace = format!(
        "strace -c -o /var/tmp/calls -p {agent} 2>&1 & read -r _; kill -TERM $!; wait; cat /var/tmp/calls"
    );
    let mut root = scene.host.as_root().command("sh");
    root.args(["-c", &trace]);
    let mut strace = Background::start(root);
    assert!(strace.line().contains("attached"));
    ask(&login, REQUESTS);
    let table = strace.finish();
    let total = table.lines().find(|line| line.ends_with(" total")).unwrap_or_else(|| panic!("{table}"));
    let calls: u64 = total.split_whitespace().nth(3).unwrap().parse().unwrap();
    println!("{:.1} system calls a request", calls as f64 / REQUESTS as f64);
    assert!(calls > REQUESTS && calls < CALLS_A_REQUEST * REQUESTS, "{table}");
}

#[test]
fn an_agent_that_has_answered_has_little_memory_of_its_own() {
    let scene = scene();
    let login = scene.host.login("alice");
    ask(&login, REQUESTS);
    let agent = scene.host.agents_of("alice").remove(0).pid;
    let own = format!("awk '/^Anonymous:/ {{ sum += $2 }} END {{ print sum }}' /proc/{agent}/smaps");
    let kilobytes: u64 = scene.host.as_root().run(&own).successful().stdout.trim_end().parse().unwrap();
    println!("{kilobytes} kB");
    assert!(kilobytes > 0 && kilobytes < OWN_MEMORY, "{kilobytes} kB");
}

#[test]
fn what_another_login_has_minted_is_answered_next() {
    let scene = scene();
    let (login, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let first = token(&login);
    // A new one is minted once in ten seconds.
    let mut second = first.clone();
    scene.host.wait_until("a new token", || {
        other.run("iam-session token --force").successful().stdout.trim_end().clone_into(&mut second);
        second != first
    });
    assert_eq!(token(&login), second);
    scene.provider.verify(&second);
}

#[test]
fn after_a_lock_and_after_the_account_is_forgotten_nothing_of_before_is_answered() {
    let scene = scene();
    let (login, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let first = token(&login);
    other.run("iam-session lock --passphrase-fd 3 3<<<'correct horse battery'").successful();
    assert_eq!(ask(&login, 1)["kind"], json!("locked"));
    other.run("iam-session unlock --passphrase-fd 3 3<<<'correct horse battery'").successful();
    scene.host.wait_until("a token", || ask(&login, 1)["status"] == json!("success"));
    assert_ne!(first, "");
    other.run("iam-session forget --local wlcg").successful();
    assert_eq!(ask(&login, 1)["kind"], json!("not_enrolled"));
}

#[test]
fn an_agent_that_has_just_answered_gives_nothing_once_its_user_is_listed() {
    let scene = scene();
    let login = scene.host.login("alice");
    token(&login);
    let agent = scene.host.agents_of("alice").remove(0);
    // So that what it is asked comes after the list, and it has not been told of that before.
    scene.host.kill("STOP", &agent);
    let asked = "python3 /mnt/ask.py $IAM_SESSION_SOCK 1 >answer 2>&1 &";
    login.run(asked).successful();
    let connected = "import sys; sys.exit(0 if open('/proc/net/unix').read().count('.sock') > 1 else 1)";
    scene.host.wait_until("the client", || login.run(&format!("python3 -c \"{connected}\"")).status == 0);
    scene.host.write("/etc/iam-session/revoked", "alice\n", 0o644);
    scene.host.kill("CONT", &agent);
    scene.host.wait_until("the end of the agent", || scene.host.agents_of("alice").is_empty());
    login.run("wait");
    let answer = login.run("cat answer").stdout;
    assert!(!answer.contains("eyJ"), "{answer}");
}
