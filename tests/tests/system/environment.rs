//! What a user may put into a login's environment does not reach what handles secrets.

use serde_json::json;
use support::{Enrolling, Host, Process};

use crate::scene::{Scene, is_deserted};

/// What each process of the system has, and nothing else (PROTOCOL.md, section 1).
const FIXED: &str = "PATH=/usr/bin:/bin\n";

/// Says in a file which program has loaded it.
const SPY: &str = r#"
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void spy(void) {
    char name[64];
    int from = open("/proc/self/comm", O_RDONLY), to = open("/tmp/seen", O_WRONLY | O_APPEND);
    if (to >= 0) write(to, name, read(from, name, sizeof name));
    close(from), close(to);
}
"#;

/// A host whose sshd takes what alice has written into ~/.ssh/environment, which is hostile.
fn hostile() -> Scene {
    let scene = Scene::of(Host::plan().sshd_line("PermitUserEnvironment yes"));
    let host = &scene.host;
    let alice = host.as_user("alice");
    alice.run_with_input("cc -shared -fPIC -o spy.so -x c -", SPY.as_bytes()).successful();
    alice.run("mkdir -p -m 0700 .ssh bad/home bad/run && echo bad >bad/ca.pem").successful();
    let lines = "LD_PRELOAD=/home/alice/spy.so\nLD_LIBRARY_PATH=/home/alice/bad\nHOME=/home/alice/bad/home\n\
                 XDG_RUNTIME_DIR=/home/alice/bad/run\nXDG_STATE_HOME=/home/alice/bad\n\
                 XDG_CONFIG_HOME=/home/alice/bad\nTMPDIR=/home/alice/bad\n\
                 SSL_CERT_FILE=/home/alice/bad/ca.pem\nSSL_CERT_DIR=/home/alice/bad\n\
                 X509_CERT_DIR=/home/alice/bad\nHTTPS_PROXY=http://127.0.0.1:9\nhttps_proxy=http://127.0.0.1:9\n\
                 ALL_PROXY=http://127.0.0.1:9\nRUST_BACKTRACE=full\n\
                 BEARER_TOKEN_FILE=/home/alice/bad/token\nIAM_SESSION_SOCK=/home/alice/bad/socket\n";
    alice.run_with_input("cat >.ssh/environment", lines.as_bytes()).successful();
    host.as_root().run("touch /tmp/seen && chmod 0666 /tmp/seen").successful();
    scene
}

/// Everything of ours that runs as alice.
fn ours(host: &Host) -> Vec<Process> {
    let libexec = |process: &Process| {
        process.executable.as_ref().is_some_and(|path| path.starts_with("/usr/libexec/iam-session"))
    };
    host.processes_of("alice").into_iter().filter(libexec).collect()
}

#[test]
fn nothing_of_a_hostile_environment_reaches_agent_mint_or_helper() {
    let scene = hostile();
    let host = &scene.host;
    host.enroll(&scene.provider, "alice");
    let login = host.login("alice");
    assert!(login.env("LD_PRELOAD").is_some_and(|value| value.ends_with("spy.so")), "sshd takes the file");
    // The module's own variables stand above the user's.
    assert_eq!(login.env("BEARER_TOKEN_FILE").as_deref(), Some("/run/iam-session/20001/bt_u20001-iam"));
    assert!(scene.provider.accepts(&login.run("cat $BEARER_TOKEN_FILE").stdout));
    login.run("iam-session token -s storage.read:/x").successful();
    // All three at once: a refresh that does not end.
    scene.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]}));
    login.run("iam-session token -s storage.read:/y >/dev/null 2>&1 &").successful();
    host.wait_until("agent, mint and helper", || ours(host).len() == 3);
    let ours = ours(host);
    assert_eq!(ours.iter().filter(|process| process.name == "helper").count(), 1, "{ours:?}");
    for process in &ours {
        let environment = format!("tr '\\0' '\\n' </proc/{}/environ", process.pid);
        assert_eq!(host.as_root().run(&environment).successful().stdout, FIXED, "{process:?}");
        let mapped = host.as_root().run(&format!("cat /proc/{}/maps", process.pid)).successful().stdout;
        assert!(!mapped.contains("/home/alice"), "{process:?}");
    }
    let seen = host.read("/tmp/seen");
    assert!(seen.contains("bash\n"), "{seen}");
    for name in ["agent\n", "helper\n", "iam-session\n"] {
        assert!(!seen.contains(name), "{name} has loaded what alice told it to: {seen}");
    }
    assert_eq!(host.as_root().run("find /home/alice/bad").stdout.lines().count(), 4, "nothing was put there");
}

#[test]
fn a_first_enrolment_in_a_hostile_environment_is_made_by_a_clean_helper() {
    let scene = hostile();
    let host = &scene.host;
    scene.provider.set(json!({"device_interval": 1}));
    let mut enrolling = Enrolling::start(host, "alice", "wlcg");
    let code = enrolling.event("device_code");
    let helpers = ours(host).into_iter().filter(|process| process.name == "helper");
    for helper in helpers {
        let environment = format!("tr '\\0' '\\n' </proc/{}/environ", helper.pid);
        assert_eq!(host.as_root().run(&environment).successful().stdout, FIXED);
    }
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    enrolling.event("enrolled");
    assert_eq!(enrolling.status(), Some(0));
    assert!(!host.read("/tmp/seen").contains("helper\n"));
    assert!(host.exists("/home/alice/.local/state/iam-session/wlcg.cred"), "in the home of the passwd entry");
    host.wait_until("the end of the agent", || is_deserted(host));
}
