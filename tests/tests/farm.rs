//! Hosts of one farm, which share homes and node keys.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

use support::{Host, Provider};

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
