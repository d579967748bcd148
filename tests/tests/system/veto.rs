//! A user who does what a user can against being revoked: at the issuer, too, it comes to its end.

use support::{Background, Output, Process};

use crate::measure::script;
use crate::scene::{Scene, is_deserted};

const STORE: &str = "/home/alice/.local/state/iam-session";
const REVOKE: &str = "iam-session-admin revoke alice --at-issuer";

/// Somebody at work in the background, as veto.py says.
fn at_work(scene: &Scene, user: Option<&str>, how: &[&str]) -> Background {
    let [python, path] = script(&scene.host, "veto.py", include_str!("veto.py"));
    let actor = user.map_or_else(|| scene.host.as_root(), |user| scene.host.as_user(user));
    let mut command = actor.command(&python);
    command.arg(&path).args(how);
    let mut background = Background::start(command);
    assert_eq!(background.line(), "there");
    background
}

fn alice_does(scene: &Scene, command: &str) {
    scene.host.as_user("alice").run(command).successful();
}

fn revoke(scene: &Scene) -> Output {
    scene.host.as_root().run(REVOKE)
}

/// Whether refresh token and client were ended, each once.
fn assert_ended(scene: &Scene, told: &Output) {
    let ended = (scene.provider.count("revocation"), scene.provider.count("deregistration"));
    assert_eq!(ended, (1, 1), "{told:?}");
    assert!(is_deserted(&scene.host), "{told:?}");
}

#[test]
fn a_broken_configuration_of_the_users_vetoes_nothing() {
    let scene = Scene::enrolled();
    alice_does(&scene, "mkdir -p .config/iam-session && echo '[[nonsense' >.config/iam-session/config.toml");
    let told = revoke(&scene).successful();
    assert_ended(&scene, &told);
}

#[test]
fn a_store_that_others_may_write_to_vetoes_nothing() {
    let scene = Scene::enrolled();
    alice_does(&scene, &format!("chmod 777 {STORE}"));
    let told = revoke(&scene).successful();
    assert_ended(&scene, &told);
}

#[test]
fn a_store_full_of_other_files_vetoes_nothing() {
    let scene = Scene::enrolled();
    alice_does(
        &scene,
        &format!("cd {STORE} && touch $(seq -f 'a%04g.cred' 900) && mkfifo b.cred && mkdir c.cred"),
    );
    let told = revoke(&scene);
    assert_ended(&scene, &told);
}

/// A record may be large; a user's may not be too large to be handed over, and hide those after it.
#[test]
fn files_as_large_as_a_record_may_be_veto_nothing() {
    let scene = Scene::enrolled();
    let decoy = r"(printf 'IAMCRED\000'; head -c 262136 /dev/zero) >a.cred";
    alice_does(&scene, &format!("cd {STORE} && {decoy} && mv wlcg.cred z.cred"));
    let told = revoke(&scene);
    assert_ended(&scene, &told);
    assert!(told.status == 1 && told.stderr.contains("account 'a'"), "{told:?}");
}

/// A directory is not read without end.
#[test]
fn ten_thousand_other_files_veto_nothing() {
    let scene = Scene::enrolled();
    alice_does(&scene, &format!("cd {STORE} && mv wlcg.cred z.cred && touch $(seq -f '%05g' 11000)"));
    let told = revoke(&scene).successful();
    assert_ended(&scene, &told);
}

#[test]
fn a_user_who_kills_every_process_that_can_be_killed_vetoes_nothing() {
    let scene = Scene::enrolled();
    let _killer = at_work(&scene, Some("alice"), &["kill"]);
    let told = revoke(&scene).successful();
    assert_ended(&scene, &told);
}

/// Whoever started a process as the user would wait for its first instruction without end.
#[test]
fn a_user_who_stops_every_process_that_can_be_stopped_holds_up_nothing() {
    let scene = Scene::enrolled();
    let _stopper = at_work(&scene, Some("alice"), &["stop"]);
    let told = revoke(&scene).successful();
    assert_ended(&scene, &told);
}

#[test]
fn locks_that_the_user_holds_veto_nothing() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let lock = format!("{STORE}/.lock");
    let _holder =
        at_work(&scene, Some("alice"), &["locks", "/run/iam-session/20001/iam-session/mint.lock", &lock]);
    let told = revoke(&scene).successful();
    assert_ended(&scene, &told);
    login.close();
}

/// One that opens for nobody, and says in clear that it is of the same client.
#[test]
fn a_decoy_of_the_same_client_vetoes_nothing() {
    let scene = Scene::enrolled();
    let decoy = "head -c -1 wlcg.cred >a.cred && printf x >>a.cred && cp a.cred wlcg2.cred";
    alice_does(&scene, &format!("cd {STORE} && {decoy}"));
    let told = revoke(&scene);
    assert_ended(&scene, &told);
    assert_eq!(told.status, 1, "what could not be looked into is no success: {told:?}");
    assert!(told.stderr.contains("account 'a'"), "{told:?}");
}

/// The process that opens the user's files has the user's id for files, and no other: with another, the user could stop,
/// kill and trace it.
#[test]
fn a_lease_on_the_record_is_waited_for_and_who_waits_is_out_of_the_users_reach() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    let mut holder = at_work(&scene, Some("alice"), &["lease", &format!("{STORE}/wlcg.cred")]);
    let mut command = host.as_root().command("/bin/sh");
    command.args(["-c", &format!("exec 9</etc/shadow; {REVOKE} 2>&1; echo $?")]);
    let revocation = Background::start(command);
    let readers = || host.processes().into_iter().filter(|process| process.command.ends_with(" read-files"));
    let is_waiting =
        |reader: &Process| host.read(&format!("/proc/{}/status", reader.pid)).contains("\t20001\nGid:");
    host.wait_until("a reader that waits", || readers().any(|reader| is_waiting(&reader)));
    assert_eq!(holder.line(), "asked");
    let reader = readers().next().unwrap();
    let status = host.read(&format!("/proc/{}/status", reader.pid));
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let system = host.as_root().run("id -u iam-session").successful().stdout.trim().to_owned();
    assert_eq!(field("Uid:"), [&system, &system, &system, "20001"], "{status}");
    assert_eq!((field("Groups:"), field("CapEff:"), field("CapPrm:")), (vec![], zero(), zero()), "{status}");
    let stat = host.read(&format!("/proc/{}/stat", reader.pid));
    let after_name: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(
        (after_name[3], after_name[4]),
        (reader.pid.to_string().as_str(), "0"),
        "session and terminal: {stat}"
    );
    let open = host.as_root().run(&format!("readlink /proc/{}/fd/*", reader.pid)).stdout;
    assert!(!open.contains("/etc/shadow"), "{open}");
    let pid = reader.pid;
    for attempt in [
        format!("kill -STOP {pid}"),
        format!("kill -KILL {pid}"),
        format!("ls /proc/{pid}/fd"),
        format!("cat /proc/{pid}/environ"),
        format!("prlimit --pid {pid} --cpu=1"),
        format!("renice -n 19 -p {pid}"),
        format!("taskset -p 1 {pid}"),
        format!(
            "/usr/bin/python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(16, {pid}, 0, 0))'"
        ),
    ] {
        let attempt = host.as_user("alice").run(&attempt);
        assert_ne!(attempt.status, 0, "{attempt:?}");
        assert!(!attempt.stderr.contains("not found"), "{attempt:?}");
    }
    holder.finish();
    let told = revocation.finish();
    assert!(told.ends_with("\n0\n"), "{told}");
    let ended = (scene.provider.count("revocation"), scene.provider.count("deregistration"));
    assert_eq!(ended, (1, 1), "{told}");
}

fn zero() -> Vec<String> {
    vec!["0000000000000000".to_owned()]
}

/// The name service is asked by root alone: whoever could attach to a process of root's tool had root's terminal.
#[test]
fn root_starts_no_process_as_the_user() {
    let scene = Scene::enrolled();
    // A provider for a group: whoever had the user's configuration read as the user started getent(1) as the user.
    let groups = "issuer = \"https://grouped.example/\"\ngroups = [\"staff\"]\n";
    scene.host.configure_provider("grouped", groups);
    let asked = "#!/bin/sh\nid -u >>/run/asked\nexec /run/getent \"$@\"\n";
    scene.host.write("/run/wrapped", asked, 0o755);
    let root = scene.host.as_root();
    root.run("touch /run/asked; chmod 666 /run/asked; cp /usr/bin/getent /run/getent").successful();
    root.run("mount --bind /run/wrapped /usr/bin/getent").successful();
    let spy = at_work(&scene, None, &["spy", "20001"]);
    alice_does(&scene, &format!("mv {STORE} {STORE}.away"));
    root.run("exec 9</etc/shadow; iam-session-admin revoke alice").successful();
    alice_does(&scene, &format!("mv {STORE}.away {STORE}"));
    let told = revoke(&scene).successful();
    root.run("umount /usr/bin/getent").successful();
    assert_eq!(spy.finish(), "\n");
    let askers = scene.host.read("/run/asked");
    assert!(!askers.is_empty() && askers.lines().all(|uid| uid == "0"), "{askers}");
    assert_ended(&scene, &told);
}
