//! Who may touch what.

use serde_json::json;
use support::{Background, Host, Process};

use crate::measure::script;
use crate::scene::{Scene, is_deserted, token_file};

const PROGRAMS: &str = "/usr/libexec/iam-session";

/// The one agent of alice's one login.
fn agent_of_alice(host: &Host) -> Process {
    let mut agents = host.agents_of("alice");
    agents.retain(|process| !process.command.contains("mint"));
    assert_eq!(agents.len(), 1, "{agents:?}");
    agents.remove(0)
}

#[test]
fn another_user_gets_not_a_byte() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let socket = login.env("IAM_SESSION_SOCK").unwrap();
    // The directory is shut; with that out of the way the agent itself refuses.
    let connect = format!(
        "/mnt/tools/python/bin/python -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(\"{socket}\")
try:
    s.sendall(b\"{{\\\"request\\\":\\\"status\\\"}}\\n\")
    print(len(s.recv(100)))
except (BrokenPipeError, ConnectionResetError):
    print(0)'"
    );
    assert_ne!(scene.host.as_user("bob").run(&connect).status, 0);
    let open = "chmod 0711 /run/iam-session/20001 /run/iam-session/20001/iam-session";
    scene.host.as_root().run(&format!("{open}; chmod 0666 {socket}")).successful();
    assert_eq!(scene.host.as_user("bob").run(&connect).successful().stdout, "0\n");
    assert_eq!(scene.host.as_user("alice").run(&connect).successful().stdout, "100\n");
}

#[test]
fn the_agent_is_one_thread_with_no_network_and_no_secret_for_its_owner() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/x").successful();
    let pid = agent_of_alice(&scene.host).pid;
    assert_eq!(scene.host.as_root().run(&format!("ls /proc/{pid}/task | wc -l")).stdout, "1\n");
    let sockets = format!("readlink /proc/{pid}/fd/* | sed -n 's/socket:.\\(.*\\)./\\1/p' | sort");
    let sockets = scene.host.as_root().run(&sockets).successful().stdout;
    let unix = scene.host.as_root().run("awk '{print $7}' /proc/net/unix").stdout;
    let unix: Vec<&str> = unix.lines().collect();
    assert!(sockets.lines().count() > 0);
    assert!(sockets.lines().all(|inode| unix.contains(&inode)), "{sockets}");
    // Its owner reads neither memory nor descriptors nor environment, and attaches to nothing.
    for file in ["mem", "environ", "maps", "fd/0"] {
        assert_ne!(login.run(&format!("head -c1 /proc/{pid}/{file}")).status, 0, "{file}");
    }
}

#[test]
fn nothing_of_sshd_reaches_the_agent() {
    let scene = Scene::enrolled();
    let _login = scene.host.login("alice");
    let pid = agent_of_alice(&scene.host).pid;
    let root = scene.host.as_root();
    assert_eq!(root.run(&format!("tr '\\0' '\\n' </proc/{pid}/environ")).stdout, "PATH=/usr/bin:/bin\n");
    let status = root.run(&format!("cat /proc/{pid}/status")).stdout;
    for line in [
        "Uid:\t20001\t20001\t20001\t20001",
        "Gid:\t20001\t20001\t20001\t20001",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapInh:\t0000000000000000",
        "CapAmb:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    assert_eq!(root.run(&format!("readlink /proc/{pid}/cwd")).stdout, "/\n");
    // The lifeline; null in the place of the standard streams; the session's record; what the agent opened itself.
    let kinds = root.run(&format!("readlink /proc/{pid}/fd/* | sed 's/:.*//' | sort -u")).stdout;
    let foreign = |line: &&str| {
        !["/run/iam-session/20001", "/run/pam_iam/"].iter().any(|ours| line.starts_with(ours))
            && !KNOWN.contains(line)
    };
    assert_eq!(kinds.lines().filter(foreign).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// A static program asks /dev/urandom: it cannot look for getrandom(2) in a C library of unknown age.
const KNOWN: [&str; 5] = ["/dev/null", "/dev/urandom", "anon_inode", "pipe", "socket"];

#[test]
fn what_the_user_has_not_been_given_the_user_does_not_find() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    // Everything the user can read: the store, the runtime directory, the environment of every process of hers.
    let find =
        "cat -- $(find ~ $(dirname $BEARER_TOKEN_FILE) -type f) /proc/[0-9]*/environ /proc/[0-9]*/cmdline";
    let all = login.run(&format!("({find}) 2>/dev/null | tr -c '[:print:]' '\\n'")).stdout;
    assert!(all.contains(login.read(&token_file(&login)).trim()), "the search finds what is there");
    for secret in ["refresh_token", "client_secret", "registration_access_token"] {
        assert!(!all.contains(secret), "{secret}");
    }
    // The refresh token is an unsigned JWT: {"alg":"none"}.
    assert!(!all.contains("eyJhbGciOiJub25lIn0"));
}

#[test]
fn a_user_below_the_limit_or_on_the_list_is_not_served() {
    let host = Host::plan().pam_options("min_uid=20002").start();
    assert_eq!(host.ssh("alice", "printenv IAM_SESSION_ID").status, 1);
    assert_eq!(host.ssh("bob", "printenv IAM_SESSION_ID").status, 0);
    host.write("/etc/iam-session/revoked", "bob\n", 0o644);
    assert_eq!(host.ssh("bob", "printenv IAM_SESSION_ID").status, 1);
}

#[test]
fn only_members_of_the_named_groups_are_served() {
    let host = Host::plan().pam_options("groups=bob,wheel").start();
    assert_eq!(host.ssh("alice", "printenv IAM_SESSION_ID").status, 1);
    assert_eq!(host.ssh("bob", "printenv IAM_SESSION_ID").status, 0);
    assert!(host.agents_of("alice").is_empty());
}

#[test]
fn agent_mint_and_helper_hold_their_sessions_record_until_the_last_of_them_has_ended() {
    let scene = Scene::of(Host::plan().site("linger = \"no\""));
    let (host, root) = (&scene.host, scene.host.as_root());
    host.enroll(&scene.provider, "alice");
    host.wait_until("the end of the enrolment's login", || host.processes_of("alice").is_empty());
    let login = host.login("alice");
    let record = format!("/run/pam_iam/{}", login.env("IAM_SESSION_ID").unwrap());
    let refreshes = scene.provider.count("refresh");
    scene.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]}));
    login.run("iam-session token -s storage.read:/y >/dev/null 2>&1 &").successful();
    host.wait_until("the request", || scene.provider.count("refresh") > refreshes);
    let ours = || -> Vec<Process> {
        let mut all = host.processes_of("alice");
        all.retain(|process| process.executable.as_ref().is_some_and(|path| path.starts_with(PROGRAMS)));
        all
    };
    assert_eq!(ours().len(), 3, "agent, mint and helper");
    for process in ours() {
        let descriptor = format!("readlink /proc/{}/fd/2", process.pid);
        assert_eq!(root.run(&descriptor).stdout.trim_end(), record, "{process:?}");
    }
    login.close();
    host.wait_until("the end of the agent", || ours().len() == 2);
    host.login("bob").close();
    assert_eq!(root.run(&format!("test -e {record}")).status, 0, "mint and helper hold it");
    ours().iter().for_each(|process| host.kill("KILL", process));
    host.wait_until("the end of mint and helper", || ours().is_empty());
    host.login("bob").close();
    assert_eq!(root.run(&format!("test -e {record}")).status, 1, "a login removes what nobody holds");
}

/// kill(2) leaves out who calls it.
const SHOWER: &str = "import os, signal
print('ready', flush=True)
while True:
    for number in (signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT):
        try:
            os.kill(-1, number)
        except ProcessLookupError:
            pass
";

#[test]
fn a_user_who_showers_new_processes_with_signals_fails_no_login_and_gets_no_core_file() {
    let host = Host::start();
    host.add_node_key();
    let [python, path] = script(&host, "shower.py", SHOWER);
    let mut shower = host.as_user("alice").command(&python);
    shower.arg(&path);
    let mut shower = Background::start(shower);
    shower.line();
    let cycles = "pamtester -v sshd alice open_session close_session";
    let told = host.as_root().run(&format!("cd /mnt && for i in $(seq 100); do {cycles} || exit 1; done"));
    assert_eq!(told.successful().stdout.matches("successfully opened a session").count(), 100);
    assert_eq!(host.as_root().run("find / -xdev -name 'core*' -newer /mnt/shower.py -type f").stdout, "");
    drop(shower);
    host.as_root().run("pkill -KILL -u alice");
    host.wait_until("the end of the last agent", || is_deserted(&host));
}

#[test]
fn a_user_who_fills_run_iam_session_hides_nobody_from_root() {
    let host = Host::plan().with_logind_runtime("bob").start();
    let fill = "install -d -m 0700 -o alice /run/iam-session/20001
                su alice -s /bin/sh -c 'head -c 1G /dev/zero >/run/iam-session/20001/full'";
    assert_ne!(host.as_root().run(fill).status, 0, "it has room for more");
    let login = host.login("bob");
    let record = format!("/run/pam_iam/{}", login.env("IAM_SESSION_ID").unwrap());
    assert!(host.as_root().run(&format!("cat {record}")).successful().stdout.contains("\nagent="));
    let listed = host.as_root().run("iam-session-admin sessions").successful().stdout;
    assert!(listed.contains("127.0.0.1"), "{listed}");
}
