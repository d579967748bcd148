//! What a user does to the own processes keeps root neither from seeing and ending them nor from seeing anybody else's
//! (promises 6 and 27).

use std::path::Path;

use serde_json::{Value, json};
use support::{Background, Host, Output, Process};

use crate::measure::script;
use crate::scene::Scene;

/// A command of root's that takes longer was held up; a user may hold it up for some seconds.
const CEILING: &str = "timeout -s KILL 30";
/// signal(7), on the architectures that the tests run on.
const SIGKILL: i32 = 9;
const SIGSTOP: i32 = 19;
const MINT: &str = "/usr/libexec/iam-session/agent mint";
const HELPER: &str = "/usr/libexec/iam-session/helper";
const RECORD: &str = "/home/alice/.local/state/iam-session/wlcg.cred";

fn admin(host: &Host, arguments: &str) -> Output {
    host.as_root().run(&format!("{CEILING} iam-session-admin {arguments}"))
}

fn sessions(host: &Host) -> Vec<Value> {
    serde_json::from_str(&admin(host, "sessions --json").successful().stdout).unwrap()
}

/// Alice sends a signal to everything of hers, as long as this lives.
fn signaller(host: &Host, signal: i32) -> Background {
    let [python, path] = script(host, "signaller.py", include_str!("signaller.py"));
    let mut command = host.as_user("alice").command(&python);
    command.args([&path, &signal.to_string()]);
    let mut signaller = Background::start(command);
    assert_eq!(signaller.line(), "there");
    signaller
}

fn lives(host: &Host, pid: i32) -> bool {
    let state = host.as_root().run(&format!("cut -d ' ' -f 3 /proc/{pid}/stat 2>/dev/null")).stdout;
    !matches!(state.trim(), "" | "Z" | "X")
}

/// A login's child that is alice's already and has not become the agent, because she stops whatever is hers.
fn stopped_before_its_exec(host: &Host) -> (Process, Background) {
    let stopper = signaller(host, SIGSTOP);
    let mut stuck = None;
    host.wait_until("an agent that was stopped before its exec", || {
        host.as_root().run("pamtester sshd alice open_session >/dev/null").successful();
        let hers = host.processes_of("alice").into_iter();
        let mut hers: Vec<_> = hers.filter(|process| !process.command.contains("signaller.py")).collect();
        let login = Path::new("/usr/bin/pamtester");
        stuck = hers
            .iter()
            .position(|process| process.executable.as_deref() == Some(login))
            .map(|at| hers.remove(at));
        // One may have ended meanwhile.
        hers.iter().for_each(|process| drop(host.as_root().run(&format!("kill -KILL {}", process.pid))));
        stuck.is_some()
    });
    (stuck.unwrap(), stopper)
}

/// Those that work for alice's agents.
fn jobs(host: &Host) -> Vec<Process> {
    let works = |process: &Process| process.command == MINT || process.command == HELPER;
    host.processes_of("alice").into_iter().filter(works).collect()
}

/// A mint that waits for the issuer, and its helper; the answer is there, and kept back.
fn waiting_mint(scene: &Scene, login: &support::Login) -> Vec<Process> {
    scene.provider.fail_with(json!({"fault": "held", "at": ["refresh"]}));
    login.run("iam-session token -s storage.read:/x >/dev/null 2>&1 &");
    scene.host.wait_until("the answer", || scene.provider.count("held") == 1);
    let jobs = jobs(&scene.host);
    assert_eq!(jobs.len(), 2, "{jobs:?}");
    jobs
}

#[test]
fn an_agent_that_was_stopped_before_its_exec_is_listed_and_ended() {
    let host = Host::start();
    let (stuck, stopper) = stopped_before_its_exec(&host);
    let listed = sessions(&host);
    let found = listed.iter().find(|session| session["pid"] == stuck.pid).expect("it is not listed");
    assert_eq!((&found["user"], &found["program"]), (&"alice".into(), &"unknown".into()));
    assert_eq!(found["session"].as_str().map(str::len), Some(32));
    drop(stopper);
    // Of the tries before it others may have been left.
    let told = admin(&host, "kill alice").successful().stdout;
    assert!(told.starts_with("ended ") && !told.starts_with("ended no agent"), "{told}");
    assert!(!lives(&host, stuck.pid));
}

#[test]
fn an_agent_that_was_stopped_before_its_exec_is_no_way_around_a_revocation() {
    let host = Host::start();
    let (stuck, _stopper) = stopped_before_its_exec(&host);
    let told = admin(&host, "revoke alice").successful().stdout;
    assert!(!told.contains("ended no agent"), "{told}");
    assert!(!lives(&host, stuck.pid));
}

/// A process of root's with this record as its descriptor 2, and its number.
fn holder_of_a_record(host: &Host, script: &str) -> (Background, i32) {
    let mut holder = host.as_root().command("sh");
    holder.args(["-c", &format!("umask 077; {script}; exec 2<$record; flock -s 2; echo $$; exec cat")]);
    let mut holder = Background::start(holder);
    let pid = holder.line().parse().unwrap();
    (holder, pid)
}

#[test]
fn a_child_that_is_still_roots_belongs_to_the_user_whose_agent_it_is_to_become() {
    let host = Host::start();
    let _login = host.login("alice");
    let session = "feed".repeat(8);
    let text = format!("version=1\\nsession={session}\\nuid=20001\\nuser=alice\\nservice=sshd\\nremote=\\n");
    let script = format!("record=/run/pam_iam/{session}; printf '{text}agent=%s\\n' $$ >$record");
    let (_child, pid) = holder_of_a_record(&host, &script);
    admin(&host, "revoke bob").successful();
    assert!(lives(&host, pid));
    admin(&host, "revoke alice").successful();
    assert!(!lives(&host, pid));
}

/// A user can give what looks like the descriptor to a program that runs as root.
#[test]
fn a_program_of_roots_is_nobodys_agent_because_of_its_descriptor() {
    let host = Host::start();
    let login = host.login("alice");
    let record = format!("record=/run/pam_iam/{}", login.env("IAM_SESSION_ID").unwrap());
    let (_program, pid) = holder_of_a_record(&host, &record);
    admin(&host, "revoke alice").successful();
    assert!(lives(&host, pid));
}

#[test]
fn a_stopped_mint_ends_with_its_user_and_gets_no_token() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let jobs = waiting_mint(&scene, &login);
    jobs.iter().for_each(|job| scene.host.kill("STOP", job));
    let told = admin(&scene.host, "revoke alice").successful().stdout;
    assert!(told.contains("ended 1 agent of alice\n"), "{told}");
    assert!(told.contains("ended what worked for them: 2 "), "{told}");
    assert!(jobs.iter().all(|job| !lives(&scene.host, job.pid)));
}

#[test]
fn agents_are_ended_by_name_and_a_mint_finishes_its_rotation() {
    let scene = Scene::new();
    scene.provider.set(json!({"rotate": true}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    let before = generation(&scene.host);
    let jobs = waiting_mint(&scene, &login);
    assert!(admin(&scene.host, "kill alice").successful().stdout.starts_with("ended 1 agent of alice"));
    assert!(scene.host.agents_of("alice").is_empty());
    assert!(jobs.iter().all(|job| lives(&scene.host, job.pid)));
    scene.provider.heal();
    scene.host.wait_until("the end of the mint", || jobs.iter().all(|job| !lives(&scene.host, job.pid)));
    assert!(generation(&scene.host) > before, "the refresh token that was received is lost");
}

/// How often alice's record was written, as its header says (PROTOCOL.md, section 5).
fn generation(host: &Host) -> u64 {
    let digits = host.as_root().run(&format!("od -An -v -tx1 -j 36 -N 8 {RECORD} | tr -d ' \n'")).stdout;
    u64::from_str_radix(&digits, 16).unwrap()
}

#[test]
fn who_stops_or_kills_everything_of_the_own_uid_delays_no_revocation() {
    let scene = Scene::enrolled();
    for signal in [SIGKILL, SIGSTOP] {
        let login = scene.host.login("alice");
        let agents = scene.host.agents_of("alice");
        assert_eq!(agents.len(), 1);
        let signaller = signaller(&scene.host, signal);
        let told = admin(&scene.host, "revoke alice");
        assert!(told.stdout.contains("alice"), "{told:?}");
        assert!(!lives(&scene.host, agents[0].pid));
        drop((signaller, login));
        admin(&scene.host, "unrevoke alice").successful();
    }
}

/// A process of alice's that looks like an agent, and at which every reader of its arguments waits for ever.
fn holder(host: &Host) -> (i32, Background) {
    let [python, server] = script(host, "hang.py", include_str!("hang.py"));
    host.write("/mnt/hold.c", include_str!("hold.c"), 0o644);
    host.as_root().run("cc -O1 -pthread -o /mnt/hold /mnt/hold.c").successful();
    let uid = host.uid("alice");
    // Its own mounts, as a user's namespace may have them.
    let start = format!(
        "mkdir /mnt/hang && exec 3<>/dev/fuse &&
         mount --internal-only -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other hang /mnt/hang &&
         mount --bind /mnt/hold /usr/libexec/iam-session/agent || exit 1
         {python} {server} </dev/null >/dev/null &
         exec 3>&-
         setpriv --reuid={uid} --regid={uid} --clear-groups /usr/libexec/iam-session/agent /mnt/hang/page &
         echo $!
         exec cat"
    );
    let mut holder = host.as_root().command("unshare");
    holder.args(["--mount", "/bin/bash", "-c", &start]);
    let mut holder = Background::start(holder);
    let pid = holder.line().parse().unwrap();
    host.wait_until("a process at which readers wait", || {
        host.as_root().run(&format!("timeout -s KILL 0.5 cat /proc/{pid}/cmdline >/dev/null")).status == 137
    });
    (pid, holder)
}

#[test]
fn a_user_whose_process_holds_up_its_readers_hides_no_agent() {
    let scene = Scene::enrolled();
    let (_alice, _bob) = (scene.host.login("alice"), scene.host.login("bob"));
    let agent = |user: &str| scene.host.agents_of(user)[0].pid;
    let (alices, bobs) = (agent("alice"), agent("bob"));
    // From here on nothing of the tests may read arguments.
    let (pid, _holder) = holder(&scene.host);
    let told = admin(&scene.host, "sessions --json").successful();
    let listed: Vec<Value> = serde_json::from_str(&told.stdout).unwrap();
    let mut pids: Vec<_> = listed.iter().map(|session| session["pid"].as_i64().unwrap()).collect();
    pids.sort_unstable();
    let mut expected = vec![i64::from(alices), i64::from(bobs)];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert!(told.stderr.contains(&format!("process {pid} (state S, waits in ")), "{told:?}");
    assert!(told.stderr.contains("of uid 20001 cannot be looked at"), "{told:?}");
    // Root learns that the list may lack one of hers, and what is known of ends.
    let told = admin(&scene.host, "kill alice");
    assert!(told.status == 1 && told.stdout.starts_with("ended 1 agent of alice"), "{told:?}");
    assert!(!lives(&scene.host, alices) && lives(&scene.host, bobs));
    assert_eq!(admin(&scene.host, "kill bob").successful().stdout, "ended 1 agent of bob\n");
}

#[test]
fn what_the_kernel_keeps_is_named_and_all_else_ends() {
    let scene = Scene::enrolled();
    let _login = scene.host.login("alice");
    let agent = scene.host.agents_of("alice")[0].pid;
    let (pid, _holder) = holder(&scene.host);
    let told = admin(&scene.host, "revoke alice");
    assert!(told.status == 1 && told.stdout.contains("ended 1 agent of alice\n"), "{told:?}");
    assert!(told.stderr.contains("killed, but not gone"), "{told:?}");
    assert!(told.stderr.contains(&format!("process {pid} (state D, waits in ")), "{told:?}");
    assert!(!lives(&scene.host, agent) && lives(&scene.host, pid));
    // All of it was done nevertheless.
    assert!(
        told.stdout.contains("stays good at the issuers") || told.stdout.contains("listed in"),
        "{told:?}"
    );
}
