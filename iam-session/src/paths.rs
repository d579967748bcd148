//! Every path that two programs must agree on. Touches nothing.

use std::path::{Path, PathBuf};

/// The agent's program; root-owned 0711, so that the kernel starts it undumpable.
pub(crate) const AGENT: &str = "/usr/libexec/iam-session/agent";
/// The only program with HTTP and TLS; root-owned 0711.
pub(crate) const HELPER: &str = "/usr/libexec/iam-session/helper";
/// Root's tool.
pub(crate) const ADMIN: &str = "/usr/sbin/iam-session-admin";
/// The site's configuration.
pub(crate) const SITE_CONFIG: &str = "/etc/iam-session";
/// Where the module makes a runtime directory when `/run/user/<uid>` is not there.
pub(crate) const RUN: &str = "/run/iam-session";

/// Environment variable naming the token file (WLCG bearer token discovery).
pub(crate) const ENV_TOKEN_FILE: &str = "BEARER_TOKEN_FILE";
/// Environment variable naming the agent's socket.
pub(crate) const ENV_SOCKET: &str = "IAM_SESSION_SOCK";
/// Environment variable holding the session's id.
pub(crate) const ENV_SESSION: &str = "IAM_SESSION_ID";
/// Environment variable of an enrolment whose shell takes its variables afterwards by itself.
pub(crate) const ENV_SHELL_HOOK: &str = "IAM_SESSION_SHELL_HOOK";

/// The places below one user's runtime directory on one host. All agents of the user share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuntimePaths {
    directory: PathBuf,
    uid: u32,
}

impl RuntimePaths {
    /// The places of `uid` below `directory`.
    pub(crate) fn new(directory: impl Into<PathBuf>, uid: u32) -> Self {
        Self { directory: directory.into(), uid }
    }

    /// The runtime directory itself (`/run/user/<uid>` or `/run/iam-session/<uid>`).
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The user's id.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// The name of the token file within the runtime directory: `bt_u$ID-purpose` of the WLCG bearer token
    /// discovery specification, one stable name a user and host.
    pub(crate) fn token_file_name(&self) -> String {
        format!("bt_u{}-iam", self.uid)
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.directory.join(self.token_file_name())
    }

    /// The name of the file that is kept for one account besides.
    pub(crate) fn kept_file_name(&self, account: &str) -> String {
        format!("{}.{account}", self.token_file_name())
    }

    pub(crate) fn kept_file(&self, account: &str) -> PathBuf {
        self.directory.join(self.kept_file_name(account))
    }

    /// The agents' own directory, 0700.
    pub(crate) fn agents(&self) -> PathBuf {
        self.directory.join("iam-session")
    }

    /// What is remembered on this host between two logins, where the module has made the directory above it: logind
    /// removes its own after the last one.
    pub(crate) fn host_directory(&self) -> PathBuf {
        Path::new(RUN).join(self.uid.to_string())
    }

    /// The socket of one session's agent.
    pub(crate) fn socket(&self, session_id: &str) -> PathBuf {
        self.agents().join(format!("{session_id}.sock"))
    }
}
