//! Who gets an agent and who does not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::host::{Host, PAM_SESSION_ERR, PAM_SUCCESS, debug, error, give_to, on_a_host, warning};

fn is_served(host: &Host, user: &str) -> bool {
    let said = host.agent("say ready").run_heard(user, &["open", "end"]);
    assert_eq!(said.codes("open"), [PAM_SUCCESS], "{user}");
    !said.environment().is_empty()
}

#[test]
fn root_system_users_and_nobody_are_not_served() {
    on_a_host(|host| {
        let served: Vec<_> =
            ["root", "daemon", "nobody", "alice"].into_iter().filter(|user| is_served(host, user)).collect();
        assert_eq!(served, ["alice"]);
        host.line("min_uid=1");
        let served: Vec<_> =
            ["root", "daemon", "nobody"].into_iter().filter(|user| is_served(host, user)).collect();
        assert_eq!(served, ["daemon"]);
    });
}

#[test]
fn only_the_services_of_the_line_are_served() {
    on_a_host(|host| {
        host.agent("say ready");
        host.write("/etc/pam.d/cron", &fs::read_to_string("/etc/pam.d/sshd").unwrap());
        let said = host.run_service("cron", "alice", &["open", "end"]);
        assert_eq!((said.codes("open"), said.environment().len()), (vec![PAM_SUCCESS], 0));
        host.line("services=login,sshd");
        assert!(is_served(host, "alice"));
    });
}

#[test]
fn groups_are_checked_by_the_child() {
    on_a_host(|host| {
        host.line("groups=nosuchgroup,cms debug");
        assert!(is_served(host, "alice"));
        host.log();
        assert!(!is_served(host, "bob"));
        assert_eq!(host.log(), [debug("bob", "not served: in none of the groups of groups=")]);
        host.line("groups=bob");
        assert!(is_served(host, "bob") && !is_served(host, "alice"));
    });
}

#[test]
fn a_group_may_have_any_number_of_members() {
    on_a_host(|host| {
        let members: Vec<String> = (0..150_000).map(|number| format!("member{number}")).collect();
        host.write("/etc/group", &format!("alice:x:1000:\nbig:x:3000:{},alice\n", members.join(",")));
        host.line("groups=big");
        assert!(is_served(host, "alice") && !is_served(host, "bob"));
    });
}

#[test]
fn a_host_that_may_have_no_more_memory_gets_an_error_and_goes_on() {
    on_a_host(|host| {
        host.agent("say ready");
        let said = host.run("alice", &["memory=200000", "open", "end"]);
        assert_eq!(said.codes("open"), [PAM_SESSION_ERR]);
        assert_eq!(host.log(), [error("alice", "no session: the agent failed (groups)")]);
    });
}

#[test]
fn a_host_that_is_not_root_is_left_alone() {
    on_a_host(|host| {
        host.line("debug");
        let said = host.agent("say ready").run("alice", &["seteuid=1000", "open", "close", "end"]);
        assert_eq!((said.codes("open"), said.codes("close")), (vec![PAM_SUCCESS], vec![PAM_SUCCESS]));
        assert_eq!((said.environment().len(), host.agents().len(), said.changes().len()), (0, 0, 0));
        assert_eq!(host.log(), [debug("alice", "not served: the host is not root")]);
    });
}

#[test]
fn the_revoked_are_not_served() {
    on_a_host(|host| {
        host.write("/etc/iam-session/revoked", "# left in May\nbob\n4711\n");
        assert!(is_served(host, "alice") && !is_served(host, "bob"));
        host.write("/etc/iam-session/revoked", "1000\n");
        assert!(!is_served(host, "alice"));
    });
}

#[test]
fn a_revoked_file_that_others_could_write_serves_nobody() {
    on_a_host(|host| {
        host.write("/etc/iam-session/revoked", "");
        give_to("/etc/iam-session/revoked", 1000);
        let said = host.agent("say ready").run("alice", &["open", "end"]);
        assert_eq!((said.codes("open"), said.environment().len()), (vec![PAM_SESSION_ERR], 0));
        assert_eq!(
            host.log(),
            [error(
                "alice",
                "no session: /etc/iam-session/revoked is not owned by root and writable by root alone: nobody is served"
            )]
        );
        fs::remove_file("/etc/iam-session/revoked").unwrap();
        fs::set_permissions("/etc/iam-session", Permissions::from_mode(0o777)).unwrap();
        assert_eq!(host.run("alice", &["open", "end"]).codes("open"), [PAM_SESSION_ERR]);
        assert_eq!(host.log().len(), 1);
    });
}

#[test]
fn an_unknown_user_or_one_without_a_home_is_an_error_with_one_line() {
    on_a_host(|host| {
        for (user, logged) in [
            ("nosuchuser", "there is no such user"),
            ("homeless", "the home directory is not an absolute path in UTF-8"),
            ("../alice", "there is no such user"),
        ] {
            let said = host.run(user, &["open", "end"]);
            assert_eq!((said.codes("open"), said.environment().len()), (vec![PAM_SESSION_ERR], 0), "{user}");
            assert_eq!(host.log(), [error(user, &format!("no session: {logged}"))]);
        }
    });
}

#[test]
fn a_mistake_on_the_line_is_logged_and_the_login_goes_on() {
    on_a_host(|host| {
        host.line("token_wait=long bogus");
        assert!(is_served(host, "alice"));
        let log = host.log();
        assert_eq!(log.len(), 4, "{log:?}");
        assert_eq!(
            log[0],
            warning(
                "alice",
                "option 'token_wait=long' is ignored and its default stands; accepted: token_wait=Ns or Nms, at most 30s"
            )
        );
        assert!(
            log[1].starts_with(
                "event=warning user=alice reason=\"unknown option 'bogus' is ignored; there are: min_uid "
            ),
            "{log:?}"
        );
    });
}

#[test]
fn a_mistake_about_who_is_served_serves_nobody_and_the_login_goes_on() {
    on_a_host(|host| {
        host.line("groups=");
        let said = host.run("alice", &["open", "end"]);
        assert_eq!((said.codes("open"), said.environment().len()), (vec![PAM_SUCCESS], 0));
        let log = host.log();
        assert_eq!(
            log,
            [warning(
                "alice",
                "option 'groups=' is wrong and nobody is served; accepted: groups=NAME,NAME\u{2026}"
            )]
        );
    });
}

#[test]
fn on_a_drained_host_nobody_is_served_and_the_log_says_so() {
    on_a_host(|host| {
        host.write("/etc/iam-session/drain", "");
        assert!(!is_served(host, "alice"));
        let log = host.log();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(
            log[0]
                .starts_with("event=warning user=alice reason=\"not served: /etc/iam-session/drain is there"),
            "{log:?}"
        );
        fs::remove_file("/etc/iam-session/drain").unwrap();
        // Whatever stands there: a host is not undrained by what it leads to.
        std::os::unix::fs::symlink("/nowhere", "/etc/iam-session/drain").unwrap();
        assert!(!is_served(host, "alice"));
        fs::remove_file("/etc/iam-session/drain").unwrap();
        assert!(is_served(host, "alice"));
    });
}
