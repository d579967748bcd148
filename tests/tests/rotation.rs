//! Hosts that share a store and an issuer that ends the whole grant when it sees a refresh token twice: it never does
//! (promise 17).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

use std::env;

use serde_json::json;
use support::{Host, Login, Provider};

const SIBLINGS: [&str; 2] = ["login2", "login3"];
const LOGINS: usize = 3;
/// Of each login in a round.
const ROTATIONS: u64 = 50;

/// Half a minute each. ROTATION_ROUNDS=20 is for who changes what is at stake here.
fn rounds() -> u32 {
    env::var("ROTATION_ROUNDS").map_or(1, |number| number.parse().expect("ROTATION_ROUNDS is a number"))
}

/// Each login asks for tokens that are in no cache, in the background. Of what fails the reason is kept.
fn rotate_in_background(logins: &[Login]) {
    for (number, login) in logins.iter().enumerate() {
        login.run(&format!(
            "for n in $(seq {ROTATIONS}); do
                 iam-session token -s storage.read:/{number}/$$/$n >/dev/null
             done 2>>~/said &"
        ));
    }
}

/// All hosts rotate at once, and agents are killed in the middle of it. Their clients turn to the host's others.
fn rotate_and_kill(hosts: &[&Host], provider: &Provider) {
    let logins: Vec<Login> = hosts.iter().flat_map(|host| (0..LOGINS).map(|_| host.login("alice"))).collect();
    let (all, begun) = (ROTATIONS * logins.len() as u64, provider.count("refresh"));
    rotate_in_background(&logins);
    for kill in 1..=hosts.len() + 1 {
        let enough = begun + all * kill as u64 / 6;
        hosts[0].wait_until("a part of the rotations", || {
            assert_eq!(provider.count("reuse"), 0);
            provider.count("refresh") >= enough
        });
        let host = hosts[kill % hosts.len()];
        let agents = host.agents_of("alice");
        host.kill("KILL", &agents[kill % agents.len()]);
    }
    for login in &logins {
        login.run("wait");
    }
    let said = hosts[0].as_user("alice").run("cat said; rm said").stdout;
    assert_eq!(provider.count("reuse"), 0, "{said}");
    // Who asks an agent that is killed meanwhile is told so; nobody else has anything to tell.
    let done = provider.count("refresh") - begun;
    assert!(done * 10 >= all * 9, "{done} of {all}: {said}");
}

#[test]
fn three_hosts_with_agents_that_are_killed_never_use_a_refresh_token_twice() {
    let one = Host::start();
    let provider = Provider::start(&one);
    provider.set(json!({"rotate": true}));
    one.enroll(&provider, "alice");
    let siblings = SIBLINGS.map(|name| one.sibling(name));
    let hosts = [&one, &siblings[0], &siblings[1]];
    for _ in 0..rounds() {
        rotate_and_kill(&hosts, &provider);
    }
    for host in hosts {
        let token = host.ssh("alice", "iam-session token -s storage.read:/after").successful();
        assert!(provider.accepts(&token.stdout));
    }
}

#[test]
fn a_host_that_loses_the_new_refresh_token_has_the_others_say_so() {
    let one = Host::start();
    let provider = Provider::start(&one);
    provider.set(json!({"rotate": true}));
    one.enroll(&provider, "alice");
    let login = one.login("alice");
    login.run("iam-session token -s storage.read:/first").successful();
    provider.fail_with(json!({"fault": "lost_answer", "at": ["refresh"], "times": 1}));
    assert_ne!(login.run("iam-session token -s storage.read:/lost").status, 0);
    let other = one.sibling("login2");
    let told = other.ssh("alice", "iam-session token -s storage.read:/other");
    assert_eq!(told.status, 3, "{told:?}");
    assert!(told.stderr.contains("whose answer was lost, may have used up the refresh token"), "{told:?}");
    // Nor is it forgotten when it has been told once.
    let again = one.sibling("login3").ssh("alice", "iam-session token -s storage.read:/third");
    assert!(again.stderr.contains("may have used up the refresh token"), "{again:?}");
    one.enroll(&provider, "alice");
    other.ssh("alice", "iam-session token -s storage.read:/new").successful();
}
