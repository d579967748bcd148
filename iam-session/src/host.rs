//! What this host is and has: PAM files, what the package has installed, node keys, the list of revoked users, whether
//! it is drained, names of users, processes, file systems. Reads files of root's and of the kernel's; starts
//! getent(1).
//!
//! Agents, `iam-session doctor` and `iam-session-admin` read it; only `iam-session-admin` changes any of it.

pub(crate) mod drain;
pub(crate) mod file_system;
pub(crate) mod installed;
pub(crate) mod names;
pub(crate) mod node_keys;
pub(crate) mod pam_file;
pub(crate) mod pam_judge;
pub(crate) mod pam_line;
pub(crate) mod pam_stack;
pub(crate) mod process_stat;
pub(crate) mod revoked;
