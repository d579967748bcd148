//! The PAM stack of the service `sshd`, and the line of the module in it. Writes /etc/pam.d and /etc/security.

use crate::account::Account;
use crate::sandbox::Sandbox;

/// What a plan says about sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    /// Options of pam_iam.so; `None` leaves the module out.
    pub(crate) module: Option<String>,
    /// Users for whom a runtime directory is made, named and removed as by logind.
    pub(crate) logind: Vec<String>,
    /// Whether passwords are asked for.
    pub(crate) passwords: bool,
    /// Whole `session` lines after the module's own.
    pub(crate) after: Vec<String>,
}

impl Stack {
    /// Writes the service. A key that sshd has checked is not asked about again; a stack of which no module answers
    /// would refuse.
    pub(crate) fn write(&self, sandbox: &Sandbox) {
        let authenticate = if self.passwords { "pam_unix.so" } else { "pam_permit.so" };
        let mut lines = vec![
            format!("auth required {authenticate}"),
            "account required pam_permit.so".to_owned(),
            "session required pam_permit.so".to_owned(),
        ];
        lines.extend(self.logind.iter().flat_map(|user| logind(sandbox, user)));
        lines.extend(self.module.iter().map(|options| format!("-session optional pam_iam.so {options}")));
        lines.extend(self.after.iter().cloned());
        lines.push(String::new());
        sandbox.write("/etc/pam.d/sshd", lines.join("\n"), 0o644);
    }
}

/// What makes and removes the runtime directory.
const LOGIND: &str = "/mnt/logind.sh";

/// A script and pam_env in the place of pam_systemd, which needs a running logind.
fn logind(sandbox: &Sandbox, user: &str) -> [String; 3] {
    let uid = Account::named(sandbox, user).uid;
    sandbox.write(LOGIND, include_str!("logind.sh"), 0o755);
    let file = format!("/etc/security/logind-{user}.conf");
    sandbox.write(&file, format!("XDG_RUNTIME_DIR DEFAULT=/run/user/{uid}\n"), 0o644);
    [
        format!("session [success=2 default=ignore] pam_succeed_if.so quiet user != {user}"),
        format!("session required pam_exec.so quiet /bin/sh {LOGIND}"),
        format!("session required pam_env.so readenv=0 conffile={file}"),
    ]
}
