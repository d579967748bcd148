//! What a login leaves running keeps its token, as far as the site lets it.

use std::time::Duration;

use serde_json::json;
use support::{Disk, Host, Login, Process, wait};

use crate::measure::script;
use crate::scene::{Scene, token_file};

/// The agents of alice's logins, not their mints.
fn agents(host: &Host) -> Vec<Process> {
    let mut agents = host.agents_of("alice");
    agents.retain(|process| !process.command.contains("mint"));
    agents
}

/// Alice has enrolled and that login is over.
fn scene(site: &str) -> Scene {
    let scene = Scene::of(Host::plan().site(site));
    scene.provider.set(json!({"access_token_lifetime": 6}));
    scene.host.enroll(&scene.provider, "alice");
    scene.host.wait_until("the end of the enrolment's login", || agents(&scene.host).is_empty());
    scene
}

/// A login, and a process of it that will not end with it.
fn leave_something_running(scene: &Scene) -> (Login, String) {
    let login = scene.host.login("alice");
    let file = token_file(&login);
    login.run("nohup sleep 1000 >/dev/null 2>&1 </dev/null &").successful();
    (login, file)
}

#[test]
fn what_runs_on_keeps_a_fresh_token_until_it_ends() {
    let scene = scene("");
    let (login, file) = leave_something_running(&scene);
    login.close();
    scene.host.wait_for_log("what it left running keeps its token");
    let first = scene.host.as_user("alice").run(&format!("cat {file}")).successful().stdout;
    let now = || scene.host.as_user("alice").run(&format!("cat {file}")).stdout;
    scene.host.wait_until("a renewal after the logout", || now() != first && scene.provider.accepts(&now()));
    scene.host.as_user("alice").run("pkill -x sleep").successful();
    wait::within(Duration::from_secs(60), "the end of the agent", || agents(&scene.host).is_empty());
    scene.host.wait_until_gone(&file);
}

#[test]
fn a_tmux_session_keeps_its_token() {
    let scene = scene("");
    let login = scene.host.login("alice");
    login.run("tmux new-session -d -s work").successful();
    login.close();
    scene.host.wait_for_log("what it left running keeps its token");
    let pane = "tmux send-keys -t work 'cat $BEARER_TOKEN_FILE >seen; tmux wait-for -S done' Enter; tmux wait-for done";
    scene.host.as_user("alice").run(pane).successful();
    assert!(scene.provider.accepts(&scene.host.as_user("alice").run("cat seen").stdout));
}

#[test]
fn an_old_pane_reads_a_fresh_token_after_the_next_login() {
    let scene = scene("linger_max = \"1s\"");
    let (login, file) = leave_something_running(&scene);
    login.close();
    scene.host.wait_until_gone(&file);
    // The process that is left has the path in its environment, and the path is good again.
    let again = scene.host.login("alice");
    let environment = "tr '\\0' '\\n' </proc/$(pgrep -x sleep)/environ | sed -n 's/^BEARER_TOKEN_FILE=//p'";
    let path = again.run(environment).successful().stdout;
    assert_eq!(path.trim_end(), file);
    assert!(scene.provider.accepts(&again.read(path.trim_end())));
}

#[test]
fn an_agent_that_is_ended_says_by_what_and_the_next_login_takes_over_its_file() {
    let scene = scene("");
    let (login, file) = leave_something_running(&scene);
    login.close();
    scene.host.wait_for_log("what it left running keeps its token");
    // As logind does with KillUserProcesses=yes.
    scene.host.kill("TERM", &agents(&scene.host)[0]);
    let ended = scene.host.wait_for_log("reason=SIGTERM");
    assert!(ended.contains("event=agent_ended"), "{ended}");
    scene.host.wait_until_gone(&file);
    let again = scene.host.login("alice");
    assert_eq!(token_file(&again), file);
    assert!(scene.provider.accepts(&again.read(&file)));
}

#[test]
fn the_longest_stay_is_the_sites() {
    let scene = scene("linger_max = \"2s\"");
    let (login, file) = leave_something_running(&scene);
    login.close();
    scene.host.wait_until_gone(&file);
    scene.host.wait_until("the end of the agent", || agents(&scene.host).is_empty());
    assert_eq!(scene.host.as_user("alice").run("pgrep -x sleep").status, 0, "it still runs");
}

#[test]
fn a_site_that_does_not_want_it_has_none_of_it() {
    let scene = scene("linger = \"no\"");
    let (login, file) = leave_something_running(&scene);
    login.close();
    scene.host.wait_until_gone(&file);
    assert_eq!(scene.host.as_user("alice").run("pgrep -x sleep").status, 0, "it still runs");
}

#[test]
fn a_service_that_was_started_along_the_way_is_no_reason_to_stay() {
    let scene = scene("");
    let login = scene.host.login("alice");
    let file = token_file(&login);
    login.run("ssh-agent >/dev/null").successful();
    login.close();
    scene.host.wait_until_gone(&file);
    assert_eq!(scene.host.as_user("alice").run("pgrep -x ssh-agent").status, 0, "it still runs");
}

#[test]
fn a_job_that_cannot_be_looked_at_keeps_the_agent_and_holds_up_none_of_its_answers() {
    let scene = scene("");
    let (host, root) = (&scene.host, scene.host.as_root());
    let disk = Disk::over(host, "alice", "/home/alice/disk");
    host.as_user("alice").run("head -c 4096 /dev/zero >disk/page").successful();
    disk.hang("read", "page");
    let login = host.login("alice");
    let agent = agents(host)[0].pid;
    let socket = login.env("IAM_SESSION_SOCK").unwrap();
    let [python, path] = script(host, "stuck.py", include_str!("stuck.py"));
    let job = format!("nohup {python} {path} disk/page >/dev/null 2>&1 </dev/null & echo $!");
    let job = login.run(&job).successful().stdout;
    let look_at_it = format!("timeout 1 cat /proc/{}/environ", job.trim());
    host.wait_until("a job that nobody can look at", || root.run(&look_at_it).status == 124);
    login.close();
    // Not by looking at all processes, as that would be the test's end, too.
    let children = format!(
        "for child in $(cat /proc/{agent}/task/{agent}/children); do
             grep -qz left-running /proc/$child/cmdline && echo $child; done; true"
    );
    let searches = || root.run(&children).stdout;
    let asked = format!("IAM_SESSION_SOCK={socket} timeout 5 iam-session status --json");
    host.wait_until("answers while one search does not end", || {
        let before = searches();
        host.as_user("alice").run(&asked).successful();
        before.lines().count() == 1 && searches() == before
    });
    drop(disk);
    // Its page is gone, and so is the job.
    wait::within(Duration::from_secs(60), "the end of the agent", || agents(host).is_empty());
}
