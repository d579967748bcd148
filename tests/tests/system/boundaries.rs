//! Who may touch what.

use support::{Host, Process};

use crate::scene::{Scene, token_file};

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
    // The lifeline; null in the place of the standard streams; what the agent opened itself.
    let kinds = root.run(&format!("readlink /proc/{pid}/fd/* | sed 's/:.*//' | sort -u")).stdout;
    let foreign = |line: &&str| !line.starts_with("/run/iam-session/20001") && !KNOWN.contains(line);
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
