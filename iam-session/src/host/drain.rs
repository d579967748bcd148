//! Whether this host is drained: its module starts no new agents. Looks at one path.

use std::fs;

/// The module looks for it at each login. In /etc: a reboot is no reason to serve users again.
pub(crate) const DRAIN: &str = "/etc/iam-session/drain";

/// Whether the module starts no agents.
pub(crate) fn is_drained() -> bool {
    fs::symlink_metadata(DRAIN).is_ok()
}
