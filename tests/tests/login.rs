//! A login with everything in its place: module, agent, helper and issuer.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

use support::{Host, Provider};

#[test]
fn an_enrolled_user_logs_in_and_has_a_token() {
    let host = Host::start();
    let provider = Provider::start(&host);
    assert_eq!(host.enroll(&provider, "alice")["event"], "enrolled");

    let login = host.login("alice");
    let file = login.env("BEARER_TOKEN_FILE").unwrap();
    let claims = provider.verify(&login.read(&file));
    assert_eq!(claims["sub"], "alice");
    assert_eq!(host.agents_of("alice").len(), 1);
    login.close();
    host.wait_until_gone(&file);
    host.wait_until("the end of alice's processes", || host.processes_of("alice").is_empty());
}

#[test]
fn a_user_who_is_not_enrolled_has_an_agent_and_no_token() {
    let host = Host::start();
    let login = host.login("bob");
    let file = login.env("BEARER_TOKEN_FILE").unwrap();
    assert_eq!(file, format!("/run/iam-session/{0}/bt_u{0}-iam", host.uid("bob")));
    assert!(!host.exists(&file));
    assert_eq!(login.run("iam-session token").status, 3);
}

#[test]
fn a_shared_home_serves_two_hosts() {
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
