//! Without PAM: an agent that a shell has started.

use std::time::Duration;

use serde_json::{Value, json};
use support::{Host, Login, Output, Provider, wait};

use crate::scene::{Scene, json_of, token_file};

/// What is enrolled here is sealed under it.
pub(crate) const PASSPHRASE: &str = "correct horse battery";
const RUNTIME: &str = "/home/alice/.local/state/iam-session-run/login1";

/// A host whose logins start no agent.
pub(crate) fn scene() -> Scene {
    let host = Host::plan().without_agent().start();
    let provider = Provider::start(&host);
    Scene { provider, host }
}

/// Options that give a passphrase.
pub(crate) fn given(passphrase: &str) -> String {
    format!("--passphrase-fd 3 3<<<'{passphrase}'")
}

/// What `eval "$(iam-session start …)"` does, with the status of the command.
pub(crate) fn start(login: &Login, options: &str) -> Output {
    login.run(&format!("text=\"$(iam-session start {options})\"; code=$?; eval \"$text\"; (exit $code)"))
}

/// Enrols in a shell that has an agent, as its user does.
pub(crate) fn enroll(scene: &Scene, login: &Login) {
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
pub(crate) fn enrolled(scene: &Scene) -> Login {
    let login = scene.host.login("alice");
    start(&login, &given(PASSPHRASE)).successful();
    enroll(scene, &login);
    login
}

/// Waits for the end of alice's agents.
pub(crate) fn agents_are_gone(host: &Host) {
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
    // Its files are gone and its connection has ended when the command returns; the kernel may be at its last page.
    scene.host.wait_until("the agent's end", || scene.host.agents_of("alice").is_empty());
    assert_eq!(login.run(&format!("find {RUNTIME} ! -type d")).stdout, "");
    for name in ["BEARER_TOKEN_FILE", "IAM_SESSION_SOCK", "IAM_SESSION_ID"] {
        assert_eq!(login.env(name), None, "{name}");
    }
    scene.host.wait_until("the end of the mint", || {
        !scene.host.processes_of("alice").iter().any(|process| process.command.ends_with(" mint"))
    });
}

/// `stay` is the one request that the agent itself answers, after all others of a turn.
#[test]
fn what_is_sent_right_after_a_request_to_stay_is_answered_at_once() {
    let scene = scene();
    let login = scene.host.login("alice");
    start(&login, "--no-unlock").successful();
    let program = "import os, socket\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(15)\n\
        s.connect(os.environ['IAM_SESSION_SOCK'])\n\
        s.sendall(b'{\"request\":\"stay\",\"pid\":%d}\\n{\"request\":\"status\"}\\n' % os.getppid())\n\
        data = b''\nwhile data.count(b'\\n') < 2: data += s.recv(65536) or exit('closed')\nprint('two')\n";
    scene.host.write("/var/tmp/ahead.py", program, 0o644);
    assert_eq!(login.run("/mnt/tools/python/bin/python /var/tmp/ahead.py").successful().stdout, "two\n");
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
    assert_eq!(scene.host.as_root().run(&format!("find {RUNTIME} ! -type d")).stdout, "");
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
        scene.host.wait_until("the end of the agent", || scene.host.agents_of("alice").is_empty());
    }
}

/// As daemons do it, and a shell with `trap '' CHLD`: the kernel then keeps no exit status.
#[test]
fn an_agent_whose_starter_ignores_the_ends_of_its_children_ends() {
    let scene = scene();
    let login = scene.host.login("alice");
    let script = "import signal, subprocess\n\
                  signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
                  start = ['iam-session', 'start', '--no-unlock']\n\
                  print(subprocess.run(start, stdout=subprocess.PIPE).stdout.decode())\n";
    scene.host.write("/mnt/script", script, 0o644);
    let started = login.run("/mnt/tools/python/bin/python /mnt/script").successful().stdout;
    assert!(started.contains("IAM_SESSION_SOCK"), "{started}");
    scene.host.wait_until("the end of the agent", || scene.host.agents_of("alice").is_empty());
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

#[test]
fn shells_that_begin_at_once_have_one_agent() {
    let scene = scene();
    let login = scene.host.login("alice");
    let started =
        login.run("for i in 1 2 3 4 5 6; do iam-session start --no-unlock & done; wait").successful();
    let mut sockets: Vec<&str> =
        started.stdout.lines().filter(|line| line.contains("IAM_SESSION_SOCK")).collect();
    assert_eq!(sockets.len(), 6, "{started:?}");
    sockets.dedup();
    assert_eq!((sockets.len(), scene.host.agents_of("alice").len()), (1, 1), "{started:?}");
}

/// A login with the site's agent and one that the user has started besides, elsewhere; and how that one is asked.
fn with_another(scene: &Scene) -> (Login, String) {
    let login = scene.host.login("alice");
    let start = "env -u XDG_RUNTIME_DIR -u IAM_SESSION_SOCK iam-session start --no-unlock";
    let told = login.run(start).successful().stdout;
    assert!(told.contains(RUNTIME), "{told}");
    let socket = login.run(&format!("ls {RUNTIME}/iam-session/*.sock")).successful().stdout;
    (login, format!("IAM_SESSION_SOCK={} iam-session", socket.trim()))
}

#[test]
fn a_lock_holds_for_agents_in_another_directory_and_an_unlock_too() {
    let scene = Scene::enrolled();
    let (login, other) = with_another(&scene);
    let is_locked =
        |command: &str| json_of(&login, &format!("{command} status --json || true"))["host_locked"].clone();
    login.run(&format!("iam-session lock {}", given(PASSPHRASE))).successful();
    assert_eq!((is_locked("iam-session"), is_locked(&other)), (json!(true), json!(true)));
    for span in ["", "--for 1h"] {
        login.run(&format!("iam-session unlock {span} {}", given(PASSPHRASE))).successful();
        assert_eq!((is_locked("iam-session"), is_locked(&other)), (json!(false), json!(false)), "{span}");
        login.run(&format!("iam-session lock {}", given(PASSPHRASE))).successful();
    }
}

#[test]
fn a_revocation_ends_agents_in_another_directory() {
    let scene = Scene::enrolled();
    let (login, _) = with_another(&scene);
    assert_eq!(scene.host.agents_of("alice").len(), 2);
    let told = login.run("iam-session revoke --yes").stdout;
    assert!(told.contains("ended 2 agents"), "{told}");
    agents_are_gone(&scene.host);
}
