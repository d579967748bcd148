//! Hosts of one farm, which share homes and node keys.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

use std::time::Duration;

use serde_json::{Value, json};
use support::{Host, Login, Provider, wait};

/// On each host.
const LOGINS: usize = 10;

/// How configuration management puts the list there, and how a person does.
const WAYS: [&str; 2] = [
    "printf 'alice\\n' >/etc/iam-session/.revoked.new && mv /etc/iam-session/.revoked.new /etc/iam-session/revoked",
    "printf 'bob\\nalice\\n' >/etc/iam-session/revoked",
];
/// Agents end at once; this is for a loaded machine, and far below the minute that is promised.
const AT_ONCE: Duration = Duration::from_secs(20);

#[test]
fn an_enrolment_serves_every_host_that_shares_the_home() {
    let one = Host::start();
    let provider = Provider::start(&one);
    one.enroll(&provider, "alice");
    let other = one.sibling("login2");
    for host in [&one, &other] {
        let login = host.login("alice");
        let token = login.run("iam-session token").successful().stdout;
        assert!(provider.accepts(&token));
    }
}

/// Siblings share /etc; a list is one host's.
fn with_a_site_of_its_own(host: Host) -> Host {
    let copy = "cp -a /etc/iam-session /run/site && mount --bind /run/site /etc/iam-session";
    host.as_root().run(copy).successful();
    host
}

fn agents_end(host: &Host) {
    wait::within(AT_ONCE, "the end of alice's agents", || host.agents_of("alice").is_empty());
}

/// Promise 30.
#[test]
fn the_list_ends_a_user_on_every_host_that_it_has_reached_and_on_no_other() {
    let one = Host::start();
    let provider = Provider::start(&one);
    one.enroll(&provider, "alice");
    let other = with_a_site_of_its_own(one.sibling("login2"));
    // On a busy host a login goes on before its token is there.
    let has_token = |host: &Host, login: &Login| {
        host.wait_until("a token in the file", || {
            provider.accepts(&login.run("cat $BEARER_TOKEN_FILE").stdout)
        });
    };
    for put in WAYS {
        let (here, there, idle) = (one.login("alice"), other.login("alice"), other.login("alice"));
        for (host, login) in [(&one, &here), (&other, &there), (&other, &idle)] {
            has_token(host, login);
        }
        one.as_root().run(put).successful();
        agents_end(&one);
        let refreshed = there.run("iam-session token -s storage.read:/there").successful().stdout;
        assert!(provider.accepts(&refreshed) && other.agents_of("alice").len() == 2);
        other.as_root().run(put).successful();
        agents_end(&other);
        for (host, login) in [(&one, &here), (&other, &there)] {
            let left = || host.as_root().run("find /run/iam-session/20001 ! -type d").stdout;
            host.wait_until("no file in the runtime directory", || left().is_empty());
            assert_eq!(login.run("iam-session token").status, 4);
            assert_eq!(host.login("alice").env("BEARER_TOKEN_FILE"), None);
            host.as_root().run("iam-session-admin unrevoke alice").successful();
            let again = host.login("alice");
            has_token(host, &again);
            again.close();
            host.wait_until("the end of the agent", || host.agents_of("alice").is_empty());
        }
    }
    assert_eq!(provider.count("revocation"), 0);
}

/// What is said to administrators: the list is one host's, and so is the command.
#[test]
fn revoke_on_one_host_ends_no_session_on_another() {
    let one = Host::start();
    let provider = Provider::start(&one);
    one.enroll(&provider, "alice");
    let other = with_a_site_of_its_own(one.sibling("login2"));
    let there = other.login("alice");
    one.as_root().run("iam-session-admin revoke alice").successful();
    assert!(provider.accepts(&there.run("iam-session token -s storage.read:/x").successful().stdout));
    let list = one.read("/etc/iam-session/revoked");
    assert_eq!(list, "alice\n20001 # alice\n");
    other.write("/etc/iam-session/revoked", list, 0o644);
    agents_end(&other);
}

/// Ten logins on each of three hosts, and how many requests two renewals of them cost.
fn cost_of_two_renewals(hosts: &[&Host; 3], provider: &Provider) -> u64 {
    let logins: Vec<Login> = hosts.iter().flat_map(|host| (0..LOGINS).map(|_| host.login("alice"))).collect();
    let file = logins[0].env("BEARER_TOKEN_FILE").unwrap();
    let seen = |host: &Host| host.as_user("alice").run(&format!("cat {file}")).successful().stdout;
    // A renewal is over when every host has the new token: each time the same.
    let wait_for_a_renewal = |before: &str| {
        let mut now = String::new();
        hosts[0].wait_until("a renewal on every host", || {
            let all = hosts.map(seen);
            now.clone_from(&all[0]);
            now != before && all.iter().all(|one| *one == now)
        });
        now
    };
    let first = wait_for_a_renewal(&seen(hosts[0]));
    let refreshes = provider.count("refresh");
    let second = wait_for_a_renewal(&first);
    let third = wait_for_a_renewal(&second);
    assert!(provider.accepts(&third));
    provider.count("refresh") - refreshes
}

/// Promise 11.
#[test]
fn thirty_sessions_on_three_hosts_renew_once() {
    let one = Host::plan().sshd_line("MaxStartups 500").sshd_line("MaxSessions 500").start();
    one.add_node_key();
    let provider = Provider::start(&one);
    provider.set(json!({"access_token_lifetime": 15}));
    one.enroll(&provider, "alice");
    let (second, third) = (one.sibling("login2"), one.sibling("login3"));
    let cost = cost_of_two_renewals(&[&one, &second, &third], &provider);
    assert_eq!(cost, 2, "{cost} requests for two renewals");
}

/// For how long this host's agents wait after the failure that they know of, in seconds; 0 if they know of none.
fn pause_of(login: &Login) -> u64 {
    let status: Value = serde_json::from_str(&login.run("iam-session status --json").stdout).unwrap();
    let error = &status["accounts"][0]["last_error"];
    let second = |name: &str| error[name].as_u64();
    second("next_attempt_at").zip(second("at")).map_or(0, |(next, at)| next.saturating_sub(at))
}

/// One host alone asks at once, and after 5 s; then it waits for 10 s.
#[test]
fn three_hosts_ask_an_issuer_that_is_away_in_turn_and_are_served_when_it_is_back() {
    let one = Host::start();
    one.add_node_key();
    let provider = Provider::start(&one);
    provider.set(json!({"access_token_lifetime": 6}));
    one.enroll(&provider, "alice");
    let (second, third) = (one.sibling("login2"), one.sibling("login3"));
    let logins = [&one, &second, &third].map(|host| host.login("alice"));
    let tokens = || logins.iter().map(|login| login.run("cat $BEARER_TOKEN_FILE").stdout);
    one.wait_until("a token on each host", || tokens().all(|token| !token.is_empty()));

    provider.fail_with(json!({"fault": "cut", "at": ["refresh"]}));
    let asked = provider.count("refresh");
    one.wait_until("the second pause on each host", || logins.iter().all(|login| pause_of(login) >= 9));
    let asked = provider.count("refresh") - asked;
    // Each once, and one of them again: each by itself would have asked twice.
    assert!((4..6).contains(&asked), "{asked} requests");

    provider.set(json!({"access_token_lifetime": 3600}));
    let asked = provider.count("refresh");
    provider.heal();
    wait::within(Duration::from_secs(30), "a token on each host", || {
        tokens().all(|token| !token.is_empty() && provider.accepts(&token))
    });
    assert_eq!(provider.count("refresh") - asked, 1);
}
