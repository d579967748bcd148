//! SELinux with Debian's build of the reference policy and the module of the package. That of EL is another one.

use support::Login;

use crate::Row;
use crate::scene::{Scene, then_always, token_file};

pub(crate) const ROWS: &[Row] = &[
    (
        "permissive",
        "SELinux permissive: the policy module loads, and it has nothing to say of a login",
        permissive,
    ),
    ("enforcing", "SELinux enforcing: a login has a token, and a logout ends agent and file", enforcing),
    (
        "confined",
        "SELinux enforcing, user_u: the same; where the log has not the agent's lines, 'status' says so",
        confined,
    ),
];

/// As `semanage login -a -s user_u ben` says it: a line in seusers alone does not label his home.
const BEN: &str = "(selinuxuser ben user_u ((s0) (s0)))\n";
const MODULE: &str = include_str!("../../packaging/selinux/iam-session.cil");

/// What the kernel has denied, or would have, to sshd, our programs and root's tool since the last look.
fn denials(scene: &Scene<'_>) -> String {
    let ours = r#"comm="(sshd|agent|helper|iam-session.*)""#;
    let shown = scene.guest.does(&format!(
        "cat /var/log/audit/audit.log | grep 'avc: *denied' | grep -E '{ours}' | sort -u; : >/var/log/audit/audit.log"
    ));
    shown.lines().take(20).collect::<Vec<_>>().join("\n")
}

fn domain(login: &Login) -> String {
    let agent = login.run("cat /proc/$(pgrep -u $(id -u) -x agent)/attr/current; id -Z").stdout;
    agent.replace('\0', "\n")
}

fn permissive(scene: &Scene<'_>) {
    scene.guest.does("test \"$(getenforce)\" = Permissive");
    scene.guest.write("/var/tmp/iam-session.cil", MODULE.as_bytes());
    scene.guest.write("/var/tmp/ben.cil", BEN.as_bytes());
    scene.guest.does("semodule -X 200 -i /var/tmp/iam-session.cil /var/tmp/ben.cil");
    scene.guest.does("restorecon -R /etc/iam-session /run/pam_iam /run/iam-session");
    scene.guest.does("ls -Z /etc/iam-session/keys.d/*.key | grep -w sshd_key_t");
    denials(scene);
    scene.login_with_token("ann").close();
    scene.wait_for_end_of_logins("ann");
    assert_eq!(denials(scene), "", "denied");
}

fn in_login(scene: &Scene<'_>, user: &str) {
    scene.guest.does("setenforce 1");
    denials(scene);
    let all_of_it = || {
        let login = scene.login_with_token(user);
        let file = token_file(&login);
        login.run("iam-session token -s storage.read:/enforcing").successful();
        let session = login.env("IAM_SESSION_ID").unwrap();
        let is_logged = scene.log().contains(&format!("event=agent_started user={user} session={session}"));
        let status = login.run("iam-session status").successful();
        let is_told = status.stderr.contains("cannot write to the system log");
        assert!(is_logged != is_told, "in the log: {is_logged}, in {}: {status:?}", domain(&login));
        let sessions = scene.guest.does("iam-session-admin sessions");
        // The range of root's own domain may keep it from a confined user's socket; the foot of the table says so.
        let must_answer = domain(&login).contains(":unconfined_t:");
        assert!(sessions.contains(user) && !(must_answer && sessions.contains("no answer")), "{sessions}");
        login.close();
        scene.wait_for_end_of_logins(user);
        assert!(!scene.guest.exists(&file));
        assert_eq!(denials(scene), "", "denied");
    };
    then_always(all_of_it, || {
        scene.guest.does("setenforce 0");
    });
}

fn enforcing(scene: &Scene<'_>) {
    in_login(scene, "ann");
}

fn confined(scene: &Scene<'_>) {
    scene.guest.does("restorecon -RF /home/ben");
    scene.enrol("ben");
    assert!(domain(&scene.guest.login("ben")).contains("user_u"), "ben is not user_u");
    in_login(scene, "ben");
}
