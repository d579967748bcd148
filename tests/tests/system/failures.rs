//! What goes wrong does not keep anybody out, and is told in one line.

use serde_json::json;
use support::{Host, Process};

use crate::scene::{Scene, is_deserted, token_file};

const KEYS: &str = "/etc/iam-session/keys.d";

/// The lines of the module and of the agent in the log.
fn our_lines(host: &Host) -> Vec<String> {
    host.log_lines()
        .into_iter()
        .filter(|line| line.contains("pam_iam") || line.contains("iam-session"))
        .collect()
}

fn logs_in(host: &Host) {
    let output = host.ssh("alice", "id -un").successful();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("alice\n", ""));
}

#[test]
fn without_an_agent_program_a_login_is_as_ever_and_the_log_says_why() {
    let host = Host::start();
    host.as_root().run("rm /usr/libexec/iam-session/agent").successful();
    logs_in(&host);
    host.wait_for_log("exec");
    // So no command waits for an agent that has failed.
    assert_eq!(host.login("alice").env("IAM_SESSION_SOCK"), None);
}

#[test]
fn an_agent_that_stops_at_once_holds_nobody_up() {
    let host = Host::start();
    host.write("/usr/libexec/iam-session/agent", "#!/bin/sh\nkill -STOP $$\n", 0o755);
    logs_in(&host);
    host.wait_for_log("pam_iam");
}

#[test]
fn an_agent_that_listens_only_after_the_login_is_waited_for() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    host.wait_until("the end of the enrolment's login", || is_deserted(host));
    let agent = "/usr/libexec/iam-session/agent";
    host.as_root().run(&format!("mkfifo -m 0666 /mnt/gate && mv {agent} {agent}-itself")).successful();
    let late = format!("#!/bin/sh\nread -r line </mnt/gate\nexec {agent}-itself \"$@\"\n");
    host.write(agent, late, 0o755);
    let login = host.login("alice");
    login.run("iam-session token >answer 2>&1 &");
    let sleeps = |process: &Process| {
        let wchan = host.as_root().run(&format!("cat /proc/{}/wchan", process.pid)).stdout;
        process.command == "iam-session token" && wchan.contains("nanosleep")
    };
    host.wait_until("a command that waits", || host.processes_of("alice").iter().any(sleeps));
    host.as_root().run("echo >/mnt/gate").successful();
    host.wait_until("a token", || scene.provider.accepts(&login.read("answer")));
}

#[test]
fn without_a_node_key_there_is_one_line_and_no_token() {
    let scene = Scene::enrolled();
    scene.host.as_root().run(&format!("rm {KEYS}/*")).successful();
    scene.host.wait_until("the end of the agents", || scene.host.agents_of("alice").is_empty());
    let before = our_lines(&scene.host).len();
    let login = scene.host.login("alice");
    let token = login.run("iam-session token");
    assert_eq!((token.status, token.stdout.as_str()), (1, ""));
    assert!(token.stderr.contains("no node key of this host opens"), "{token:?}");
    let lines = our_lines(&scene.host).split_off(before);
    assert_eq!(lines.iter().filter(|line| line.contains("key")).count(), 1, "{lines:?}");
}

#[test]
fn a_node_key_that_others_may_read_is_not_used() {
    let scene = Scene::enrolled();
    scene.host.as_root().run(&format!("chmod 0444 {KEYS}/*")).successful();
    logs_in(&scene.host);
    let line = scene.host.wait_for_log("0400");
    assert!(line.contains(KEYS), "{line}");
    assert_eq!(scene.host.ssh("alice", "iam-session token").status, 1);
}

#[test]
fn an_issuer_that_is_down_delays_nobody_and_the_cached_token_is_served() {
    let scene = Scene::enrolled();
    scene.provider.stop();
    let login = scene.host.login("alice");
    assert!(!login.read(&token_file(&login)).is_empty());
    let refused = login.run("iam-session token -s storage.read:/x");
    assert_eq!((refused.status, refused.stdout.as_str()), (7, ""));
    assert!(refused.stderr.contains("iam.example"), "{refused:?}");
    scene.provider.restart();
}

#[test]
fn while_the_issuer_fails_it_is_asked_once_and_its_recovery_needs_nobody() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.fail_with(json!({"fault": "status", "status": 503, "at": ["refresh"]}));
    let refreshes = scene.provider.count("refresh");
    for path in ["a", "b", "c"] {
        assert_eq!(login.run(&format!("iam-session token -s storage.read:/{path}")).status, 7);
    }
    assert_eq!(scene.provider.count("refresh"), refreshes + 1);
    let status = login.run("iam-session status").successful().stdout;
    assert!(status.contains("(503)"), "{status}");
    scene.provider.heal();
    scene
        .host
        .wait_until("the end of the pause", || login.run("iam-session token -s storage.read:/a").status == 0);
    let status = login.run("iam-session status").successful().stdout;
    assert!(!status.contains("(503)"), "{status}");
}

#[test]
fn an_enrolment_that_was_revoked_is_told_and_kept() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.revoke_user("alice");
    let dead = login.run("iam-session token -s storage.read:/x");
    assert_eq!((dead.status, dead.stdout.as_str()), (3, ""));
    assert!(dead.stderr.contains("run 'iam-session reenroll wlcg'"), "{dead:?}");
    assert!(scene.host.exists("/home/alice/.local/state/iam-session/wlcg.cred"));
    // The way out of it.
    scene.host.reenroll(&scene.provider, "alice", "wlcg");
    login.run("iam-session token -s storage.read:/x").successful();
}

#[test]
fn no_secret_is_in_any_output_or_in_the_log() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.revoke_user("alice");
    // IAM puts the refresh token itself into its refusal.
    let told = [
        login.run("iam-session token -s storage.read:/x").stderr,
        login.run("iam-session status").stdout,
        login.run("iam-session status --json").stdout,
        scene.host.log_lines().join("\n"),
    ];
    // A JWT begins so, be it signed or not.
    let header = "eyJ";
    for text in told {
        assert!(!text.contains(header), "{text}");
    }
}

#[test]
fn a_mistake_in_the_sites_configuration_is_told_with_its_place() {
    let scene = Scene::enrolled();
    scene.host.wait_until("the end of the agents", || scene.host.agents_of("alice").is_empty());
    scene.host.write("/etc/iam-session/config.toml", "session_scopes = \"openid\"\n", 0o644);
    let login = scene.host.login("alice");
    let told = login.run("iam-session token");
    assert_eq!(told.status, 1);
    assert!(told.stderr.contains("/etc/iam-session/config.toml:1: unknown key 'session_scopes'"), "{told:?}");
}

#[test]
fn a_dead_socket_and_no_agent_are_told() {
    let host = Host::start();
    let login = host.login("alice");
    let socket = login.env("IAM_SESSION_SOCK").unwrap();
    for agent in host.agents_of("alice") {
        host.kill("TERM", &agent);
    }
    host.wait_until_gone(&socket);
    let dead = login.run("iam-session token");
    assert_eq!(dead.status, 4);
    assert!(dead.stderr.contains(&format!("no agent is listening at {socket}")), "{dead:?}");
    assert!(dead.stderr.contains("log in again"), "{dead:?}");
    let none = host.as_user("bob").run("iam-session token");
    assert_eq!(none.status, 4, "{none:?}");
}
