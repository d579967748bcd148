//! With everything around it broken a login is as long as without us, but for 300 ms, and ends the same (promise 2).

use support::{Background, Host};

use crate::measure::{Times, time};
use crate::scene::{Scene, is_deserted, opened};

/// Promised are 300 ms more than without us; this is for a loaded machine. Who hangs does so for ever.
const CEILING: f64 = 3000.0;
const LOGIN: &str = "pamtester sshd alice open_session close_session";

/// How long a login takes that is over at once.
fn logins(host: &Host, how_often: u32, what: &str) -> Times {
    let times = time(host, &host.as_root(), how_often, LOGIN);
    println!("{what}: {times}");
    assert!(times.longest < CEILING, "{what}: {times}");
    times
}

fn scene() -> Scene {
    let scene = Scene::enrolled();
    scene.host.wait_until("the end of the enrolment's login", || is_deserted(&scene.host));
    scene
}

/// Covers a directory with a file system whose server does not answer, until this is dropped. Of a dead NFS server it
/// differs in that who waits for it can be killed.
pub(crate) fn hang(host: &Host, directory: &str) -> Background {
    let options = "fd=3,rootmode=40000,user_id=0,group_id=0,allow_other";
    let mount = format!(
        "exec 3<>/dev/fuse && mount --internal-only -t fuse -o {options} hung {directory} && echo there &&
         read -r _; umount --lazy {directory}"
    );
    let mut server = host.as_root().command("/bin/bash");
    server.args(["-c", &mount]);
    let mut server = Background::start(server);
    assert_eq!(server.line(), "there");
    server
}

#[test]
fn the_module_costs_a_login_little() {
    let scene = scene();
    scene.host.write("/etc/pam.d/bare", "session required pam_permit.so\n", 0o644);
    let bare = time(&scene.host, &scene.host.as_root(), 50, &LOGIN.replace("sshd", "bare"));
    println!("without the module: {bare}");
    let with = logins(&scene.host, 50, "with the module and a token");
    assert!(with.median < bare.median + CEILING, "{with}");
}

#[test]
fn a_home_that_hangs_delays_no_login_and_keeps_no_agent() {
    let scene = scene();
    let host = &scene.host;
    let home = hang(host, "/home/alice");
    logins(host, 10, "a home that hangs");
    let lines = opened(host);
    assert!(lines.iter().rev().take(10).all(|line| !line.ends_with(" state=ready")), "{lines:?}");
    // The agents go although their mints hang.
    host.wait_until("the end of the agents", || is_deserted(host));
    home.finish();
    host.wait_until("the end of the mints", || host.processes_of("alice").is_empty());
    assert!(scene.provider.accepts(&host.ssh("alice", "cat $BEARER_TOKEN_FILE").successful().stdout));
}

#[test]
fn a_login_to_a_home_whose_store_hangs_has_no_token_but_works() {
    let scene = scene();
    let host = &scene.host;
    let store = hang(host, "/home/alice/.local");
    let login = host.login("alice");
    let file = login.env("BEARER_TOKEN_FILE").unwrap();
    assert_eq!(login.run(&format!("test -e {file}")).status, 1);
    let status = login.run("iam-session status");
    assert_ne!(status.status, 0, "{status:?}");
    println!("status beside a store that hangs: {:?}", status.elapsed);
    assert_eq!(login.run("echo here").stdout, "here\n");
    let told = |line: &String| line.contains("event=store_unavailable user=alice");
    host.wait_until("its line in the log", || host.log_lines().iter().filter(|line| told(line)).count() == 1);
    // What was waited for comes, and with it the token.
    store.finish();
    let read = || login.run(&format!("cat {file} 2>/dev/null")).stdout;
    host.wait_until("the token", || scene.provider.accepts(&read()));
    login.close();
    host.wait_until("the end of alice's processes", || host.processes_of("alice").is_empty());
}

#[test]
fn an_agent_that_cannot_be_executed_is_told_and_delays_nobody() {
    let host = Host::start();
    let agent = "/usr/libexec/iam-session/agent";
    for (what, damage) in [
        ("not executable", format!("chmod 0644 {agent}")),
        ("no program", format!("chmod 0711 {agent} && echo text >{agent}")),
        ("a directory", format!("rm {agent} && mkdir {agent}")),
        ("missing", format!("rmdir {agent}")),
    ] {
        host.as_root().run(&damage).successful();
        let before = host.log_lines().len();
        logins(&host, 3, what);
        let lines: Vec<_> = host.log_lines().split_off(before);
        assert_eq!(lines.iter().filter(|line| line.contains("(exec)")).count(), 3, "{what}: {lines:?}");
        assert_eq!(host.ssh("alice", "echo in").stdout, "in\n", "{what}");
    }
}

#[test]
fn an_agent_that_stops_or_chatters_delays_nobody() {
    let host = Host::start();
    for (what, script) in [
        ("an agent that stops", "kill -STOP $$"),
        ("an agent that says half a line", "printf ready; exec sleep 60"),
        ("an agent that does not end", "echo ready; exec sleep 60"),
        ("an agent that says what nobody asked", "yes 'ready ends-soon'"),
    ] {
        host.write("/usr/libexec/iam-session/agent", format!("#!/bin/sh\n{script}\n"), 0o755);
        logins(&host, 3, what);
        host.as_user("alice").run("pkill -KILL -x agent; pkill -KILL -x sleep; pkill -KILL -x yes");
    }
}

#[test]
fn a_full_runtime_directory_is_told_and_delays_nobody() {
    let scene = scene();
    let host = &scene.host;
    for (what, fill, empty) in [
        (
            "no space",
            "mount -o remount,size=8k /run/iam-session && head -c 1M /dev/zero >/run/iam-session/full",
            "rm /run/iam-session/full && mount -o remount,size=1m /run/iam-session",
        ),
        (
            "no inodes",
            "mount -o remount,nr_inodes=8 /run/iam-session; for i in $(seq 20); do mkdir /run/iam-session/full$i; done",
            "rmdir /run/iam-session/full*; mount -o remount,nr_inodes=10000 /run/iam-session",
        ),
    ] {
        host.as_root().run("rm -rf /run/iam-session/20001").successful();
        host.as_root().run(fill);
        let before = host.log_lines().len();
        logins(host, 3, what);
        let lines = host.log_lines().split_off(before);
        let told = lines.iter().filter(|line| line.contains("No space left"));
        assert!(told.count() >= 3, "{what}: {lines:?}");
        assert_eq!(host.ssh("alice", "echo in").stdout, "in\n", "{what}");
        host.wait_until("the end of the agents", || is_deserted(host));
        host.as_root().run(empty).successful();
        let token = host.ssh("alice", "cat $BEARER_TOKEN_FILE").successful().stdout;
        assert!(scene.provider.accepts(&token), "{what}");
        host.wait_until("the end of the agents", || is_deserted(host));
    }
}

/// The kernel counts the processes of a uid, in whatever sandbox they are: this uid is no other test's.
const LONELY: &str = "nina:x:21777:21777::/home/nina:/bin/bash\n";

#[test]
fn a_user_who_may_start_no_more_processes_logs_in_as_without_us() {
    let host = Host::start();
    host.sandbox().append("/etc/passwd", LONELY);
    host.sandbox().append("/etc/group", "nina:x:21777:\n");
    host.as_root().run("mkdir -m 0700 /home/nina && chown nina: /home/nina").successful();
    let mut other = host.as_user("nina").command("sh");
    other.args(["-c", "echo there; exec cat"]);
    let mut other = Background::start(other);
    other.line();
    // With the one that is there: too many; room for the agent alone; room for it and its mint.
    for (limit, said) in [
        (0, "no session: the agent failed (exec)"),
        (2, "state=store-unavailable"),
        (3, "state=not-enrolled"),
    ] {
        let before = host.log_lines().len();
        let login = LOGIN.replace("alice", "nina");
        let output = host.as_root().run(&format!("prlimit --nproc={limit}:{limit} {login}")).successful();
        assert!(output.elapsed.as_secs_f64() * 1000.0 < CEILING, "{limit}: {output:?}");
        let lines = host.log_lines().split_off(before);
        assert_eq!(lines.iter().filter(|line| line.contains(said)).count(), 1, "{limit}: {lines:?}");
        host.wait_until("the end of the agent", || host.processes_of("nina").len() == 1);
    }
}
