//! Whether there is a place for socket and token file. Reads /proc/self/mountinfo, and looks at directories.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::finding::Finding;
use super::session::SessionLook;
use crate::host::installed::{self, InstalledFile};
use crate::paths::RUN;
use crate::protocol::End;

const CHECK: &str = "runtime directory";

pub(super) fn look(session: &SessionLook, uid: u32) -> Vec<Finding> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let used = session.token_file.as_deref().and_then(Path::parent);
    let started = session.status.as_ref().is_some_and(|status| status.ends == End::Shell);
    let mut findings = Vec::new();
    match used {
        // The agent has judged it before it went there.
        Some(directory) if started => findings.push(Finding::ok(CHECK, &directory.display().to_string())),
        _ => findings.push(offered(uid, &mounts)),
    }
    findings.extend(used.and_then(full));
    findings
}

/// What a login of this user would get, by the module's own rules.
fn offered(uid: u32, mounts: &str) -> Finding {
    let logind = format!("/run/user/{uid}");
    // Root gets no token. What users have whom logind serves, this check cannot know.
    let given = uid != 0 && env::var("XDG_RUNTIME_DIR").is_ok_and(|directory| directory == logind);
    let private = fs::symlink_metadata(&logind)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o777 == 0o700);
    if given && private && is_mount(mounts, &logind) {
        let what = format!("{logind}, a mount of its own");
        if is_mount(mounts, RUN) {
            return Finding::ok(CHECK, &what);
        }
        let forgotten = format!(
            "{what}; {RUN} is none: what failed on this host, and the hint of today, are forgotten at the last logout"
        );
        return Finding::note(CHECK, &forgotten, MOUNT);
    }
    if is_mount(mounts, RUN) {
        if let InstalledFile::Bad(path, why) = installed::runtime() {
            let mend = format!("administrator: chown root:root {0} && chmod 0711 {0}", path.display());
            return Finding::wrong(CHECK, &format!("{}: {why}", path.display()), &mend);
        }
        let free = statvfs(RUN).map(|file_system| file_system.files_available() > 0);
        return match free {
            Ok(true) => Finding::ok(CHECK, &format!("{RUN}, a mount of its own")),
            Ok(false) => Finding::wrong(
                CHECK,
                &format!("{RUN} is full"),
                "administrator: see who fills it: 'du -s /run/iam-session/*'",
            ),
            Err(error) => Finding::wrong(CHECK, &format!("cannot use {RUN}: {error}"), MOUNT),
        };
    }
    let what = match uid {
        0 => format!(
            "{RUN} is no mount of its own: logins without /run/user/UID have no place for a token file"
        ),
        _ => {
            format!("neither {logind} nor {RUN} is a mount of its own: a login has no place for a token file")
        }
    };
    Finding::wrong(CHECK, &what, MOUNT)
}

const MOUNT: &str =
    "administrator: run 'systemctl start /run/iam-session', or 'mount /run/iam-session' where fstab has it";

/// The fifth field of /proc/self/mountinfo (proc(5)).
fn is_mount(mounts: &str, directory: &str) -> bool {
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(directory))
}

fn full(directory: &Path) -> Option<Finding> {
    let file_system = statvfs(directory).ok()?;
    let full = file_system.blocks_available() == 0 || file_system.files_available() == 0;
    let shown = directory.display();
    let mend = format!("remove what you have put there: 'ls -la {shown}'");
    full.then(|| Finding::wrong(CHECK, &format!("{shown} is full: no new token can be written"), &mend))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_the_fifth_field() {
        let mounts = "36 35 98:0 /run/user/1 /run/user/1000 rw,nosuid - tmpfs tmpfs rw\n";
        assert!(is_mount(mounts, "/run/user/1000"));
        assert!(!is_mount(mounts, "/run/user/1") && !is_mount(mounts, "/run/user"));
    }
}
