//! Every shape of ssh: each login has its one agent, and leaves none.

use std::process::Command;

use support::{Background, Host, Output, Way};

use crate::scene::{Scene, is_deserted, opened, token_file};

/// A file that a copy damages if it is not of bytes.
const MAKE_FILE: &str = "head -c 300000 /dev/urandom >/mnt/sent && chmod 0644 /mnt/sent";

fn scene(plan: support::Plan) -> Scene {
    let scene = Scene::of(plan);
    scene.host.enroll(&scene.provider, "alice");
    scene.host.wait_until("the end of the enrolment's login", || is_deserted(&scene.host));
    scene
}

/// Runs a copy, which is one login with an agent that is ready, and after which nothing is left.
fn copies(host: &Host, what: &str, command: &mut Command, input: &str) {
    let before = opened(host).len();
    let output = Output::of(command, input.as_bytes()).successful();
    assert_eq!(output.stderr, "", "{what}");
    host.wait_until("the end of its agent", || is_deserted(host));
    let lines = opened(host).split_off(before);
    assert!(matches!(&lines[..], [line] if line.ends_with(" state=ready")), "{what}: {lines:?}");
}

#[test]
fn each_way_to_copy_a_file_has_an_agent_and_leaves_the_file_whole() {
    let scene = scene(Host::plan());
    let host = &scene.host;
    host.as_root().run(MAKE_FILE).successful();
    let there = "alice@127.0.0.1:there";
    for (what, program, options) in [
        ("old scp", "scp", &["-q", "-O"][..]),
        ("new scp", "scp", &["-q", "-s"]),
        ("sftp in sshd", "sftp", &["-q", "-b", "-"]),
        ("sftp by a server of its own", "sftp", &["-q", "-b", "-", "-s", "/usr/lib/openssh/sftp-server"]),
    ] {
        host.as_root().run("rm -f /mnt/back /home/alice/there").successful();
        let command = || {
            let mut command = host.ssh_program(program);
            command.args(options);
            command
        };
        if program == "sftp" {
            let commands = "put /mnt/sent there\nget there /mnt/back\n";
            copies(host, what, command().arg("alice@127.0.0.1"), commands);
        } else {
            copies(host, what, command().args(["/mnt/sent", there]), "");
            copies(host, what, command().args([there, "/mnt/back"]), "");
        }
        host.as_root().run("cmp /mnt/sent /home/alice/there && cmp /mnt/sent /mnt/back").successful();
    }
}

#[test]
fn sftp_in_a_jail_works_and_its_agent_is_outside() {
    let plan = Host::plan().sshd_line("Port 22").sshd_line("Port 2222");
    let scene =
        scene(plan.sshd_match("Match LocalPort 2222\nChrootDirectory /srv/jail\nForceCommand internal-sftp"));
    let host = &scene.host;
    host.as_root().run("mount -t tmpfs -o mode=0755 tmpfs /srv && mkdir -p /srv/jail/in").successful();
    host.as_root().run(&format!("chown alice /srv/jail/in && {MAKE_FILE}")).successful();
    let mut sftp = host.ssh_program("sftp");
    sftp.args(["-q", "-b", "-", "-P", "2222", "alice@127.0.0.1"]);
    copies(host, "sftp in a jail", &mut sftp, "put /mnt/sent /in/there\n");
    host.as_root().run("cmp /mnt/sent /srv/jail/in/there").successful();
    assert_eq!(host.as_root().run("find /srv/jail -mindepth 1 | wc -l").stdout, "2\n");
}

/// Starts a connection that stays: `ssh` with these options.
fn connect(host: &Host, options: &[&str]) -> Background {
    let connection = Background::start(host.ssh_client("alice", options));
    host.wait_until("the connection's agent", || host.agents_of("alice").len() == 1);
    connection
}

#[test]
fn the_channels_of_a_master_share_an_agent_that_ends_with_the_connection() {
    let scene = scene(Host::plan());
    let host = &scene.host;
    let control = ["-o", "ControlPath=/mnt/control"];
    let mut master = connect(host, &["-M", "-N", "-o", "ControlPath=/mnt/control"]);
    host.wait_until("the master's socket", || host.exists("/mnt/control"));
    let channel =
        |command: &str| Output::of(host.ssh_client("alice", &control).arg(command), b"").successful();
    let seen = "echo $IAM_SESSION_ID; iam-session token | cmp - $BEARER_TOKEN_FILE && echo good";
    let first = channel(seen).stdout;
    assert_eq!(first.lines().collect::<Vec<_>>()[1..], ["good"], "{first}");
    let other = Background::start({
        let mut client = host.ssh_client("alice", &control);
        client.arg("echo here; cat");
        client
    });
    assert_eq!(channel(seen).stdout, first);
    assert_eq!(host.agents_of("alice").len(), 1);
    // One of them ends, by its end or by force.
    drop(other);
    host.wait_until("the end of a channel", || host.processes_of("alice").iter().all(|p| p.name != "cat"));
    assert_eq!(channel(seen).stdout, first);
    let exit =
        Output::of(host.ssh_client("alice", &["-O", "exit", "-o", "ControlPath=/mnt/control"]).arg(""), b"");
    exit.successful();
    master.wait();
    host.wait_until("the end of the agent", || is_deserted(host));
    assert_eq!(opened(host).len(), 2, "one for the enrolment, one for the master");
}

#[test]
fn a_connection_without_a_command_has_a_token_for_as_long_as_it_lasts() {
    let scene = scene(Host::plan());
    let host = &scene.host;
    let connection = connect(host, &["-N"]);
    let read = "cat /run/iam-session/20001/bt_u20001-iam";
    host.wait_until("the token", || scene.provider.accepts(&host.as_user("alice").run(read).stdout));
    let client = host.processes().into_iter().find(|process| process.command.starts_with("ssh -F")).unwrap();
    host.kill("TERM", &client);
    host.wait_until("the end of the agent", || is_deserted(host));
    drop(connection);
}

#[test]
fn a_record_opens_however_the_user_has_proved_who_they_are() {
    let scene = scene(Host::plan().with_password("alice", "it is long"));
    let read = "cat $BEARER_TOKEN_FILE; iam-session token -s storage.read:/x >/dev/null";
    for way in [Way::Password("it is long"), Way::KeyboardInteractive("it is long")] {
        let token = scene.host.ssh_by(way, "alice", read).successful().stdout;
        assert!(scene.provider.accepts(&token), "{way:?}");
    }
    assert!(scene.provider.accepts(&scene.host.ssh("alice", read).successful().stdout));
    let terminal = scene.host.login_on_terminal("alice");
    assert!(scene.provider.accepts(&terminal.read(&token_file(&terminal))));
}

#[test]
fn a_wrong_password_starts_no_agent() {
    let host = Host::plan().with_password("alice", "it is long").start();
    assert_eq!(host.ssh_by(Way::Password("wrong"), "alice", "true").status, 255);
    assert!(opened(&host).is_empty() && host.agents_of("alice").is_empty());
}

#[test]
fn a_login_that_a_later_module_refuses_leaves_no_agent() {
    let scene = scene(Host::plan());
    scene.host.sandbox().append("/etc/pam.d/sshd", "session required pam_deny.so\n");
    for _ in 0..3 {
        let refused = scene.host.ssh("alice", "true");
        assert_ne!(refused.status, 0, "{refused:?}");
        // sshd does not close what it could not open: it ends, and so does the lifeline.
        scene.host.wait_until("the end of the agent", || is_deserted(&scene.host));
    }
    assert_eq!(opened(&scene.host).len(), 4, "one for the enrolment");
}
