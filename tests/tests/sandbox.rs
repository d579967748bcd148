//! The machine that the other tests log in to is a real one, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

use std::fs;
use std::process::Command;

use support::{Host, Output, Provider, Way, wait};

fn plain() -> Host {
    Host::plan().without_agent().start()
}

#[test]
fn a_user_logs_in_through_the_real_sshd() {
    let host = plain();
    let login = host.login("alice");
    assert_eq!(login.run("id -un; hostname").stdout, "alice\nlogin1\n");
    assert_eq!(login.env("HOME").as_deref(), Some("/home/alice"));
    assert_eq!(login.env("BEARER_TOKEN_FILE"), None);
    assert!(host.wait_for_log("Accepted publickey for alice").contains("sshd["));
    login.close();
    host.wait_for_log("Disconnected from user alice");
}

#[test]
fn a_shell_keeps_its_state_and_tells_output_from_errors() {
    let host = plain();
    let login = host.login("alice");
    login.run("cd /tmp; x=1");
    let output = login.run("pwd; echo \"it's $x\"; echo wrong >&2; (exit 3)");
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("/tmp\nit's 1\n", "wrong\n"));
    assert_eq!(output.status, 3);
    login.run("printf hello >file");
    assert_eq!(login.read("/tmp/file"), "hello");
}

#[test]
fn a_terminal_is_one() {
    let host = plain();
    let login = host.login_on_terminal("alice");
    assert_eq!(login.run("tty <&1; echo wrong >&2").stdout, "/dev/pts/0\nwrong\n");
    assert_eq!(login.run("false").status, 1);
    login.close();
}

#[test]
fn a_command_is_run_without_a_shell() {
    let host = plain();
    let output = host.ssh("bob", "id -un; exit 7");
    assert_eq!((output.stdout.as_str(), output.status), ("bob\n", 7));
    assert!(output.elapsed < wait::DEADLINE);
}

#[test]
fn users_are_themselves_without_a_login() {
    let host = plain();
    let bob = host.as_user("bob").run("id -un; id -Gn; pwd; printenv USER").stdout;
    assert_eq!(bob, "bob\nbob\n/home/bob\nbob\n");
    assert_eq!(host.as_user("bob").run("cat /home/alice/x").status, 1);
    assert_eq!(host.as_root().run("id -u").stdout, "0\n");
}

#[test]
fn a_runtime_directory_is_as_from_logind() {
    let host = Host::plan().without_agent().with_logind_runtime("alice").start();
    let login = host.login("alice");
    assert_eq!(login.env("XDG_RUNTIME_DIR").as_deref(), Some("/run/user/20001"));
    assert_eq!(
        login.run("stat -c '%U %a' /run/user/20001; mountpoint -q /run/user/20001").stdout,
        "alice 700\n"
    );
    assert_eq!(host.login("bob").env("XDG_RUNTIME_DIR"), None);
    // One login ends, and another one lives.
    host.ssh("alice", "true").successful();
    assert!(host.exists("/run/user/20001"));
    login.close();
    host.wait_until_gone("/run/user/20001");
}

#[test]
fn a_session_line_takes_effect() {
    let host = Host::plan().without_agent().session_line("session required pam_deny.so").start();
    assert_ne!(host.ssh("alice", "true").status, 0);
}

#[test]
fn programs_are_installed_as_by_the_package() {
    let host = plain();
    let modes = "stat -c '%n %a %U' /usr/libexec/iam-session/* /run/iam-session";
    assert_eq!(
        host.as_root().run(modes).stdout,
        "/usr/libexec/iam-session/agent 711 root\n/usr/libexec/iam-session/helper 711 root\n\
         /run/iam-session 711 root\n"
    );
    assert_eq!(host.as_user("alice").run("cat /usr/libexec/iam-session/helper").status, 1);
    assert_eq!(host.as_user("alice").run("iam-session --version").status, 0);
}

#[test]
fn a_program_that_still_runs_can_be_replaced() {
    let host = plain();
    let program = "/usr/libexec/iam-session/agent";
    host.as_root()
        .run(&format!("cp /usr/bin/sleep {program}; {program} 1000 >/dev/null 2>&1 &"))
        .successful();
    host.wait_until("the program to run", || host.as_root().run("pgrep -x agent").status == 0);
    host.write(program, "#!/bin/sh\necho another\n", 0o755);
    assert_eq!(host.as_root().run(program).stdout, "another\n");
    host.as_root().run("pgrep -x agent").successful();
}

#[test]
fn a_node_key_is_only_root_s() {
    let host = plain();
    let key = host.add_node_key();
    assert_eq!(host.as_root().run(&format!("stat -c '%a %s' {key}")).stdout, "400 32\n");
    assert_eq!(host.as_user("alice").run("ls /etc/iam-session/keys.d").status, 2);
}

#[test]
fn the_end_of_a_login_ends_its_processes() {
    let host = plain();
    let login = host.login("alice");
    let names = || host.processes_of("alice").into_iter().map(|process| process.name).collect::<Vec<_>>();
    assert!(names().contains(&"bash".to_owned()));
    assert!(host.monitor_of("alice").is_some());
    login.close();
    host.wait_until("the end of alice's processes", || names().is_empty());
}

#[test]
fn an_orphan_is_no_zombie_for_long() {
    let host = plain();
    host.as_user("alice").run("(sleep 0.01 &)");
    let zombies = "grep -l '^State:.Z' /proc/[0-9]*/status";
    host.wait_until("the orphan to be reaped", || host.as_root().run(zombies).stdout.is_empty());
}

#[test]
fn what_is_written_on_the_machine_does_not_reach_the_host() {
    let before = fs::read_to_string("/etc/passwd").unwrap();
    let host = plain();
    for place in ["/usr/bin", "/etc", "/run", "/home", "/tmp", "/var/log", "/dev"] {
        let file = format!("{place}/written-by-a-sandbox");
        host.as_root().run(&format!("touch {file}")).successful();
        assert!(host.exists(&file));
        assert!(!fs::exists(&file).unwrap(), "{file}");
    }
    assert_ne!(host.as_root().run("touch /written-by-a-sandbox").status, 0);
    assert_eq!(before, fs::read_to_string("/etc/passwd").unwrap());
    assert!(!before.contains(&format!(":{}:", host.uid("alice"))));
}

#[test]
fn nothing_lives_on_after_the_sandbox() {
    let host = plain();
    let pid_namespace = fs::read_link(host.sandbox().namespace("pid")).unwrap();
    host.as_user("alice").run("nohup sleep 1000 >/dev/null 2>&1 </dev/null &").successful();
    let inside = || {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("ns/pid"));
        processes.filter_map(|link| fs::read_link(link).ok()).filter(|link| *link == pid_namespace).count()
    };
    assert!(inside() > 1);
    drop(host);
    wait::until("the end of the sandbox's processes", || inside() == 0);
}

#[test]
fn machines_do_not_see_each_other() {
    let (one, other) = (plain(), plain());
    one.as_root().run("touch /tmp/here").successful();
    assert!(!other.exists("/tmp/here"));
    assert_eq!(one.ssh("alice", "id -un").stdout, other.ssh("alice", "id -un").stdout);
}

#[test]
fn siblings_share_homes_and_not_processes() {
    let one = plain();
    let other = one.sibling("login2");
    let login = other.login("alice");
    assert_eq!(login.run("hostname; echo kept >~/file; echo lost >/tmp/file").stdout, "login2\n");
    assert_eq!(one.login("alice").run("hostname; cat file; cat /tmp/file").stdout, "login1\nkept\n");
    one.wait_until("the end of the first one's login", || one.processes_of("alice").is_empty());
    assert!(!other.processes_of("alice").is_empty());
    assert!(other.log_lines().iter().any(|line| line.contains("Accepted publickey")));
}

#[test]
fn a_password_is_asked_for_both_ways() {
    let host = Host::plan().without_agent().with_password("alice", "it is long").start();
    for way in [Way::Password("it is long"), Way::KeyboardInteractive("it is long")] {
        assert_eq!(host.ssh_by(way, "alice", "id -un").stdout, "alice\n", "{way:?}");
    }
    assert_eq!(host.ssh_by(Way::Password("wrong"), "alice", "id -un").status, 255);
    assert_eq!(host.ssh("alice", "id -un").stdout, "alice\n", "the key still does");
}

#[test]
fn more_users_can_be_added() {
    let host = plain();
    host.add_user("carol");
    assert_eq!(host.ssh("carol", "id -un; pwd").stdout, "carol\n/home/carol\n");
    assert_eq!(host.uid("carol"), host.uid("bob") + 1);
}

#[test]
fn the_stack_can_be_run_without_sshd() {
    let host = plain();
    let said = host.as_root().run("pamtester -v sshd alice open_session close_session").successful();
    assert!(said.stdout.contains("session has successfully been closed"), "{said:?}");
}

/// What a login says of the machine: who is there, since when files are whose, what the shell was given.
const LOOK: &str = "id; umask; hostname; cat /etc/hostname; date +%Z; echo $(getent passwd | cut -d: -f1)
    getent hosts localhost; env | grep -iE '^(TZ|LANG|LC_|.*proxy)'; sudo -n true 2>/dev/null && echo sudo
    ls /etc/iam-session; stat -c %a /etc/iam-session";

#[test]
fn a_machine_is_set_up_by_nobody_but_its_test() {
    let host = Host::plan().with_password("alice", "its own").start();
    host.add_node_key();
    let login = host.login("alice");
    let greeting = login.greeting().lines().filter(|line| !line.starts_with("iam-session:"));
    assert_eq!(greeting.collect::<Vec<_>>(), Vec::<&str>::new());
    let look = "uid=20001(alice) gid=20001(alice) groups=20001(alice)\n0022\nlogin1\nlogin1\nUTC\n\
                root sshd xrootd nobody alice bob iam-session\n127.0.0.1       localhost\n\
                config.toml\nkeys.d\n755\n";
    assert_eq!(login.run(LOOK).stdout, look);
    assert_eq!(login.run("printf 'its own\n' | su alice -c 'umask'").successful().stdout, "0022\n");
    assert_eq!(host.as_root().run("runuser -u alice -- id -u").successful().stdout, "20001\n");
    let provider = Provider::start(&host);
    host.enroll(&provider, "alice");
    assert!(provider.accepts(&host.ssh("alice", "cat $BEARER_TOKEN_FILE").successful().stdout));
}

#[test]
fn a_machine_is_the_same_on_a_strange_host() {
    let mut strange = Command::new("unshare");
    strange.args(["--mount", "--", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/strange_host.sh")]);
    strange.arg(std::env::current_exe().unwrap());
    strange.args(["--exact", "a_machine_is_set_up_by_nobody_but_its_test"]);
    let output = Output::of(&mut strange, b"");
    assert!(output.status == 0 && output.stdout.contains("1 passed"), "{}", output.stdout);
}
