//! Whether what the package installs is there and has the modes it needs. Looks at files below /usr, and, as root,
//! at the names and modes of node keys.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::finding::Finding;
use crate::host::installed::{self, InstalledFile};
use crate::host::node_keys::KeyFile;
use crate::paths::{AGENT, HELPER, SITE_CONFIG};

pub(super) fn module() -> Vec<Finding> {
    const CHECK: &str = "module";
    vec![match installed::module() {
        InstalledFile::Good(path) => Finding::ok(CHECK, &path.display().to_string()),
        InstalledFile::Bad(path, why) => Finding::wrong(
            CHECK,
            &format!("{}: {why}", path.display()),
            "administrator: install the package for this machine again",
        ),
        InstalledFile::Missing => Finding::wrong(
            CHECK,
            "there is no pam_iam.so where libpam looks",
            "administrator: install the package",
        ),
    }]
}

/// The two programs; for root also what only root sees.
pub(super) fn programs_and_keys(uid: u32) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [AGENT, HELPER].into_iter().filter_map(program).collect();
    if findings.is_empty() {
        let what = concat!("agent and helper are installed; this is version ", env!("CARGO_PKG_VERSION"));
        findings.push(Finding::ok("programs", what));
    }
    let mend = format!("administrator: chown root:root {SITE_CONFIG} && chmod go-w {SITE_CONFIG}");
    let site = installed::site(Path::new(SITE_CONFIG));
    findings.extend(site.err().map(|what| Finding::wrong("site", &what, &mend)));
    if uid == 0 {
        findings.extend(keys(&Path::new(SITE_CONFIG).join("keys.d")));
    }
    findings
}

/// What is wrong with a program.
fn program(path: &str) -> Option<Finding> {
    let (what, mend) = match installed::program(path) {
        InstalledFile::Good(_) => return None,
        InstalledFile::Bad(_, why) => {
            (format!("{path}: {why}"), format!("chown root:root {path} && chmod 0711 {path}"))
        }
        InstalledFile::Missing => (format!("there is no {path}"), "install the package".to_owned()),
    };
    Some(Finding::wrong("programs", &what, &format!("administrator: {mend}")))
}

fn keys(directory: &Path) -> Vec<Finding> {
    const CHECK: &str = "node keys";
    let shown = directory.display();
    let Ok(metadata) = fs::symlink_metadata(directory) else {
        return vec![Finding::wrong(
            CHECK,
            &format!("there is no {shown}: enrolments cannot be sealed"),
            NEW_KEY,
        )];
    };
    let mut findings = Vec::new();
    if !is_roots(&metadata, 0o700) {
        let mend = format!("run 'chown root:root {shown} && chmod 0700 {shown}'");
        findings.push(Finding::wrong(CHECK, &format!("{shown} is not root's alone, mode 0700"), &mend));
    }
    let mut usable = 0_usize;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "key") {
            continue;
        }
        match unusable(&path) {
            None => usable += 1,
            Some(why) => {
                let what = format!("{} {why}", path.display());
                let mend = "copy it again, by its own name, root's and with mode 0400; or remove it";
                findings.push(Finding::wrong(CHECK, &what, mend));
            }
        }
    }
    findings.push(match usable {
        0 => Finding::wrong(CHECK, &format!("none in {shown} that can be used"), NEW_KEY),
        number => Finding::ok(CHECK, &format!("{number} in {shown}")),
    });
    findings
}

/// Why the module would not use a key.
fn unusable(path: &Path) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match KeyFile::of(name) {
        None => Some("is not named TIME-ID.key, as 'iam-session-admin key add' does".to_owned()),
        Some(file) => file.read_at(path).err().map(|why| why.to_string()),
    }
}

const NEW_KEY: &str = "copy those of the hosts that share the homes, or run 'iam-session-admin key add'";

fn is_roots(metadata: &Metadata, mode: u32) -> bool {
    metadata.uid() == 0 && metadata.mode() & 0o7777 == mode
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::commands::doctor::finding::Severity;
    use crate::scratch::Scratch;

    #[test]
    fn a_key_by_another_name_than_the_modules_is_no_key() {
        let directory = Scratch::new();
        let (unnamed, other) =
            (directory.join("a.key"), directory.join("20260101T000000-0011223344556677.key"));
        for path in [&unnamed, &other] {
            fs::write(path, [7; 32]).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
        }
        assert!(unusable(&unnamed).unwrap().starts_with("is not named"));
        // Of root's it is not the key that its name says; of another's it is not root's.
        assert!(unusable(&other).is_some());
    }

    #[test]
    fn a_directory_without_keys_is_wrong() {
        let found = keys(Path::new("/nonexistent/keys.d"));
        assert_eq!((found.len(), found[0].state), (1, Severity::Wrong));
    }
}
