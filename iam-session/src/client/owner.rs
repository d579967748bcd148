//! Whose a path is that the environment names: su and sudo may keep that of another user. Looks at files, and starts
//! getent(1) for the name.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::host::names;
use crate::paths::{ENV_SESSION, ENV_SOCKET, ENV_TOKEN_FILE};
use crate::shell::ShellSyntax;

/// A number will do where the name service hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// What ends it, in the words of the shell that it is typed into.
pub(crate) fn forget_the_others(shell: ShellSyntax) -> String {
    format!(
        "su or sudo has kept these variables: run '{}', or use 'su -' or 'sudo -i'",
        shell.forget(&[ENV_TOKEN_FILE, ENV_SOCKET, ENV_SESSION])
    )
}

/// The user whose this path is, if that is neither `uid` nor root. What lies in another user's private directory cannot
/// be looked at; then it is the owner of that directory.
pub(crate) fn another_owner(path: &Path, uid: u32) -> Option<String> {
    let hidden = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let mut looks = path.ancestors().map(fs::symlink_metadata);
    let owner = looks.find(|look| !look.as_ref().is_err_and(hidden))?.ok()?.uid();
    (owner != uid && owner != 0).then(|| name_of(owner))
}

/// The name of a user, or what there is instead.
pub(crate) fn name_of(uid: u32) -> String {
    let line = names::getent("passwd", &[uid.to_string()], PATIENCE).unwrap_or_default();
    let name = line.split(':').next().filter(|name| !name.is_empty());
    name.map_or_else(|| format!("uid {uid}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;
    use crate::scratch::Scratch;

    /// Needs root, which alone can give a directory away.
    #[test]
    fn only_what_is_there_is_another_users() {
        let directory = Scratch::new();
        chown(&*directory, Some(65_534), None).unwrap();
        let missing = directory.join("a.sock");
        let found = [(&*directory, 1000), (&directory, 65_534), (&missing, 1000)]
            .map(|(path, uid)| another_owner(path, uid));
        assert_eq!(found, [Some("nobody".to_owned()), None, None]);
        assert_eq!(name_of(4_000_000_000), "uid 4000000000");
    }
}
