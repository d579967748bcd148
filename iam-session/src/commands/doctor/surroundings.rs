//! What of the shell's surroundings is in the way: variables, leftovers, a container, SELinux. Reads the environment,
//! and looks at a few files.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::logind;
use super::session::SessionLook;
use crate::client::Places;
use crate::clock::unix_time;
use crate::commands::status::advice::{self, Environment};
use crate::host::drain::DRAIN;
use crate::host::revoked::{self, ListedLine, Mention, REVOKED, mention};
use crate::paths::ENV_TOKEN_FILE;
use crate::shell::ShellSyntax;

const CHECK: &str = "environment";
const DRAINED: &str = "drain";

pub(super) fn look(session: &SessionLook, uid: u32) -> Vec<Finding> {
    let mut findings = variables(session);
    findings.extend(leftovers(uid));
    if uid != 0 {
        // A user's, where root has a user's environment.
        findings.extend(oidc_agent());
    }
    findings.extend(drained(session, uid));
    findings.extend(if_revoked(uid));
    findings.extend(selinux());
    findings.extend(logind::look());
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "nothing stands in the way"));
    }
    findings
}

fn variables(session: &SessionLook) -> Vec<Finding> {
    let environment = Environment::read(&Places::of_environment());
    let now = unix_time();
    let mut findings = Vec::new();
    let wrong = |text: String| Finding::wrong(CHECK, &text, "");
    match session.status.as_ref().zip(session.answered.as_deref()) {
        Some((status, answered)) => {
            findings.extend(environment.about_agent(answered).map(|text| Finding::note(CHECK, &text, "")));
            let others = advice::others_token(status, now);
            let damage = advice::damage(status, now);
            let notes = others.into_iter().chain(damage);
            findings.extend(notes.map(|text| Finding::note("token file", &text, "")));
            findings.extend(advice::unlogged(status).map(|text| Finding::note("log", &text, "")));
            findings.extend(environment.about_token(now).map(wrong));
            if environment.about_others_file().is_none() {
                findings.extend(environment.about_file(status).map(wrong));
            }
        }
        None => findings.extend(environment.about_token(now).map(wrong)),
    }
    findings.extend(environment.about_others_file().map(wrong));
    findings
}

/// What programs find that do not find BEARER_TOKEN_FILE (WLCG bearer token discovery).
fn leftovers(uid: u32) -> Vec<Finding> {
    let name = format!("bt_u{uid}");
    let runtime = env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    let places = runtime.into_iter().chain([PathBuf::from("/tmp")]);
    let named = env::var_os(ENV_TOKEN_FILE).filter(|value| !value.is_empty());
    let found = places.map(|directory| directory.join(&name)).filter_map(|path| {
        let owner = fs::symlink_metadata(&path).ok()?.uid();
        let kind = match named {
            _ if owner != uid => Leftover::Foreign,
            Some(_) => Leftover::Hidden,
            None => Leftover::InUse,
        };
        Some(leftover(&path, kind))
    });
    found.collect()
}

/// A token file that nobody keeps fresh.
#[derive(Clone, Copy, Debug)]
enum Leftover {
    /// Somebody else made it.
    Foreign,
    /// Programs read BEARER_TOKEN_FILE first.
    Hidden,
    /// They find this one.
    InUse,
}

fn leftover(path: &Path, kind: Leftover) -> Finding {
    let shown = path.display();
    let mend = format!("run 'rm {shown}'");
    match kind {
        Leftover::Foreign => {
            let what =
                format!("{shown} is not yours, and programs without {ENV_TOKEN_FILE} take it for your token");
            Finding::wrong(CHECK, &what, "tell the administrator")
        }
        Leftover::Hidden => Finding::note(CHECK, &format!("{shown} is left over and is not renewed"), &mend),
        Leftover::InUse => {
            let what = format!("{shown} is left over, is not renewed, and is what programs find here");
            Finding::wrong(CHECK, &what, &mend)
        }
    }
}

/// Its variable outlives it, and its clients then wait for nobody.
fn oidc_agent() -> Option<Finding> {
    let socket = env::var_os("OIDC_SOCK").filter(|value| !value.is_empty()).map(PathBuf::from)?;
    let shown = socket.display().to_string();
    Some(match UnixStream::connect(&socket) {
        Ok(_) => {
            Finding::note(CHECK, &format!("an oidc-agent answers at {shown}; its tokens are not these"), "")
        }
        Err(_) => Finding::note(
            CHECK,
            &format!("OIDC_SOCK names an oidc-agent that is gone ({shown})"),
            &format!("run '{}'", ShellSyntax::choose(None).forget(&["OIDC_SOCK"])),
        ),
    })
}

/// That no login gets an agent now; one that there is goes on.
fn drained(session: &SessionLook, uid: u32) -> Option<Finding> {
    let there = match fs::symlink_metadata(DRAIN) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::NotFound,
    };
    there.then(|| while_drained(uid == 0 || session.status.is_some()))
}

fn while_drained(needs_none: bool) -> Finding {
    let what = format!("this host is drained ({DRAIN}): no new login gets an agent");
    if needs_none {
        return Finding::note(DRAINED, &what, "administrator: 'iam-session-admin drain --off' ends that");
    }
    Finding::wrong(DRAINED, &what, "use another host, or ask the administrator")
}

fn if_revoked(uid: u32) -> Option<Finding> {
    let user = env::var("USER").unwrap_or_default();
    match revoked::read() {
        Ok(list) => is_listed(&list.unwrap_or_default(), &user, uid),
        Err(why) => {
            Some(Finding::wrong(CHECK, &format!("{why}: you get no new tokens"), "ask the administrator"))
        }
    }
}

fn is_listed(list: &[u8], user: &str, uid: u32) -> Option<Finding> {
    let names = Some(user).filter(|user| !user.is_empty()).into_iter().collect();
    let what = format!("you are listed in {REVOKED}: you get no token");
    let mention = mention(list, &ListedLine { names, uid: Some(uid) });
    (mention != Mention::None).then(|| Finding::wrong(CHECK, &what, "ask the administrator"))
}

fn selinux() -> Option<Finding> {
    let enforcing = fs::read_to_string("/sys/fs/selinux/enforce").is_ok_and(|text| text.trim() == "1");
    let context = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let context = context.trim_end_matches(['\0', '\n']);
    let what = format!("SELinux is enforcing, and this shell runs as {context}");
    let mend = "administrator: where an agent does not start, 'ausearch -m avc -ts recent' shows denials";
    enforcing.then(|| Finding::note("SELinux", &what, mend))
}

/// Which kind of container this is, if it is one that says so.
pub(super) fn container() -> Option<&'static str> {
    let set = |name: &str| env::var_os(name).is_some();
    let marks = [
        ("apptainer", set("APPTAINER_CONTAINER") || set("SINGULARITY_CONTAINER")),
        ("podman", Path::new("/run/.containerenv").exists()),
        ("docker", Path::new("/.dockerenv").exists()),
        ("container", set("container")),
    ];
    marks.into_iter().find_map(|(kind, is)| is.then_some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Severity;

    #[test]
    fn a_leftover_matters_where_programs_would_find_it() {
        let path = Path::new("/tmp/bt_u1000");
        assert_eq!(leftover(path, Leftover::Hidden).state, Severity::Note);
        assert_eq!(leftover(path, Leftover::InUse).state, Severity::Wrong);
        assert_eq!(leftover(path, Leftover::Foreign).mend.as_deref(), Some("tell the administrator"));
    }

    #[test]
    fn who_is_revoked_is_found_as_the_module_finds_it() {
        for list in ["alice # left\n", "01000\n", "\u{feff}alice\n", "1000 # x"] {
            assert!(is_listed(list.as_bytes(), "alice", 1000).is_some(), "{list:?}");
        }
        for list in ["", "#alice\n", "bob\n", "10001\n", "alicex\n"] {
            assert_eq!(is_listed(list.as_bytes(), "alice", 1000), None, "{list:?}");
        }
        assert_eq!(is_listed(b"\n\n", "", 1000), None);
    }

    #[test]
    fn a_drained_host_is_wrong_for_who_has_no_agent() {
        assert_eq!(while_drained(false).state, Severity::Wrong);
        assert_eq!(while_drained(true).state, Severity::Note);
    }
}
