//! The module's line is put into the PAM file and taken out again, by root's tool.

use support::{Background, Host, Output, Provider};

use crate::scene::{Scene, token_file};

const SSHD: &str = "/etc/pam.d/sshd";
const BACKUPS: &str = "/etc/iam-session/backup";
const LOCK: &str = "/etc/iam-session/backup/.sshd.lock";

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
    assert!(told.contains("\n+-session   optional     pam_iam.so token_wait=2s export=enrolled\n"), "{told}");
    assert_eq!(
        host.read(SSHD),
        format!("{before}-session   optional     pam_iam.so token_wait=2s export=enrolled\n")
    );
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
    assert!(admin(&host, "status").successful().stdout.contains("enabled, token_wait=2s export=enrolled"));
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
fn each_change_keeps_what_it_replaced_however_soon_the_next_one_comes() {
    let host = installed();
    let changes = "for round in 1 2 3; do iam-session-admin enable --yes && iam-session-admin disable --yes || exit; done";
    host.as_root().run(changes).successful();
    assert_eq!(host.as_root().run("ls /etc/iam-session/backup | wc -l").stdout, "6\n");
}

#[test]
fn two_root_shells_change_the_file_one_after_the_other() {
    let host = installed();
    let root = host.as_root();
    root.run(&format!("mkdir -m 0700 {BACKUPS}; touch {LOCK}")).successful();
    let mut other = root.command("flock");
    other.args([LOCK, "-c", "echo held; read end"]);
    let mut other = Background::start(other);
    assert_eq!(other.line(), "held");
    let mut enable = root.command("bash");
    enable.args(["-c", "iam-session-admin enable --yes 2>&1; echo $?"]);
    let enable = Background::start(enable);
    let waits = format!("grep -qs -- \"-> FLOCK.*:$(stat -c %i {LOCK}) \" /proc/locks");
    host.wait_until("the lock's second holder", || root.run(&waits).status == 0);
    let changed = format!("# the other one's\n{}", host.read(SSHD));
    host.write(SSHD, &changed, 0o644);
    other.finish();
    let told = enable.finish();
    assert!(
        told.contains("has been changed meanwhile, and was left alone") && told.ends_with("1\n"),
        "{told}"
    );
    assert_eq!(host.read(SSHD), changed);
}

#[test]
fn a_file_that_is_not_understood_or_belongs_to_authselect_is_left_alone() {
    let host = installed();
    host.write(
        "/etc/pam.d/shared",
        "session optional pam_mkhomedir.so\nsession sufficient pam_unix.so\n",
        0o644,
    );
    let odd = "session required pam_permit.so\n@include\tshared\n";
    host.write("/etc/pam.d/odd", odd, 0o644);
    let told = admin(&host, "enable --yes --pam-file /etc/pam.d/odd");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(
        told.stderr.contains(
            "/etc/pam.d/shared:2: where pam_unix.so succeeds, 'sufficient' ends the session stack before it comes to \
            pam_iam.so; write 'session substack' in /etc/pam.d/odd:2 in the place of the include"
        ),
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
    assert!(line.ends_with("token_wait=2s export=enrolled services=remote-login min_uid=500"), "{line}");
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

#[test]
fn a_line_that_an_included_file_keeps_from_its_turn_is_told_and_enabled_anew_gives_tokens() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    let guide = "session sufficient pam_unix.so\nsession optional pam_permit.so\n";
    host.write("/etc/pam.d/password-auth", guide, 0o644);
    let line = "-session   optional     pam_iam.so token_wait=2s export=enrolled\n";
    let sshd = host
        .read(SSHD)
        .lines()
        .filter(|line| !line.contains("pam_iam"))
        .fold(String::new(), |all, line| all + line + "\n");
    let include = "session include password-auth\n";
    host.write(SSHD, format!("{sshd}{include}{line}"), 0o644);
    let login = host.login("alice");
    assert_eq!(login.env("BEARER_TOKEN_FILE"), None);
    let why = "/etc/pam.d/password-auth:1: where pam_unix.so succeeds, 'sufficient' ends the session stack before it";
    for told in [
        login.run("iam-session doctor").stdout,
        admin(host, "check").stdout,
        admin(host, "status").stdout,
        admin(host, "enable --yes").stderr,
    ] {
        assert!(told.contains(why), "{told}");
    }
    admin(host, "disable --yes").successful();
    let told = admin(host, "enable --yes").successful().stdout;
    assert!(told.contains(why), "{told}");
    assert_eq!(host.read(SSHD), format!("{sshd}{line}{include}"));
    let login = host.login("alice");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    assert!(login.run("iam-session doctor").stdout.contains("ok       PAM: /etc/pam.d/sshd:"));
    assert_eq!(admin(host, "check").successful().stdout, "nothing is wrong\n");
}

#[test]
fn a_service_that_the_distribution_keeps_elsewhere_is_enabled_in_etc() {
    let host = installed();
    let theirs = host.read(SSHD);
    host.write("/usr/lib/pam.d/sshd", &theirs, 0o644);
    host.as_root().run(&format!("rm {SSHD}")).successful();
    let told = admin(&host, "check").stdout;
    assert!(told.contains("/usr/lib/pam.d/sshd has no session line with pam_iam.so"), "{told}");
    admin(&host, "enable --yes").successful();
    assert_eq!(host.read("/usr/lib/pam.d/sshd"), theirs);
    assert!(host.read(SSHD).starts_with(&theirs));
    assert!(host.login("alice").env("IAM_SESSION_SOCK").is_some());
}

/// Stacks of modules that always answer the same, so that there is one way through each.
struct Stacks(u64);

impl Stacks {
    const CONTROLS: [&str; 14] = [
        "required",
        "Required",
        "requisite",
        "sufficient",
        "optional",
        "[success=done default=ignore]",
        "[success=1 default=ignore]",
        "[success=2 session_err=1 default=die]",
        "[ success = ok  default=done ]",
        "[default=3]",
        "[success=reset default=bad]",
        "[success=ok default=reset]",
        "[success=0 default=ignore]",
        "[success=ok]",
    ];

    fn below(&mut self, limit: usize) -> usize {
        // Knuth's MMIX; its upper bits are the better ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn any<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    fn line(&mut self, files: &[&str]) -> String {
        let module = |stacks: &mut Self| {
            let (kind, control) =
                (stacks.any(&["session", "-session", "SESSION"]), stacks.any(&Self::CONTROLS));
            let goes_on = stacks.any(&[" ", "\t", " ", " \\ \t\n  "]);
            format!(
                "{kind} {control}{goes_on}{} # x\n",
                stacks.any(&["pam_permit.so", "pam_permit.so", "pam_deny.so"])
            )
        };
        match self.below(8) {
            0 => format!("session include {}\n", self.any(files)),
            1 | 2 => format!("session substack {}\n", self.any(files)),
            // Debian's libpam refuses a service whose @include leads nowhere.
            3 if files != ["missing"] => format!("@include{}{}\n", self.any(&[" ", "\t"]), files[0]),
            4 => self
                .any(&["auth sufficient pam_deny.so\n", "# session\n", "\n", "session optional\n"])
                .to_owned(),
            _ => module(self),
        }
    }

    fn file(&mut self, lines: usize, files: &[&str]) -> Vec<String> {
        (0..lines).map(|_| self.line(files)).collect()
    }
}

#[test]
fn a_stack_is_judged_as_libpam_runs_it() {
    const MANY: usize = 240;
    let host = Host::start();
    let mut stacks = Stacks(1);
    for number in 0..MANY {
        let inner = [format!("inner{number}"), "missing".to_owned()];
        let outer = [format!("outer{number}"), inner[0].clone()];
        let names = |all: &[String; 2]| all.clone();
        let write =
            |name: &str, lines: Vec<String>| host.write(&format!("/etc/pam.d/{name}"), lines.concat(), 0o644);
        write(&inner[0], stacks.file(3, &["missing"]));
        let [one, other] = names(&inner);
        write(&outer[0], stacks.file(3, &[&one, &one, &one, &other]));
        let [one, other] = names(&outer);
        let mut lines = stacks.file(5, &[&one, &other]);
        lines.insert(
            1 + stacks.below(5),
            format!("session optional pam_iam.so services=s{number} tag={number}\n"),
        );
        write(&format!("s{number}"), lines);
    }
    let each = |command: &str| {
        let all = format!("for i in $(seq 0 {}); do {command}; done", MANY - 1);
        host.as_root().run(&all).stdout
    };
    // Root is not served; what is looked for is the warning about an option.
    each("pamtester s$i root open_session || true");
    let judged = each("echo \"s$i: $(iam-session-admin check --pam-file /etc/pam.d/s$i | tr '\\n' ' ')\"");
    let mut reached = 0;
    for (number, told) in judged.lines().enumerate() {
        let tag = format!("'tag={number}'");
        let is_logged = || host.log_lines().iter().any(|line| line.contains(&tag));
        if told.contains("before it comes to pam_iam.so") || told.contains("jumps over pam_iam.so") {
            assert!(!is_logged(), "{told}");
            continue;
        }
        reached += 1;
        // The module drops a line where the log is slow to take it: then once more.
        host.wait_until(&format!("the module's line of s{number}"), || {
            is_logged() || {
                host.as_root().run(&format!("pamtester s{number} root open_session"));
                is_logged()
            }
        });
    }
    assert!((MANY / 5..MANY * 4 / 5).contains(&reached), "{reached} of {MANY}");
}
