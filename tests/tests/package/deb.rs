//! The Debian package: the same files, where Debian has them.

use std::collections::BTreeMap;
use std::fs;

use support::package::{package, payload, programs};

use crate::rpm::output;

/// Type, mode and owner by path, as in `-rwx--x--x root/root`.
fn files() -> BTreeMap<String, String> {
    let list = output("dpkg-deb", &["--contents"], &package("", "iam-session_", ".deb"));
    let file = |line: &str| {
        let mut words = line.split_whitespace();
        let mode = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        (words.nth(3).unwrap().trim_start_matches('.').to_owned(), mode)
    };
    list.lines().map(file).collect()
}

#[test]
fn it_has_the_same_programs_and_the_module_where_debian_looks() {
    let files = files();
    let module = files.keys().find(|path| path.ends_with("/pam_iam.so")).unwrap();
    assert!(module.starts_with("/lib/") && module.ends_with("-linux-gnu/security/pam_iam.so"), "{module}");
    for program in programs().iter().filter(|program| program.name != "pam_iam.so") {
        let mode = if program.mode == "0711" { "-rwx--x--x root/root" } else { "-rwxr-xr-x root/root" };
        assert_eq!(files[&program.path()], mode, "{}", program.path());
    }
    assert_eq!(files["/etc/iam-session/keys.d/"], "drwx------ root/root");
    let unit = "/usr/lib/systemd/system/local-fs.target.wants/run-iam\\\\x2dsession.mount";
    assert!(files.keys().any(|path| path.starts_with(unit)), "{files:?}");
    let pages = fs::read_dir(payload().join("usr/share/man/man1")).unwrap().count();
    assert_eq!(
        files.keys().filter(|path| path.starts_with("/usr/share/man/man1/") && !path.ends_with('/')).count(),
        pages
    );
}

#[test]
fn documents_link_to_what_is_installed() {
    let files = files();
    for path in crate::contents::linked() {
        assert!(files.contains_key(&path), "{path}");
    }
}

#[test]
fn the_site_keeps_what_it_changed() {
    let configuration = output("dpkg-deb", &["--ctrl-tarfile"], &package("", "iam-session_", ".deb"));
    for file in ["/etc/iam-session/config.toml\n", "/etc/iam-session/issuers.d/wlcg.toml\n"] {
        assert!(configuration.contains(file), "{file}");
    }
}
