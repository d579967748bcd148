//! What root's tool makes, whatever umask it was started with.

use support::Host;

use crate::scene::Scene;

const MADE: &str = "/etc/iam-session /etc/iam-session/keys.d /etc/iam-session/keys.d/*.key /etc/iam-session/drain \
                    /etc/pam.d/sshd /etc/iam-session/backup /etc/iam-session/backup/sshd-* /mnt/metrics/x.prom";

/// The modes of all that it makes or replaces.
fn modes(umask: &str) -> String {
    let host = Host::start();
    let steps = "sed -i /pam_iam/d /etc/pam.d/sshd; chmod 640 /etc/pam.d/sshd; rm -rf /etc/iam-session/keys.d
                 mkdir -m 755 /mnt/metrics
                 iam-session-admin key add && iam-session-admin enable --yes && iam-session-admin drain &&
                 iam-session-admin metrics --textfile /mnt/metrics/x.prom";
    host.as_root().run(&format!("umask {umask}\n{steps}")).successful();
    host.as_root().run(&format!("stat -c '%a %n' {MADE} | sed 's/-.*//'")).successful().stdout
}

#[test]
fn what_roots_tool_makes_has_the_same_modes_under_any_umask() {
    let usual = modes("022");
    for expected in ["644 /mnt/metrics/x.prom", "640 /etc/pam.d/sshd", "700 /etc/iam", "400 /etc/iam"] {
        assert!(usual.contains(expected), "{expected} is not in {usual}");
    }
    for umask in ["000", "077", "777"] {
        assert_eq!(modes(umask), usual, "umask {umask}");
    }
}

/// A directory there that users could not pass through would take the session of each of them.
#[test]
fn no_command_of_roots_tool_makes_run_iam_session_where_it_is_missing() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    host.wait_until("the end of the enrolment's login", || host.processes_of("alice").is_empty());
    let commands = "umount /run/iam-session && rmdir /run/iam-session
                    umask 077
                    iam-session-admin revoke alice --at-issuer; iam-session-admin kill alice
                    iam-session-admin sessions; iam-session-admin status; iam-session-admin check
                    stat -c '%a %n' /run/iam-session 2>&1";
    let told = host.as_root().run(commands).stdout;
    assert!(told.ends_with("No such file or directory\n"), "{told}");
}
