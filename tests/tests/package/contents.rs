//! Which files the rpm has, whose they are, and what happens to those that an administrator changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use support::package::{inside, installed, payload, programs};

use crate::rpm::{binary, output, query};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Mode, owner and flags by path.
fn files() -> BTreeMap<String, (String, String, String)> {
    let lines = query(
        &binary(),
        "[%{FILENAMES}|%{FILEMODES:perms}|%{FILEUSERNAME}:%{FILEGROUPNAME}|%{FILEFLAGS:fflags}\\n]",
    );
    let file = |line: &String| {
        let [path, mode, owner, flags] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (path.to_owned(), (mode.to_owned(), owner.to_owned(), flags.to_owned()))
    };
    lines.iter().map(file).collect()
}

/// The names of a directory of the repository.
fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(REPOSITORY).join(directory)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn programs_are_roots_and_what_holds_secrets_cannot_be_read() {
    let files = files();
    for program in programs() {
        let (mode, owner, _) = &files[&program.path()];
        let expected = if program.mode == "0711" { "-rwx--x--x" } else { "-rwxr-xr-x" };
        assert_eq!((mode.as_str(), owner.as_str()), (expected, "root:root"), "{}", program.path());
    }
    assert!(programs().iter().any(|program| program.name == "agent" && program.mode == "0711"));
    assert!(files.values().all(|(mode, owner, _)| owner == "root:root" && !mode[1..].contains(['s', 't'])));
    // Links have all bits.
    let writable = |mode: &str| !mode.starts_with('l') && (mode[5..6] == *"w" || mode[8..9] == *"w");
    assert!(files.values().all(|(mode, ..)| !writable(mode)), "{files:?}");
}

#[test]
fn the_site_keeps_what_it_changed_and_no_key_is_shipped() {
    let files = files();
    let below = |path: &str| path.starts_with("/etc/");
    for (path, (mode, _, flags)) in files.iter().filter(|(path, _)| below(path)) {
        let kept = mode.starts_with('d') || flags == "cn";
        assert!(kept, "{path} would be overwritten: {flags:?}");
    }
    assert!(files.keys().filter(|path| below(path)).all(|path| path.starts_with("/etc/iam-session")));
    assert_eq!(files["/etc/iam-session/keys.d"].0, "drwx------");
    assert!(files.keys().all(|path| !path.ends_with(".key")));
    for name in names("packaging/config/issuers.d") {
        assert!(files.contains_key(&format!("/etc/iam-session/issuers.d/{name}")), "{name}");
    }
}

#[test]
fn every_page_document_and_licence_is_there() {
    let files = files();
    for page in names("packaging/man") {
        let section = page.rsplit('.').next().unwrap();
        assert!(files.contains_key(&format!("/usr/share/man/man{section}/{page}.gz")), "{page}");
    }
    for name in ["README.md", "SECURITY.md", "PROTOCOL.md", "pam.d-sshd.sample", "components.cdx.json"] {
        let (_, _, flags) = &files[&format!("/usr/share/doc/iam-session/{name}")];
        assert_eq!(flags, "d", "{name}");
    }
    for name in ["LICENSE", "THIRD-PARTY.txt", "LGPL-2.1.txt"] {
        assert!(files.contains_key(&format!("/usr/share/licenses/iam-session/{name}")), "{name}");
    }
}

/// The files that the installed documents link to, by their paths.
pub(crate) fn linked() -> Vec<String> {
    let documents = "/usr/share/doc/iam-session";
    let mut linked = Vec::new();
    for directory in [documents.to_owned(), format!("{documents}/docs")] {
        let entries =
            fs::read_dir(inside(&payload(), &directory)).unwrap().map(|entry| entry.unwrap().path());
        for file in entries.filter(|path| path.extension().is_some_and(|end| end == "md")) {
            let text = fs::read_to_string(&file).unwrap();
            let targets = text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap());
            for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
                linked.push(match target.strip_prefix("../") {
                    Some(above) => format!("{documents}/{above}"),
                    None => format!("{directory}/{target}"),
                });
            }
        }
    }
    assert!(linked.len() > 10, "{linked:?}");
    linked
}

#[test]
fn documents_link_to_what_is_installed() {
    let files = files();
    for path in linked() {
        assert!(files.contains_key(&path), "{path}");
    }
}

/// What is made when it is packed; and what is for SELinux, which has a package of its own.
const ONLY_PACKED: [&str; 7] = [
    "bash-completion",
    "share/zsh",
    "share/fish",
    "components.cdx.json",
    "THIRD-PARTY.txt",
    "selinux",
    "mount.d",
];

/// Kind, mode and target, or sum, of all that is below a directory and should be in both.
fn tree(root: &Path) -> Vec<String> {
    let list =
        "cd \"$0\" && { find . -printf '%y %m %P %l\\n'; find . -type f -exec sha256sum {} +; } | sort";
    let all = output("bash", &["-c", list], root);
    let both = |line: &&str| !ONLY_PACKED.iter().any(|name| line.contains(name));
    all.lines().filter(both).map(str::to_owned).collect()
}

#[test]
fn what_machines_install_is_what_the_package_holds() {
    assert_eq!(tree(&installed()), tree(&payload()));
}

#[test]
fn the_list_of_components_is_of_these_programs_and_of_all_crates() {
    let root = payload();
    let list = fs::read_to_string(root.join("usr/share/doc/iam-session/components.cdx.json")).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let components = list["components"].as_array().unwrap();
    for program in programs() {
        let bytes = fs::read(support::package::inside(&root, &program.path())).unwrap();
        let sum = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(bytes));
        let of_it = |one: &&serde_json::Value| one["name"] == program.name && one["type"] == "file";
        assert_eq!(components.iter().find(of_it).unwrap()["hashes"][0]["content"], sum.as_str());
    }
    let third_party =
        fs::read_to_string(root.join("usr/share/licenses/iam-session/THIRD-PARTY.txt")).unwrap();
    let crates = components.iter().filter(|one| one["purl"].is_string());
    for one in crates.clone() {
        let named = format!("{} {}", one["name"].as_str().unwrap(), one["version"].as_str().unwrap());
        assert!(third_party.contains(&named), "{named} has no licence text");
    }
    for name in ["rustls", "reqwest", "pam-bindings", "argon2", "clap"] {
        assert!(crates.clone().any(|one| one["name"] == name), "{name}");
    }
}

#[test]
fn the_mount_unit_is_wanted_at_boot_and_says_what_the_module_insists_on() {
    let units = payload().join("usr/lib/systemd/system");
    let unit = "run-iam\\x2dsession.mount";
    let wanted = fs::canonicalize(units.join("local-fs.target.wants").join(unit)).unwrap();
    assert_eq!(wanted, fs::canonicalize(units.join(unit)).unwrap());
    assert_eq!(output("systemd-analyze", &["--man=no", "verify"], &wanted), "");
    let text = fs::read_to_string(wanted).unwrap();
    let options = text.lines().find_map(|line| line.strip_prefix("Options=")).unwrap();
    for option in ["mode=0711", "nosuid", "nodev", "noexec"] {
        assert!(options.split(',').any(|word| word == option), "{options}");
    }
    for limit in ["size=", "nr_inodes="] {
        assert!(options.split(',').any(|word| word.starts_with(limit)), "{options}: no {limit}");
    }
    // The drop-in of the SELinux package adds to these options, and would hide a change of theirs.
    let policy = fs::read_to_string(format!("{REPOSITORY}/packaging/selinux/10-selinux.conf")).unwrap();
    assert!(policy.contains(&format!("Options={options},rootcontext=")), "{policy}");
}
