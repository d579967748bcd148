//! The accounts of a sandbox. Writes passwd, shadow and group, and makes home directories.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::sandbox::Sandbox;

/// A user of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Name, and the name of the group of its own.
    pub name: &'static str,
    /// Uid and gid: above what a host that runs the tests is likely to use itself.
    pub uid: u32,
}

/// Who the tests log in as.
pub const ALICE: Account = Account { name: "alice", uid: 20001 };
/// Somebody else on the same machine.
pub const BOB: Account = Account { name: "bob", uid: 20002 };

impl Account {
    /// The home directory.
    pub fn home(&self) -> String {
        format!("/home/{}", self.name)
    }

    pub(crate) fn named(name: &str) -> Self {
        let known = [ALICE, BOB].into_iter().find(|account| account.name == name);
        known.unwrap_or_else(|| panic!("there is no account {name}"))
    }

    /// `*` and not `!`: no password, but not locked, so that sshd lets a key in.
    fn add_to(self, sandbox: &Sandbox) {
        let Self { name, uid } = self;
        sandbox.append("/etc/passwd", &format!("{name}:x:{uid}:{uid}:{name}:/home/{name}:/bin/bash\n"));
        sandbox.append("/etc/shadow", &format!("{name}:*:20000:0:99999:7:::\n"));
        sandbox.append("/etc/group", &format!("{name}:x:{uid}:\n"));
        let home = sandbox.path(&self.home());
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&home, Some(uid), Some(uid)).unwrap();
    }
}

/// Adds the accounts, and has names come from files alone, whatever the host asks.
pub(crate) fn add_all(sandbox: &Sandbox, hostname: &str, issuer_host: &str) {
    let services = ["passwd: files", "group: files", "shadow: files", "hosts: files", ""];
    sandbox.write("/etc/nsswitch.conf", services.join("\n"), 0o644);
    sandbox.write("/etc/hosts", format!("127.0.0.1 localhost {hostname} {issuer_host}\n"), 0o644);
    for account in [ALICE, BOB] {
        account.add_to(sandbox);
    }
}
