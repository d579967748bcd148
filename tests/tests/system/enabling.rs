//! The module's line is put into the PAM file and taken out again, by root's tool.

use support::{Host, Output, Provider};

use crate::scene::token_file;

const SSHD: &str = "/etc/pam.d/sshd";

fn admin(host: &Host, arguments: &str) -> Output {
    host.as_root().run(&format!("iam-session-admin {arguments}"))
}

/// A host with the module installed that nobody has enabled.
fn installed() -> Host {
    let host = Host::start();
    let stack = host
        .read(SSHD)
        .lines()
        .filter(|line| !line.contains("pam_iam"))
        .fold(String::new(), |all, line| all + line + "\n");
    host.write(SSHD, stack, 0o640);
    host
}

#[test]
fn what_is_enabled_gives_tokens_and_what_is_disabled_none() {
    let host = installed();
    let provider = Provider::start(&host);
    let before = host.read(SSHD);
    assert_eq!(host.login("alice").env("BEARER_TOKEN_FILE"), None);
    let told = admin(&host, "enable --yes").successful().stdout;
    assert!(told.contains("\n+-session   optional     pam_iam.so token_wait=2s\n"), "{told}");
    assert_eq!(host.read(SSHD), format!("{before}-session   optional     pam_iam.so token_wait=2s\n"));
    assert_eq!(
        host.as_root()
            .run(&format!("stat -c '%a %U %G' {SSHD}; ls -A /etc/pam.d | grep -c iam-session"))
            .stdout,
        "640 root root\n0\n"
    );
    host.enroll(&provider, "alice");
    let login = host.login("alice");
    assert!(provider.accepts(&login.read(&token_file(&login))));
    assert!(admin(&host, "enable --yes").successful().stdout.contains("enabled already"));
    assert!(admin(&host, "status").successful().stdout.contains("enabled, token_wait=2s"));
    assert_eq!(admin(&host, "check").successful().stdout, "nothing is wrong\n");
    admin(&host, "disable --yes").successful();
    assert_eq!(host.read(SSHD), before);
    assert!(admin(&host, "disable").successful().stdout.contains("not enabled"));
    assert_eq!(host.login("bob").env("BEARER_TOKEN_FILE"), None);
    // What each change replaced is kept, and the login of before goes on.
    let kept = host.as_root().run("cat /etc/iam-session/backup/sshd-*").successful().stdout;
    assert!(kept.contains(&before) && kept.contains("pam_iam.so"), "{kept}");
    assert!(provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn nothing_is_changed_without_a_yes() {
    let host = installed();
    let before = host.read(SSHD);
    let told = admin(&host, "enable");
    assert_eq!(told.status, 2, "{told:?}");
    assert!(told.stderr.contains("give --yes"), "{told:?}");
    assert_eq!(host.read(SSHD), before);
    assert!(!host.exists("/etc/iam-session/backup"));
}

#[test]
fn a_file_that_is_not_understood_or_belongs_to_authselect_is_left_alone() {
    let host = installed();
    let odd = "session required pam_permit.so\nsession sufficient pam_permit.so\n";
    host.write("/etc/pam.d/odd", odd, 0o644);
    let told = admin(&host, "enable --yes --pam-file /etc/pam.d/odd");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(
        told.stderr.contains("line 2 may end or skip the session lines behind it; do it by hand"),
        "{told:?}"
    );
    assert_eq!(host.read("/etc/pam.d/odd"), odd);
    host.as_root().run("mkdir -p /etc/authselect && mv /etc/pam.d/odd /etc/authselect/odd && ln -s /etc/authselect/odd /etc/pam.d/odd").successful();
    let told = admin(&host, "enable --yes --pam-file /etc/pam.d/odd");
    assert!(told.stderr.contains("/etc/pam.d/odd belongs to authselect"), "{told:?}");
    assert_eq!(host.read("/etc/authselect/odd"), odd);
}

#[test]
fn another_first_uid_and_another_service_are_told_to_the_module() {
    let host = installed();
    host.as_root().run("sed -i 's/^UID_MIN.*/UID_MIN 500/' /etc/login.defs && cp /etc/pam.d/sshd /etc/pam.d/remote-login").successful();
    admin(&host, "enable --yes --pam-file /etc/pam.d/remote-login").successful();
    let line = host.read("/etc/pam.d/remote-login").lines().last().unwrap().to_owned();
    assert!(line.ends_with("token_wait=2s services=remote-login min_uid=500"), "{line}");
}

#[test]
fn mistakes_are_told_with_file_line_and_what_is_accepted() {
    let host = Host::plan().pam_options("token_wait=2").site("lingers = 1").start();
    host.write(
        "/etc/pam.d/password-auth",
        "session required pam_permit.so\n-session optional pam_iam.so\n",
        0o644,
    );
    host.as_root().run("chmod 755 /usr/libexec/iam-session/helper").successful();
    let told = admin(&host, "check");
    assert_eq!(told.status, 1, "{told:?}");
    for line in [
        "/etc/iam-session/config.toml:1: unknown key 'lingers'; accepted: ",
        "option 'token_wait=2' is ignored and its default stands; accepted: token_wait=Ns or Nms",
        "/etc/pam.d/password-auth:2: pam_iam.so is for sshd's own file",
        "/usr/libexec/iam-session/helper: its mode must be 0711",
    ] {
        assert!(told.stdout.contains(line), "{line}: {told:?}");
    }
}

#[test]
fn a_host_says_how_it_stands() {
    let host = Host::start();
    let login = host.login("alice");
    let status = || admin(&host, "status").successful().stdout;
    let said = status();
    for line in [
        "agents       1 of 1 user",
        "drained      no",
        "revoked      nobody",
        "runtime      /run/iam-session is a mount of its own",
    ] {
        assert!(said.contains(line), "{said}");
    }
    host.as_root().run("iam-session-admin drain && iam-session-admin revoke bob && umount -l /run/iam-session && rm /etc/iam-session/keys.d/*").successful();
    login.close();
    let said = status();
    for line in [
        "drained      yes",
        "revoked      1 user",
        "node keys    none that can be used",
        "only users who have /run/user/UID",
    ] {
        assert!(said.contains(line), "{said}");
    }
}
