//! Other ways to become somebody, from within a login and beside sshd.

use support::Host;

use crate::scene::{Scene, is_deserted, opened};

/// The module where it should not be: a site that put it into what all services share.
fn misplace(host: &Host, service: &str) {
    let stack = "auth sufficient pam_rootok.so\nauth required pam_unix.so\naccount required pam_permit.so\n\
                 session required pam_permit.so\n-session optional pam_iam.so\n";
    host.write(&format!("/etc/pam.d/{service}"), stack, 0o644);
}

#[test]
fn becoming_another_starts_no_agent_and_ends_none() {
    let scene =
        Scene::of(Host::plan().with_password("bob", "bob's own").with_password("alice", "alice's own"));
    let host = &scene.host;
    host.enroll(&scene.provider, "alice");
    for service in ["su", "su-l", "sudo", "sudo-i", "runuser", "runuser-l"] {
        misplace(host, service);
    }
    host.write("/etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n", 0o440);
    let login = host.login("alice");
    let before = opened(host).len();
    let token = login.run("iam-session token").successful().stdout;
    for become_bob in [
        "printf \"bob's own\\n\" | su bob -c 'id -un'",
        "printf \"bob's own\\n\" | su - bob -c 'id -un'",
        "sudo -n -u bob id -un",
        "sudo -n -i -u bob id -un",
        "sudo -n runuser -u bob -- id -un",
        "sudo -n runuser -l bob -c 'id -un'",
        "sudo -n setpriv --reuid=bob --regid=bob --init-groups id -un",
    ] {
        assert_eq!(login.run(become_bob).successful().stdout, "bob\n", "{become_bob}");
        assert!(host.agents_of("bob").is_empty(), "{become_bob}");
        assert_eq!(login.run("iam-session token").successful().stdout, token, "{become_bob}");
    }
    // And back to oneself, which gets no second agent.
    assert_eq!(login.run("printf \"alice's own\\n\" | su alice -c 'iam-session token'").stdout, token);
    assert_eq!((opened(host).len(), host.agents_of("alice").len()), (before, 1));
    // What is left running as somebody else is no reason to stay.
    login.run("sudo -n -u bob sh -c 'sleep 1000 >/dev/null 2>&1 &'").successful();
    login.close();
    host.wait_until("the end of alice's agent", || is_deserted(host));
}

#[test]
fn who_has_become_another_has_nothing_of_the_others_token() {
    let scene = Scene::of(Host::plan().with_password("bob", "bob's own"));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    // su keeps the environment, and with it the paths.
    let as_bob = "printf \"bob's own\\n\" | su bob -c 'cat $BEARER_TOKEN_FILE || iam-session token'";
    let output = login.run(as_bob);
    assert_eq!(output.stdout, "", "{output:?}");
    assert_ne!(output.status, 0);
}

/// What to type, as all commands say it.
const UNSET: &str = "unset BEARER_TOKEN_FILE IAM_SESSION_SOCK IAM_SESSION_ID";

#[test]
fn who_has_kept_the_variables_of_another_is_told_whose_they_are() {
    let scene = Scene::of(Host::plan().with_password("bob", "bob's own"));
    let host = &scene.host;
    host.enroll(&scene.provider, "alice");
    host.write("/etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n", 0o440);
    let login = host.login("alice");
    let tells = |command: &str, words: &[&str]| {
        let output = login.run(command);
        let all = format!("{}{}", output.stdout, output.stderr);
        for word in words.iter().chain(&[UNSET]) {
            assert!(all.contains(word), "{command}: {word:?} is not in {output:?}");
        }
    };
    let socket = "is the socket of alice, not yours";
    for asked in ["token", "status", "doctor"] {
        tells(&format!("printf \"bob's own\\n\" | su bob -c 'iam-session {asked}'"), &[socket]);
        tells(&format!("sudo -n -E -u bob iam-session {asked}"), &[socket]);
    }
    tells("sudo -n -E -u bob iam-session doctor", &["which is alice's and not yours"]);
    // Root reads every file, and would use her token as its own.
    tells("sudo -n -E iam-session doctor", &["which is alice's and not yours"]);
    tells("sudo -n -E iam-session status", &[socket]);
    // With an agent of his own, too.
    let _bobs = host.login("bob");
    tells(
        "sudo -n -E -u bob iam-session status",
        &["names an agent of alice; one of your own answers", "which is alice's and not yours"],
    );
}

#[test]
fn a_line_in_sudoers_takes_the_variables_away() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    let line = include_str!("../../../docs/admin.md").lines().find(|line| line.contains("env_delete +="));
    let rule = format!("{}\nalice ALL=(ALL) NOPASSWD: ALL\n", line.unwrap());
    host.write("/etc/sudoers.d/alice", rule, 0o440);
    let login = host.login("alice");
    let show =
        "sudo -n -E sh -c 'printenv HOME BEARER_TOKEN BEARER_TOKEN_FILE IAM_SESSION_SOCK IAM_SESSION_ID'";
    assert_eq!(login.run(&format!("BEARER_TOKEN=x {show}")).stdout.lines().count(), 1);
}

#[test]
fn a_service_with_the_usual_sigpipe_survives_an_agent_that_is_gone() {
    let scene = Scene::of(Host::plan());
    let host = &scene.host;
    host.enroll(&scene.provider, "alice");
    host.wait_until("the end of the enrolment's login", || is_deserted(host));
    let stack = "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n\
                 -session optional pam_iam.so services=sshd,login\n";
    host.write("/etc/pam.d/login", stack, 0o644);
    let open_and_close = || host.as_root().run("pamtester -v login alice open_session close_session");
    let before = opened(host).len();
    assert!(open_and_close().successful().stdout.contains("successfully been closed"));
    // The log is read beside the test.
    host.wait_until("the line of the session", || opened(host).len() == before + 1);
    host.wait_until("the end of the agent", || is_deserted(host));
    // It ends without a look at what it is sent; or it is gone by the time of the close.
    let agents = ["true", "exec <&-; echo ready", "echo ready"];
    for agent in agents {
        host.write("/usr/libexec/iam-session/agent", format!("#!/bin/sh\n{agent}\n"), 0o755);
        assert!(open_and_close().successful().stdout.contains("successfully been closed"), "{agent}");
    }
    // Nobody reads the log.
    host.as_root().run("rm /dev/log").successful();
    assert!(open_and_close().successful().stdout.contains("successfully been closed"));
}
