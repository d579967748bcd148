//! What a host is to be like, and its making. Writes files in a sandbox.

use crate::account::{self, Account};
use crate::host::Host;
use crate::pam::Stack;
use crate::sandbox::{Kernel, Sandbox};
use crate::{etc, package, sshd};

/// The name of a host that has no other.
const HOSTNAME: &str = "login1";

/// A host before it is started.
#[derive(Clone, Debug)]
pub struct Plan {
    stack: Stack,
    installed: Installed,
    kernel: Kernel,
    site: String,
    sshd: String,
    sshd_match: String,
    passwords: Vec<(String, String)>,
}

/// What is there of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installed {
    /// Its files, and the site's configuration as planned.
    Package,
    Nothing,
}

impl Default for Plan {
    fn default() -> Self {
        let stack = Stack { module: Some(String::new()), ..Stack::default() };
        Self {
            stack,
            installed: Installed::Package,
            kernel: Kernel::from_environment(),
            site: String::new(),
            sshd: String::new(),
            sshd_match: String::new(),
            passwords: Vec::new(),
        }
    }
}

impl Plan {
    /// Options on the line of pam_iam.so.
    pub fn pam_options(mut self, options: &str) -> Self {
        self.stack.module = Some(options.to_owned());
        self
    }

    /// The stack without pam_iam.so.
    pub fn without_agent(mut self) -> Self {
        self.stack.module = None;
        self
    }

    /// Another kernel than `KERNEL` says.
    pub fn kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// Nothing of the package, although the PAM line is there.
    pub fn uninstalled(mut self) -> Self {
        self.installed = Installed::Nothing;
        self
    }

    /// One more line at the end of the stack, as in `session required pam_deny.so`.
    pub fn session_line(mut self, line: &str) -> Self {
        self.stack.after.push(line.to_owned());
        self
    }

    /// The user has a runtime directory as from logind.
    pub fn with_logind_runtime(mut self, user: &str) -> Self {
        self.stack.logind.push(user.to_owned());
        self
    }

    /// The user has a password, and sshd takes it, also by keyboard-interactive.
    pub fn with_password(mut self, user: &str, password: &str) -> Self {
        self.stack.passwords = true;
        self.passwords.push((user.to_owned(), password.to_owned()));
        self
    }

    /// One more line of sshd_config, before all others.
    pub fn sshd_line(mut self, line: &str) -> Self {
        self.sshd.push_str(line);
        self.sshd.push('\n');
        self
    }

    /// Lines at the end of sshd_config, as in `Match User bob`.
    pub fn sshd_match(mut self, lines: &str) -> Self {
        self.sshd_match.push_str(lines);
        self.sshd_match.push('\n');
        self
    }

    /// One more line of /etc/iam-session/config.toml.
    pub fn site(mut self, line: &str) -> Self {
        self.site.push_str(line);
        self.site.push('\n');
        self
    }

    /// Starts the host.
    pub fn start(self) -> Host {
        let sandbox = Sandbox::start(HOSTNAME, self.kernel);
        etc::write(&sandbox, HOSTNAME);
        account::prepare(&sandbox);
        package::remove(&sandbox);
        for (user, password) in &self.passwords {
            Account::named(&sandbox, user).set_password(&sandbox, password);
        }
        if self.installed == Installed::Package {
            self.install(&sandbox);
        }
        self.stack.write(&sandbox);
        sshd::configure(&sandbox, &self.sshd, &self.sshd_match);
        Host::bring_up(sandbox, self.stack, "127.0.0.1".to_owned())
    }

    fn install(&self, sandbox: &Sandbox) {
        package::install(sandbox);
        account::add_system_user(sandbox);
        if self.stack.module.is_some() {
            package::install_module(sandbox);
        }
        sandbox.write("/etc/iam-session/config.toml", &self.site, 0o644);
    }
}
