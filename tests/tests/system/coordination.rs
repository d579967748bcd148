//! Cost grows with users and not with sessions, and one refresh token is in one hand at a time.

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;
use support::{Host, Login};

use crate::scene::{Scene, token_file};

/// Alice has enrolled; sshd takes many at once.
fn scene(settings: serde_json::Value) -> Scene {
    let scene = Scene::of(Host::plan().sshd_line("MaxStartups 500").sshd_line("MaxSessions 500"));
    scene.provider.set(settings);
    scene.host.enroll(&scene.provider, "alice");
    scene
}

fn log_in(scene: &Scene, how_often: usize) -> Vec<Login> {
    (0..how_often).map(|_| scene.host.login("alice")).collect()
}

/// Starts so many clients in each login, all before any is waited for, and gives what they printed and their exit
/// codes, without repetition.
fn ask_at_once(logins: &[Login], clients: usize, command: &str) -> BTreeSet<String> {
    for login in logins {
        login.run(&format!(
            "rm -rf answers.$$; mkdir answers.$$
             for i in $(seq {clients}); do ({command} >answers.$$/$i 2>&1; echo $? >>answers.$$/$i) & done"
        ));
    }
    let answers = |login: &Login| {
        login.run("wait");
        login.run("for f in answers.$$/*; do tr '\\n' ' ' <$f; echo; done").successful().stdout
    };
    logins.iter().flat_map(|login| answers(login).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn sixty_four_clients_of_one_agent_cost_one_request() {
    let scene = scene(json!({}));
    let logins = log_in(&scene, 1);
    let refreshes = scene.provider.count("refresh");
    let answers = ask_at_once(&logins, 64, "iam-session token -s storage.read:/cms");
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.ends_with(" 0 ")), "{answers:?}");
    assert_eq!(scene.provider.count("refresh"), refreshes + 1);
}

/// More than the agent has room for: those that it turns away ask again, and find the token in the cache.
#[test]
fn a_thousand_processes_at_once_cost_one_request_and_are_all_served() {
    let scene = scene(json!({}));
    let logins = log_in(&scene, 1);
    let refreshes = scene.provider.count("refresh");
    let answers = ask_at_once(&logins, 1000, "iam-session token -s storage.read:/cms");
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.ends_with(" 0 ")), "{answers:?}");
    assert_eq!(scene.provider.count("refresh"), refreshes + 1);
}

#[test]
fn sixty_clients_of_ten_agents_cost_one_request() {
    let scene = scene(json!({}));
    let logins = log_in(&scene, 10);
    let refreshes = scene.provider.count("refresh");
    let answers = ask_at_once(&logins, 6, "iam-session token -s storage.read:/cms");
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(scene.provider.count("refresh"), refreshes + 1);
}

#[test]
fn an_issuer_that_fails_is_asked_once_by_sixty_clients_of_ten_agents() {
    let scene = scene(json!({}));
    let logins = log_in(&scene, 10);
    scene.provider.fail_with(json!({"fault": "status", "status": 503, "at": ["refresh"]}));
    let refreshes = scene.provider.count("refresh");
    let answers = ask_at_once(&logins, 6, "iam-session token -s storage.read:/cms");
    assert!(answers.iter().all(|answer| answer.ends_with(" 7 ")), "{answers:?}");
    assert_eq!(scene.provider.count("refresh"), refreshes + 1);
}

#[test]
fn fifty_sessions_renew_once() {
    let scene = scene(json!({"access_token_lifetime": 15}));
    let logins = log_in(&scene, 50);
    let file = token_file(&logins[0]);
    let read = || logins[0].read(&file);
    // Counted from one renewal to the next but one: two lifetimes' worth.
    let wait_for_a_renewal = || {
        let before = read();
        scene.host.wait_until("a renewal", || read() != before);
    };
    wait_for_a_renewal();
    let refreshes = scene.provider.count("refresh");
    wait_for_a_renewal();
    wait_for_a_renewal();
    let cost = scene.provider.count("refresh") - refreshes;
    assert_eq!(cost, 2, "{cost} requests for two renewals");
}

#[test]
fn sixty_logins_one_after_the_other_cost_two_requests_at_most() {
    let scene = scene(json!({}));
    let refreshes = scene.provider.count("refresh");
    for _ in 0..60 {
        let output = scene.host.ssh("alice", "cat $BEARER_TOKEN_FILE").successful();
        assert_eq!(output.stdout.lines().count(), 1);
        // As logind does after the last logout.
        scene.host.wait_until("the end of the agent", || scene.host.agents_of("alice").is_empty());
        scene.host.as_root().run("rm -rf /run/iam-session/20001").successful();
    }
    assert!(scene.provider.count("refresh") - refreshes <= 2);
}

#[test]
fn two_hundred_logins_of_fifty_users_at_once_get_each_their_own() {
    let scene = scene(json!({}));
    let users: Vec<String> = (0..50).map(|number| format!("user{number}")).collect();
    for user in &users {
        scene.host.add_user(user);
    }
    thread::scope(|scope| {
        for user in &users {
            scope.spawn(|| scene.host.enroll(&scene.provider, user));
        }
    });
    // Into a file of its own: an sshd that serves so many at once loses what a command writes to its output.
    let command =
        "(printenv BEARER_TOKEN_FILE IAM_SESSION_SOCK; cat $BEARER_TOKEN_FILE) >seen.$IAM_SESSION_ID";
    let log_in = |user: &str| {
        scene.host.ssh(user, command).successful();
    };
    thread::scope(|scope| {
        for user in &users {
            for _ in 0..4 {
                scope.spawn(|| log_in(user));
            }
        }
    });
    for user in &users {
        let seen =
            scene.host.as_user(user).run("for file in seen.*; do tr '\\n' ' ' <$file; echo; done").stdout;
        assert_eq!(seen.lines().count(), 4, "{user}");
        let directory = format!("/run/iam-session/{}/", scene.host.uid(user));
        for line in seen.lines() {
            let [file, socket, token] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{user}: {line}")
            };
            assert!(file.starts_with(&directory) && socket.starts_with(&directory), "{user}: {line}");
            assert_eq!(scene.provider.verify(token)["sub"], user.as_str());
        }
    }
}

#[test]
fn an_issuer_that_watches_for_reuse_never_sees_any_though_agents_are_killed() {
    let scene = scene(json!({"rotate": true}));
    let logins = log_in(&scene, 10);
    // Each client asks for a path of its own, so that each is a rotation.
    let ask = "for n in $(seq 100); do iam-session token -s storage.read:/$$/$n >/dev/null 2>&1; done";
    for login in &logins {
        login.run(&format!("({ask}) >/dev/null 2>&1 &")).successful();
    }
    // Five of the ten agents, one after the other, in the middle of it: their clients turn to the others.
    for round in 1..=5 {
        let enough = scene.provider.count("refresh") + 100;
        scene.host.wait_until("a hundred rotations", || scene.provider.count("refresh") >= enough);
        let agents = scene.host.agents_of("alice");
        scene.host.kill("KILL", &agents[round % agents.len()]);
    }
    for login in &logins {
        login.run("wait");
    }
    let rotations = scene.provider.count("refresh");
    assert!(rotations > 900, "{rotations}");
    assert_eq!(scene.provider.count("reuse"), 0);
    let last = logins[0].run("iam-session token -s storage.read:/after").successful();
    assert!(scene.provider.accepts(&last.stdout));
}

#[test]
fn a_rotated_token_that_the_disk_would_not_take_is_kept_until_it_does() {
    let scene = scene(json!({}));
    let login = scene.host.login("alice");
    // Nobody knows yet that it rotates: else it would not be asked while nothing can be written.
    scene.provider.set(json!({"rotate": true}));
    let record = "sha256sum /home/alice/.local/state/iam-session/wlcg.cred";
    let before = scene.host.as_root().run(record).successful().stdout;
    scene.host.as_root().run("mount -o remount,ro /home").successful();
    // The second one is minted with what could not be written.
    login.run("iam-session token -s storage.read:/a").successful();
    login.run("iam-session token -s storage.read:/b").successful();
    assert_eq!(scene.host.as_root().run(record).stdout, before, "the old record is as it was");
    scene.host.wait_for_log("could not be kept yet");
    scene.host.as_root().run("mount -o remount,rw /home").successful();
    scene.host.wait_for_log("is kept now");
    login.close();
    scene.host.wait_until("the end of the agents", || scene.host.processes_of("alice").is_empty());
    // From the store alone.
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/c").successful();
    assert_eq!(scene.provider.count("reuse"), 0);
}
