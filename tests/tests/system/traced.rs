//! What stands in the way of somebody who waits: counted by strace(1), for counts do not depend on the machine's load.

use support::{Host, required};

use crate::scene::Scene;

const STRACE: &str = "/usr/bin/strace";
const TRACE: &str = "/mnt/trace";
const AGENT: &str = "/usr/libexec/iam-session/agent";

/// The calls of one process, from the first that contains `begin` to the next that contains `end`.
fn calls<'t>(trace: &'t str, process: i32, begin: &str, end: &str) -> Vec<&'t str> {
    let of_it = |line: &&str| line.split(' ').next() == Some(&process.to_string());
    let calls: Vec<_> = trace.lines().filter(of_it).skip_while(|line| !line.contains(begin)).collect();
    let last = calls.iter().position(|line| line.contains(end));
    let last = last.unwrap_or_else(|| panic!("{process}: not {begin}, or no {end} after it: {trace}"));
    calls[..=last].to_vec()
}

fn count(calls: &[&str], text: &str) -> usize {
    calls.iter().filter(|call| call.contains(text)).count()
}

/// Traces processes that live; ends when they are let go of, and gives what they did meanwhile.
fn traced(host: &Host, processes: &[i32], act: impl FnOnce()) -> String {
    required(STRACE, "strace");
    let mut strace = host.as_root().command("strace");
    strace.args(["-f", "-qq", "-o", TRACE]);
    processes.iter().for_each(|process| {
        strace.args(["-p", &process.to_string()]);
    });
    let mut strace = strace.spawn().unwrap();
    let is_traced =
        |process: &i32| !host.read(&format!("/proc/{process}/status")).contains("TracerPid:\t0\n");
    host.wait_until("strace", || processes.iter().all(is_traced));
    act();
    host.as_root().run("pkill -x strace").successful();
    strace.wait().unwrap();
    host.read(TRACE)
}

#[test]
fn a_login_with_a_token_waits_for_few_looks_of_its_agent() {
    let scene = Scene::enrolled();
    let _login = scene.host.login("alice");
    required(STRACE, "strace");
    let cycle = format!("strace -f -qq -o {TRACE} pamtester sshd alice open_session close_session");
    scene.host.as_root().run(&cycle).successful();
    let trace = scene.host.read(TRACE);
    let exec = format!("execve(\"{AGENT}\", ");
    let agent = trace.lines().find(|line| line.contains(&exec)).unwrap().split(' ').next().unwrap();
    let calls = calls(&trace, agent.parse().unwrap(), &exec, "\"ready\\n\"");
    for (file, looks) in [("accounts.json\"", 1), ("bt_u20001-iam\"", 1), ("\"filed\"", 0), ("/dev/log\"", 0)]
    {
        assert_eq!(count(&calls, file), looks, "{file}: {calls:#?}");
    }
    // The lock of the other agent is of interest to nobody who logs in.
    assert_eq!(count(&calls, ".lock\", O_RDWR"), 2, "{calls:#?}");
    assert_eq!(count(&calls, "inotify"), 0, "{calls:#?}");
}

#[test]
fn who_asked_for_a_token_has_it_before_anything_is_published() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/first").successful();
    let processes = scene.host.processes_of("alice");
    let found = |name: &str| processes.iter().find(|process| process.command.ends_with(name)).unwrap().pid;
    let (agent, mint) = (found(AGENT), found(" mint"));
    let trace = traced(&scene.host, &[agent, mint], || {
        login.run("iam-session token -s storage.read:/second").successful();
        // Its publication is the last that it does of a job.
        scene.host.wait_until("the mint's publication", || scene.host.read(TRACE).contains("users.lock"));
    });
    let minting = calls(&trace, mint, "{\\\"token\\\":{\\\"account\\\"", "{\\\"token\\\":{\\\"Ok\\\"");
    for (file, looks) in [("accounts.json\"", 0), ("users.lock\"", 0), ("uid_map\"", 0), (".cred\"", 2)] {
        assert_eq!(count(&minting, file), looks, "{file}: {minting:#?}");
    }
    let answering = calls(&trace, agent, "{\\\"token\\\":{\\\"Ok\\\"", "{\\\"status\\\":\\\"success\\\"");
    assert_eq!(count(&answering, "bt_u20001-iam"), 0, "{answering:#?}");
}
