//! Which installed programs need a word about the token. Looks for files in PATH, and starts none of them.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::finding::Finding;

const CHECK: &str = "your programs";

/// A program, what it does with the session's token, and what to do about it. docs/programs.md says more of each.
const KNOWN: [(&str, &str, &str); 11] = [
    (
        "rucio",
        "with auth_type = oidc it takes the session's token, and logs in anew if its server refuses that",
        "if your Rucio wants a token of its own: 'iam-session run --no-token -- rucio …'",
    ),
    (
        "pelican",
        "it sends the session's token to every origin, and begins no login of its own",
        "if the origin wants another issuer's token: 'iam-session run --no-token -- pelican …'",
    ),
    (
        "servicex",
        "it takes the session's token before the refresh token in its own configuration",
        "if it is to use that: 'iam-session run --no-token -- servicex …'",
    ),
    (
        "condor_submit",
        "where a schedd wants a token, it wants compute.create, compute.modify and compute.cancel in it",
        "use 'iam-session run -s compute.create -s compute.modify -s compute.cancel -- condor_submit …'",
    ),
    (
        "jobsub_submit",
        "it takes the session's token, and stops if that has no wlcg.groups of yours",
        "let it get one of its own: 'iam-session run --no-token -- jobsub_submit …'",
    ),
    (
        "ifdh",
        "it takes the session's token, and may let htgettoken write into the token file",
        "if it is to use a token of its own or the proxy: 'iam-session run --no-token -- ifdh …'",
    ),
    (
        "dirac-login",
        "with tokens it writes a refresh token in clear into the token file, and dirac-logout removes the file",
        "use 'iam-session run --no-token -- dirac-login …'",
    ),
    (
        "htgettoken",
        "it writes its token into the token file",
        "give it a file of its own: 'htgettoken -o FILE …'",
    ),
    (
        "gfal-copy",
        "over https:// and davs:// it does not read the token file",
        "use 'iam-session run -- gfal-copy …'",
    ),
    (
        "davix-get",
        "it does not read the token file",
        "use -H \"Authorization: Bearer $(iam-session token)\", which others on the host see",
    ),
    (
        "rclone",
        "it does not read the token file",
        "for a WebDAV remote set 'bearer_token_command = iam-session token'",
    ),
];

pub(super) fn look(uid: u32) -> Vec<Finding> {
    if uid == 0 {
        // It has no token, and its PATH may be a user's.
        return Vec::new();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = |name: &str| env::split_paths(&path).any(|directory| is_program(&directory.join(name)));
    told(installed)
}

fn told(installed: impl Fn(&str) -> bool) -> Vec<Finding> {
    let known = KNOWN.iter().filter(|(name, ..)| installed(name));
    known.map(|(name, what, mend)| Finding::note(CHECK, &format!("{name}: {what}"), mend)).collect()
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_installed_is_not_named() {
        assert_eq!(told(|_| false), []);
        let found = told(|name| name == "rucio");
        assert_eq!(found.len(), 1);
        assert!(found[0].what.starts_with("rucio: with auth_type = oidc"), "{found:?}");
    }

    #[test]
    fn only_what_can_be_executed_is_a_program() {
        assert!(is_program(Path::new("/bin/sh")));
        assert!(!is_program(Path::new("/etc/passwd")) && !is_program(Path::new("/etc")));
    }

    #[test]
    fn the_page_of_programs_has_each() {
        let page = include_str!("../../../../docs/programs.md");
        for (name, ..) in KNOWN {
            assert!(page.contains(name), "{name}");
        }
    }
}
