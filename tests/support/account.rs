//! The accounts of a sandbox. Writes passwd, shadow and group, and makes home directories.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::output;
use crate::sandbox::Sandbox;

/// Uids are above what a host that runs the tests is likely to use itself: what the kernel counts by user it counts in all
/// namespaces together.
const FIRST_UID: u32 = 20001;
const PASSWD: &str = "/etc/passwd";

/// A user of the machine, with a group of the same name and number.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
}

impl Account {
    /// An account that is there.
    pub(crate) fn named(sandbox: &Sandbox, name: &str) -> Self {
        let found = all(sandbox).into_iter().find(|account| account.name == name);
        found.unwrap_or_else(|| panic!("there is no account {name}"))
    }

    /// A new account. `*` and not `!`: no password, but not locked, so that sshd lets a key in.
    pub(crate) fn add(sandbox: &Sandbox, name: &str) -> Self {
        let ours = all(sandbox).into_iter().map(|account| account.uid + 1);
        let uid = ours.filter(|uid| *uid > FIRST_UID).max().unwrap_or(FIRST_UID);
        sandbox.append(PASSWD, &format!("{name}:x:{uid}:{uid}:{name}:/home/{name}:/bin/bash\n"));
        sandbox.append("/etc/shadow", &format!("{name}:*:20000:0:99999:7:::\n"));
        sandbox.append("/etc/group", &format!("{name}:x:{uid}:\n"));
        let home = sandbox.path(&format!("/home/{name}"));
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&home, Some(uid), Some(uid)).unwrap();
        Self { name: name.to_owned(), uid }
    }

    pub(crate) fn set_password(&self, sandbox: &Sandbox, password: &str) {
        let line = format!("{}:{password}", self.name);
        // With a method it does without PAM, which may want another password.
        let mut chpasswd = sandbox.command("chpasswd");
        output::run(chpasswd.args(["--crypt-method", "SHA512"]), line.as_bytes()).successful();
    }
}

/// What packaging/scripts/installed.sh makes, where only the files are laid.
pub(crate) fn add_system_user(sandbox: &Sandbox) {
    if !sandbox.read(PASSWD).lines().any(|line| line.starts_with("iam-session:")) {
        sandbox.append(PASSWD, "iam-session:x:989:989::/nonexistent:/usr/sbin/nologin\n");
        sandbox.append("/etc/group", "iam-session:x:989:\n");
    }
}

fn all(sandbox: &Sandbox) -> Vec<Account> {
    let account = |line: &str| {
        let mut fields = line.split(':');
        Some(Account { name: fields.next()?.to_owned(), uid: fields.nth(1)?.parse().ok()? })
    };
    sandbox.read(PASSWD).lines().filter_map(account).filter(|account| account.uid < 65000).collect()
}

/// Adds the accounts of every test.
pub(crate) fn prepare(sandbox: &Sandbox) {
    for name in ["alice", "bob"] {
        Account::add(sandbox, name);
    }
}
