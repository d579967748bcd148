//! The SELinux module: it is compiled with Debian's policy, and what is relabelled on a machine. No kernel enforces it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::machine::{Machine, Release};
use crate::rpm::{policy, query};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/selinux/iam-session.cil");

/// Debian's policy, which tests/setup/policy.sh has laid down.
fn debian() -> PathBuf {
    let laid = Command::new("tests/setup/policy.sh").current_dir(REPOSITORY).output().unwrap();
    assert!(laid.status.success(), "policy.sh: {}; 'make packages'", String::from_utf8_lossy(&laid.stderr));
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    Path::new(REPOSITORY).join(target).join("policy").canonicalize().unwrap()
}

fn run(debian: &Path, program: &str, arguments: &[&str]) -> Output {
    let libraries =
        ["usr/lib", "lib"].map(|name| format!("{}/root/{name}/x86_64-linux-gnu", debian.display()));
    let mut command = Command::new(debian.join("root").join(program));
    command.args(arguments).env("LD_LIBRARY_PATH", libraries.join(":")).output().unwrap()
}

/// Compiles Debian's policy with our module and more lines; the file contexts go to `contexts`.
fn compile(debian: &Path, contexts: &Path, more: &str) -> Output {
    let lines = contexts.with_extension("cil");
    fs::write(&lines, more).unwrap();
    let modules = fs::read_dir(debian.join("modules")).unwrap();
    let mut files: Vec<_> =
        modules.map(|entry| entry.unwrap().path().into_os_string().into_string().unwrap()).collect();
    files.sort();
    let mut arguments =
        vec!["-o", "/dev/null", "-f", contexts.to_str().unwrap(), OURS, lines.to_str().unwrap()];
    arguments.extend(files.iter().map(String::as_str));
    run(debian, "usr/bin/secilc", &arguments)
}

fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&directory).unwrap_or_default();
    fs::create_dir_all(&directory).unwrap();
    directory.join("file_contexts")
}

#[test]
fn what_is_in_run_has_its_type_whichever_of_its_two_names_a_policy_takes() {
    let debian = debian();
    let contexts = scratch("contexts");
    let compiled = compile(&debian, &contexts, "");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    for alias in ["/run /var/run", "/var/run /run"] {
        fs::write(contexts.with_extension("subs_dist"), format!("{alias}\n")).unwrap();
        for (path, expected) in [
            ("/run/iam-session", "user_tmp_t"),
            ("/run/iam-session/1000", "user_tmp_t"),
            ("/run/pam_iam", "sshd_runtime_t"),
            ("/var/run/pam_iam/x", "sshd_runtime_t"),
            ("/etc/iam-session/keys.d/1-2.key", "sshd_key_t"),
        ] {
            let mode = if path.ends_with('x') || path.ends_with("key") { "file" } else { "dir" };
            let found = run(
                &debian,
                "usr/sbin/matchpathcon",
                &["-n", "-m", mode, "-f", contexts.to_str().unwrap(), path],
            );
            let found = String::from_utf8(found.stdout).unwrap();
            assert_eq!(found, format!("system_u:object_r:{expected}:s0\n"), "{path} with {alias}");
        }
    }
}

/// The compiler names each rule that breaks a `neverallow`.
#[test]
fn sessions_of_sshd_may_make_their_directory_whichever_domain_they_run_in() {
    let debian = debian();
    let never = "(neverallow DOMAIN user_tmp_t (dir (create)))(neverallow DOMAIN sshd_key_t (file (open)))
        (neverallow DOMAIN sshd_runtime_t (file (rename)))";
    // As EL 10 and Fedora have it; Debian's policy lacks this one.
    let newer = "(type sshd_session_t)(roletype system_r sshd_session_t)";
    for (domain, before) in [("sshd_t", ""), ("sshd_session_t", newer)] {
        let more = format!("{before}{}", never.replace("DOMAIN", domain));
        let refused = compile(&debian, &scratch(domain), &more);
        let said =
            String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
        assert_eq!(said.matches("neverallow check failed").count(), 3, "{domain}: {said}");
    }
}

#[test]
fn agents_of_confined_users_may_watch_their_runtime_directory() {
    let never =
        "(neverallow user_t user_tmp_t (dir (watch)))(neverallow user_t user_runtime_t (dir (watch)))";
    let refused = compile(&debian(), &scratch("watch"), never);
    let said =
        String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert_eq!(said.matches("neverallow check failed").count(), 2, "{said}");
}

#[test]
fn what_systemctl_edit_writes_comes_after_the_drop_in() {
    let files = query(&policy(), "[%{FILENAMES}\\n]");
    let ours = files.iter().find(|path| path.ends_with(".conf")).unwrap().rsplit('/').next().unwrap();
    // systemd.unit(5): by the names alone, wherever the files are.
    assert!(ours < "override.conf", "{ours}");
}

/// What these would do is written down instead: no kernel here has SELinux.
const FAKE: &str = "#!/bin/sh\necho \"${0##*/} $*\" >>/mnt/selinux\n";

#[test]
fn what_was_there_before_the_policy_is_relabelled_but_nothing_in_a_users_directory_and_so_is_a_new_key() {
    let machine = Machine::new();
    let host = &machine.host;
    for program in ["restorecon", "semodule", "load_policy", "selinuxenabled"] {
        host.write(&format!("/usr/sbin/{program}"), FAKE, 0o755);
    }
    let root = host.as_root();
    root.run("mkdir -p /etc/selinux/targeted /run/iam-session/1000/below /run/pam_iam").successful();
    let relabelled = || root.run("sed -n 's/^restorecon //p' /mnt/selinux; rm -f /mnt/selinux").stdout;
    // A user turns what is below the own directory on other files while restorecon goes through it.
    let places = "-R /run/pam_iam\n/run/iam-session /run/iam-session/1000\n";
    machine.rpm("--install", Release::First);
    assert_eq!(relabelled(), format!("-R /etc/iam-session\n{places}"));
    host.write("/mnt/packages/policy.rpm", fs::read(policy()).unwrap(), 0o644);
    machine.quietly("--dbpath /mnt/rpm --install /mnt/packages/policy.rpm");
    assert_eq!(relabelled(), format!("-R /etc/iam-session/keys.d\n{places}"));
    root.run("iam-session-admin key add").successful();
    let key = root.run("ls -t /etc/iam-session/keys.d/*.key").stdout;
    let told = relabelled();
    assert!(
        key.lines().count() == 2 && key.lines().any(|path| told == format!("{path}\n")),
        "{told:?} {key}"
    );
}
