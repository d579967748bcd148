//! What root sees of sessions, and does about them.

use serde_json::Value;
use support::{Host, Output};

use crate::scene::{Scene, is_deserted, token_file};

const RECORDS: &str = "/run/pam_iam";

fn admin(host: &Host, arguments: &str) -> Output {
    host.as_root().run(&format!("iam-session-admin {arguments}"))
}

fn sessions(host: &Host) -> Vec<Value> {
    serde_json::from_str(&admin(host, "sessions --json").successful().stdout).unwrap()
}

fn records(host: &Host) -> Vec<String> {
    let listed = host.as_root().run(&format!("ls -A {RECORDS}")).stdout;
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn every_login_is_listed_with_where_it_came_from() {
    let scene = Scene::enrolled();
    let (alice, bob) = (scene.host.login("alice"), scene.host.login("bob"));
    let listed = sessions(&scene.host);
    assert_eq!(listed.len(), 2, "{listed:?}");
    let of = |user: &str| listed.iter().find(|session| session["user"] == user).unwrap();
    assert_eq!(of("alice")["session"], alice.env("IAM_SESSION_ID").unwrap().as_str());
    assert_eq!((&of("alice")["kind"], &of("alice")["service"]), (&"login".into(), &"sshd".into()));
    assert_eq!(of("alice")["remote"], "127.0.0.1");
    assert_eq!(
        (of("bob")["uid"].as_u64(), of("bob")["program"].as_str()),
        (Some(scene.host.uid("bob").into()), Some("installed"))
    );
    assert_eq!(of("alice")["told"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        of("alice")["told"]["token_expires_at"].is_u64() && of("bob")["told"]["token_expires_at"].is_null()
    );
    let table = admin(&scene.host, "sessions").successful().stdout;
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains(" min left") && table.contains("127.0.0.1"), "{table}");
    alice.close();
    bob.close();
    // A mint may hold the record for a moment longer than the agent.
    scene
        .host
        .wait_until("an empty list", || sessions(&scene.host).is_empty() && records(&scene.host).is_empty());
}

#[test]
fn only_root_may_look() {
    let host = Host::start();
    let told = host.as_user("alice").run("/usr/sbin/iam-session-admin sessions");
    assert_eq!((told.status, told.stderr.as_str()), (1, "iam-session-admin: only root may do this\n"));
    let told = host.as_root().run("iam-session-admin query-agents --uid=0 --gid=0 /run/iam-session/x.sock");
    assert_eq!(told.status, 1, "{told:?}");
}

/// A process of the user's that had root's terminal or descriptors would be a way to root.
#[test]
fn what_asks_an_agent_as_its_user_has_nothing_of_roots() {
    let scene = Scene::enrolled();
    let _login = scene.host.login("alice");
    // It waits for this one, and so can be looked at.
    scene.host.kill("STOP", &scene.host.agents_of("alice")[0]);
    let look = r#"exec 9</etc/iam-session/config.toml
iam-session-admin sessions --json >/dev/null &
uid=$(id -u alice)
for try in $(seq 500); do
    for ask in $(pgrep -u "$uid" -f 'iam-session-admin [q]uery-agents'); do
        # It has asked, and so is done with itself.
        readlink /proc/$ask/fd/3 | grep -q socket && break 2
    done
    sleep 0.01
done
echo "session $(ps -o sid= -p $ask | tr -d ' ') of $ask"
ls /proc/$ask/fd | tr '\n' ' '
grep -E '^(Uid|Gid|Groups|CapPrm):' /proc/$ask/status | tr '\t' ' '
su -s /bin/sh alice -c "ls /proc/$ask/fd" 2>/dev/null || echo closed to its user
wait"#;
    let seen = scene.host.as_root().run(look).stdout;
    let mut lines = seen.lines();
    let first = lines.next().unwrap_or_default();
    let (session, process) = first.strip_prefix("session ").and_then(|ids| ids.split_once(" of ")).unwrap();
    assert!(!process.is_empty() && session == process, "a session of its own: {seen}");
    let uid = scene.host.uid("alice");
    assert!(seen.contains(&format!("Uid: {uid} {uid} {uid} {uid}\n")), "{seen}");
    assert!(
        seen.lines().any(|line| line.trim_end() == "Groups:") && seen.contains("CapPrm: 0000000000000000\n"),
        "{seen}"
    );
    // The standard streams and the socket.
    assert!(lines.next().is_some_and(|line| line.starts_with("0 1 2 3 Uid")), "{seen}");
    assert!(seen.ends_with("closed to its user\n"), "{seen}");
}

#[test]
fn the_record_of_a_login_that_nobody_closed_is_swept() {
    let host = Host::start();
    let login = host.login("alice");
    let id = login.env("IAM_SESSION_ID").unwrap();
    assert_eq!(records(&host), [id.as_str()]);
    host.kill("KILL", &host.monitor_of("alice").unwrap());
    login.close();
    host.wait_until("the agent's end", || is_deserted(&host));
    // Nobody removes it but who looks.
    assert_eq!(records(&host), [id.as_str()]);
    host.wait_until("an empty list", || sessions(&host).is_empty() && records(&host).is_empty());
}

#[test]
fn what_a_login_left_running_and_what_a_shell_started_are_told_apart() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run("setsid sleep 600 </dev/null >/dev/null 2>&1 &").successful();
    assert_eq!(sessions(&scene.host)[0]["kind"], "login");
    login.close();
    scene.host.wait_until("a session without its login", || {
        sessions(&scene.host).first().is_some_and(|session| session["kind"] == "past")
    });
    // Where it came from is known as long as it lasts.
    assert_eq!(sessions(&scene.host)[0]["remote"], "127.0.0.1");
    let host = Host::plan().without_agent().start();
    let shell = host.login("alice");
    shell
        .run("export XDG_RUNTIME_DIR=~/run; mkdir -m 700 ~/run; eval \"$(iam-session start --no-unlock)\"")
        .successful();
    let listed = sessions(&host);
    assert_eq!((listed.len(), &listed[0]["kind"], &listed[0]["user"]), (1, &"shell".into(), &"alice".into()));
    assert_eq!(listed[0]["session"], shell.env("IAM_SESSION_ID").unwrap().as_str());
}

#[test]
fn a_stopped_agent_keeps_nobody_waiting_and_is_ended_nevertheless() {
    let scene = Scene::enrolled();
    let (alice, bob) = (scene.host.login("alice"), scene.host.login("bob"));
    let agents = scene.host.agents_of("alice");
    scene.host.kill("STOP", &agents[0]);
    let listed = sessions(&scene.host);
    let told: Vec<_> = listed
        .iter()
        .map(|session| (session["user"].as_str().unwrap(), session["told"].is_object()))
        .collect();
    assert!(told.contains(&("alice", false)) && told.contains(&("bob", true)), "{told:?}");
    assert_eq!(admin(&scene.host, "kill alice").successful().stdout, "ended 1 agent of alice\n");
    assert!(is_deserted(&scene.host));
    assert!(!scene.host.exists(&token_file(&alice)));
    assert_eq!(
        bob.run("iam-session status").stdout.lines().next().map(|line| line.starts_with("session")),
        Some(true)
    );
    scene.host.wait_for_log("action=\"ended 1 agent of alice");
}

#[test]
fn all_agents_are_ended_and_the_next_login_has_one_again() {
    let scene = Scene::enrolled();
    let (first, second, bob) =
        (scene.host.login("alice"), scene.host.login("alice"), scene.host.login("bob"));
    assert_eq!(admin(&scene.host, "kill --all").successful().stdout, "ended 3 agents on this host\n");
    assert!(is_deserted(&scene.host) && scene.host.agents_of("bob").is_empty());
    // The logins themselves go on, without.
    assert_eq!(first.run("echo alive").stdout, "alive\n");
    assert_eq!(second.run("iam-session token").status, 4);
    drop(bob);
    let again = scene.host.login("alice");
    assert!(scene.provider.accepts(&again.read(&token_file(&again))));
    assert_eq!(admin(&scene.host, "kill nobody-here").status, 1);
}

#[test]
fn a_drained_host_starts_no_agent_and_ends_none() {
    let scene = Scene::enrolled();
    let before = scene.host.login("alice");
    let told = admin(&scene.host, "drain").successful().stdout;
    assert!(told.contains("1 agent on this host now"), "{told}");
    let during = scene.host.login("alice");
    assert_eq!(during.env("BEARER_TOKEN_FILE"), None);
    scene.host.wait_for_log("not served: /etc/iam-session/drain is there");
    assert!(scene.provider.accepts(&before.read(&token_file(&before))));
    admin(&scene.host, "drain --off").successful();
    let after = scene.host.login("alice");
    assert!(scene.provider.accepts(&after.read(&token_file(&after))));
}

#[test]
fn a_line_by_which_the_module_could_keep_everybody_out_is_told() {
    let host = Host::start();
    host.write("/etc/pam.d/other", "session required pam_unix.so\nsession required pam_iam.so\n", 0o644);
    let told = admin(&host, "check --pam-file /etc/pam.d/other");
    assert!(
        told.status == 1 && told.stdout.contains("/etc/pam.d/other:2: the line is 'required'"),
        "{told:?}"
    );
    let told = admin(&host, "enable --yes --pam-file /etc/pam.d/other");
    assert!(told.status == 1 && told.stderr.contains("the line is 'required'"), "{told:?}");
}
