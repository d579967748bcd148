//! What an administrator does, and what file servers and logind do: settings of the guest.

use crate::Row;
use crate::scene::{Scene, then_always, token_file};

pub(crate) const ROWS: &[Row] = &[
    ("tmux", "tmux in the login's scope keeps its token after the logout", tmux),
    (
        "user-scope",
        "without linger logind ends tmux in a scope of the user manager, and our agent holds up neither",
        user_scope,
    ),
    ("kill", "with KillUserProcesses=yes tmux and agent end with the logout", kill),
    (
        "kill-linger",
        "as docs/admin.md says, and not as a user wants it: there tmux of a user who lingers has no token till the next login",
        kill_linger,
    ),
    ("nfs", "while an NFS server is stopped a login works, the log says why, and its token comes later", nfs),
    ("hidepid", "with hidepid=2 a login has a token, tmux keeps it, and all of it ends", hidepid),
    ("upgrade", "an upgrade ends no session, and the next login has the new version", upgrade),
    ("removal", "a removal by the administrator's page leaves logins, and nothing of ours", removal),
];

const LOGIND: &str = "/etc/systemd/logind.conf.d/machine.conf";

/// Leaves tmux behind, and gives the token file of the login that has ended.
fn leave_tmux(scene: &Scene<'_>, start: &str) -> String {
    let login = scene.login_with_token("ann");
    let file = token_file(&login);
    login.run(start).successful();
    login.close();
    scene.guest.wait_until(
        "the end of the login at logind",
        // Of a user with sessions that are closing it is `closing`; list-sessions does not say.
        "! loginctl show-user ann --property=State --value 2>/dev/null | grep -E 'active|online'",
    );
    file
}

fn keeps_its_token(scene: &Scene<'_>, file: &str) {
    scene.guest.does("pgrep -u ann -f tmux");
    scene.guest.does("pgrep -u ann -x agent");
    let token = scene.guest.does(&format!("cat {file}"));
    assert!(scene.provider.accepts(&token), "no good token in {file}");
}

fn end_tmux(scene: &Scene<'_>) {
    scene.guest.root("pkill -u ann tmux");
    scene.wait_for_end_of_logins("ann");
}

fn tmux(scene: &Scene<'_>) {
    let file = leave_tmux(scene, "tmux new-session -d -s work");
    scene.guest.wait_until(
        "an agent that stays",
        "journalctl -b -q -o cat -t iam-session | grep 'event=lingering user=ann'",
    );
    keeps_its_token(scene, &file);
    end_tmux(scene);
    assert!(!scene.guest.exists(&file));
}

const IN_USER_SCOPE: &str = "systemd-run --user --scope --quiet tmux new-session -d -s work";

fn user_scope(scene: &Scene<'_>) {
    leave_tmux(scene, IN_USER_SCOPE);
    then_always(|| scene.wait_for_end_of_logins("ann"), || end_tmux(scene));
}

/// KillUserProcesses=yes for as long as `look` takes.
fn with_kill(scene: &Scene<'_>, look: impl FnOnce()) {
    scene.guest.write(LOGIND, b"[Login]\nKillUserProcesses=yes\n");
    scene.guest.does("systemctl restart systemd-logind");
    // A logind that is started anew knows no user without a session, and ends nothing of theirs.
    let end_of_user = || {
        scene.guest.does("loginctl disable-linger ann");
        end_tmux(scene);
    };
    then_always(
        || then_always(look, end_of_user),
        || {
            scene.guest.does(&format!("rm {LOGIND}; systemctl restart systemd-logind"));
        },
    );
}

fn kill(scene: &Scene<'_>) {
    with_kill(scene, || {
        let file = leave_tmux(scene, "tmux new-session -d -s work");
        scene.wait_for_end_of_logins("ann");
        assert!(!scene.guest.exists(&file));
    });
}

fn kill_linger(scene: &Scene<'_>) {
    with_kill(scene, || {
        scene.guest.does("loginctl enable-linger ann");
        let file = leave_tmux(scene, IN_USER_SCOPE);
        scene.guest.wait_until("the end of the agent", "! pgrep -u ann -x agent");
        scene.guest.does("pgrep -u ann -f tmux");
        assert!(!scene.guest.exists(&file));
        // systemd.kill(5), SendSIGHUP: the one comes immediately after the other.
        let ended = "event=agent_ended user=ann .*reason=SIG(TERM|HUP)";
        scene.guest.wait_until(
            "the reason in the log",
            &format!("journalctl -b -q -o cat -t iam-session | grep -E '{ended}'"),
        );
        let login = scene.login_with_token("ann");
        assert_eq!(token_file(&login), file);
        let doctor = login.run("iam-session doctor").stdout;
        assert!(doctor.contains("KillUserProcesses"), "{doctor}");
        login.close();
    });
}

fn nfs(scene: &Scene<'_>) {
    // An enrolment may not wait for the grace of a minute and a half.
    scene.guest.write("/etc/nfs.conf.d/machine.conf", b"[nfsd]\ngrace-time=10\nlease-time=10\n");
    scene.guest.does("systemctl restart nfs-server");
    scene.guest.does("install -d -m 0700 -o cay -g cay /srv/state /home/cay/.local /home/cay/.local/state");
    scene.guest.does("mount -t nfs4 127.0.0.1:/srv/state /home/cay/.local/state");
    scene.enrol("cay");
    scene.guest.does("systemctl stop nfs-server; echo 2 >/proc/sys/vm/drop_caches");
    let login = scene.guest.login("cay");
    let in_login = || {
        assert_eq!(login.run("id -un").stdout, "cay\n");
        let log = scene.log();
        assert!(log.contains("event=session_opened user=cay"), "no session: {log}");
        scene.guest.wait_until(
            "store_unavailable in the log",
            "journalctl -b -q -o cat | grep event=store_unavailable",
        );
    };
    then_always(in_login, || {
        scene.guest.does("systemctl start nfs-server");
    });
    scene.wait_for_token(&login);
    login.close();
    scene.wait_for_end_of_logins("cay");
    scene.guest.does("umount /home/cay/.local/state; systemctl stop nfs-server");
}

fn hidepid(scene: &Scene<'_>) {
    scene.guest.does("mount -o remount,hidepid=2 /proc");
    let in_logins = || {
        tmux(scene);
        scene.login_with_token("ann").close();
        scene.wait_for_end_of_logins("ann");
    };
    then_always(in_logins, || {
        scene.guest.does("mount -o remount,hidepid=0 /proc");
    });
}

fn upgrade(scene: &Scene<'_>) {
    let keys = scene.guest.does("sha256sum /etc/iam-session/keys.d/*.key");
    let login = scene.login_with_token("ann");
    let deb = support::package::package("next", "iam-session_", ".deb");
    scene.guest.write("/var/tmp/2.deb", &std::fs::read(deb).unwrap());
    scene.guest.does("apt-get install -qqy /var/tmp/2.deb");
    let version = scene.guest.does("dpkg-query -W -f '${Version}' iam-session");
    assert!(version.ends_with("-2"), "{version}");
    assert_eq!(scene.guest.does("sha256sum /etc/iam-session/keys.d/*.key"), keys);
    scene.wait_for_token(&login);
    login.run("iam-session token -s storage.read:/upgraded").successful();
    scene.login_with_token("ann").close();
    login.close();
    let check = scene.guest.does("iam-session-admin check");
    assert!(check.contains("nothing is wrong"), "{check}");
}

fn removal(scene: &Scene<'_>) {
    let login = scene.login_with_token("ann");
    let file = token_file(&login);
    scene.guest.does("iam-session-admin disable --yes");
    scene.guest.does("iam-session-admin kill --all");
    scene.guest.wait_until("the end of the token file", &format!("! test -e {file}"));
    scene.guest.does("apt-get remove -qqy iam-session");
    assert_eq!(login.run("id -un").stdout, "ann\n");
    login.close();
    let after = scene.guest.ssh("ann", "id -un; printenv BEARER_TOKEN_FILE IAM_SESSION_SOCK");
    assert_eq!((after.stdout.as_str(), after.stderr.as_str()), ("ann\n", ""));
    for path in ["/usr/bin/iam-session", "/usr/libexec/iam-session", "/run/iam-session/2001"] {
        assert!(!scene.guest.exists(path), "{path} is there");
    }
    assert!(!scene.guest.does("cat /etc/pam.d/sshd").contains("pam_iam"));
    scene.guest.does("! findmnt /run/iam-session");
    let failed = scene.guest.does("systemctl --failed --no-legend | grep iam; true");
    assert_eq!(failed, "");
    scene.guest.does("test -e /etc/iam-session/keys.d && ls /etc/iam-session/keys.d/*.key");
}
