//! Clients of the socket that do not behave: others are served all the same.

use std::time::Duration;

use serde_json::json;
use support::{Host, Login};

use crate::scene::{Scene, left_behind, token_file};

/// Far above what an honest client needs on a loaded machine, far below what it would wait.
const SOON: Duration = Duration::from_secs(5);

/// Starts a Python program in the background that has `agent()`, a connection to the login's agent, and ends with
/// the login. Waits until it has printed `ready`.
fn start(host: &Host, login: &Login, program: &str) {
    let preamble = "import os, socket, time\n\
        def agent():\n    s = socket.socket(socket.AF_UNIX)\n    s.connect(os.environ[\"IAM_SESSION_SOCK\"])\n    return s\n";
    host.write("/var/tmp/client.py", format!("{preamble}{program}"), 0o644);
    login
        .run("(timeout 60 /mnt/tools/python/bin/python -u /var/tmp/client.py >said 2>&1 </dev/null &)")
        .successful();
    host.wait_until("the program", || login.run("cat said").stdout.contains("ready"));
}

fn is_served_soon(login: &Login) {
    // Of the agent: without its variable the command line does not look into the cache.
    let served = login.run("env -u IAM_SESSION_SOCK iam-session token").successful();
    assert!(served.elapsed < SOON, "{:?}", served.elapsed);
}

fn memory_of_the_agent(host: &Host) -> u64 {
    let mut agents = host.agents_of("alice");
    agents.retain(|process| !process.command.contains("mint"));
    let line = host.as_root().run(&format!("grep VmHWM /proc/{}/status", agents[0].pid)).stdout;
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn one_that_sends_ahead_without_end_does_not_fill_the_agents_memory() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let flood = "import threading\ns = agent()\n\
        threading.Thread(target=lambda: [None for _ in iter(lambda: s.recv(1 << 20), b\"\")], daemon=True).start()\n\
        sent = 0\nwhile True:\n    sent += s.send(b\"\\n\" * 65536)\n    if sent > 1 << 18: print(\"ready\"); sent = -1 << 60\n";
    start(&scene.host, &login, flood);
    is_served_soon(&login);
    let kilobytes = memory_of_the_agent(&scene.host);
    assert!(kilobytes < 20_000, "{kilobytes} kB");
}

#[test]
fn requests_before_a_half_close_are_answered() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let ask = "s = agent()\ns.sendall(b'{\"request\":\"status\"}\\n' * 3)\ns.shutdown(socket.SHUT_WR)\ndata = b''\n\
        while True:\n    more = s.recv(65536)\n    if not more: break\n    data += more\nprint('ready', data.count(b'\\n'))\n";
    start(&scene.host, &login, ask);
    assert_eq!(login.run("cat said").stdout, "ready 3\n");
}

#[test]
fn those_that_ask_and_leave_queue_no_work_without_end() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let flood = "for _ in range(5000):\n    s = agent()\n    s.sendall(b'{\"request\":\"status\"}\\n')\n    s.close()\nprint('ready')\n";
    start(&scene.host, &login, flood);
    let served = login.run("iam-session token -s storage.read:/new").successful();
    assert!(served.elapsed < SOON, "{:?}", served.elapsed);
}

#[test]
fn those_that_never_read_keep_nobody_out() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let squat = "held = []\nfor _ in range(512):\n    s = agent()\n    s.setblocking(False)\n    held.append(s)\n\
        end = time.monotonic() + 3\nwhile time.monotonic() < end:\n    for s in held:\n        try:\n            \
        while True: s.send(b'{\"request\":\"access_token\"}\\n' * 1000)\n        except OSError: pass\nprint('ready')\n\
        time.sleep(50)\n";
    start(&scene.host, &login, squat);
    is_served_soon(&login);
}

#[test]
fn those_that_wait_for_an_issuer_that_hangs_keep_nobody_out() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]}));
    let wait = "import json, select\nheld = []\nfor n in range(128):\n    s = agent()\n    s.sendall(json.dumps(\
        {\"request\": \"access_token\", \"scope\": f\"storage.read:/{n}\"}).encode() + b'\\n')\n    held.append(s)\n\
        busy = 0\nend = time.monotonic() + 50\nwhile busy < 32 and time.monotonic() < end:\n    \
        for s in select.select(held, [], [], 1)[0]:\n        reply = json.loads(s.recv(65536))\n        \
        assert reply['kind'] == 'unreachable' and 'too many' in reply['error'], reply\n        busy += 1\n        \
        held.remove(s)\nprint('ready', busy, len(held), flush=True)\ntime.sleep(50)\n";
    start(&scene.host, &login, wait);
    assert_eq!(login.run("cat said").stdout, "ready 32 96\n");
    // What is at hand, and what is not: at once, for the issuer hangs for those alone who wait for it.
    is_served_soon(&login);
    // The command line asks again for 10 s: a crowd may be gone by then.
    let one_more = login.run("iam-session token -s storage.read:/one-more");
    assert!(one_more.stderr.contains("too many requests"), "{one_more:?}");
    assert!(one_more.status == 7 && one_more.elapsed < SOON + Duration::from_secs(10), "{one_more:?}");
}

#[test]
fn a_planted_cache_does_not_end_the_agent() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let plant = r#"cd $(dirname $BEARER_TOKEN_FILE)/iam-session/cache &&
        sed -i 's/"ends":{"secs":[0-9]*/"ends":{"secs":18446744073709551615/' *"#;
    login.run(plant).successful();
    assert_eq!(login.run("iam-session status").status, 0);
    login.run("iam-session token -s storage.read:/x").successful();
}

#[test]
fn what_a_killed_mint_left_half_written_goes_with_the_last_login() {
    let scene = Scene::enrolled();
    scene.host.wait_until("the end of the enrolment's login", || scene.host.agents_of("alice").is_empty());
    let login = scene.host.login("alice");
    let file = token_file(&login);
    let plant = "cp $BEARER_TOKEN_FILE $(dirname $BEARER_TOKEN_FILE)/.bt_u20001-iam.0123456789abcdef";
    login.run(plant).successful();
    login.close();
    scene.host.wait_until_gone(&file);
    scene.host.wait_until("the end of alice's processes", || scene.host.processes_of("alice").is_empty());
    assert_eq!(left_behind(&scene.host), "");
}
