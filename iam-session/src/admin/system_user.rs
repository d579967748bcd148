//! Becomes the package's system user. As that user this program does what it must not do as root: read a user's files,
//! speak to issuers. Changes the process that calls it.
//!
//! A reader of a user's files has the user's id for files alone. The real, effective or saved id decides who may
//! signal, trace, limit or renice a process. So the user can neither stop nor kill the reader, and cannot look into
//! it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::prctl::{set_dumpable, set_keepcaps};
use nix::unistd::{Gid, Uid, geteuid, seteuid, setfsgid, setfsuid, setresgid, setresuid};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use serde::{Deserialize, Serialize};

use super::hand_over;
use super::subprocess;
use super::user::{self, UserEntry};
use crate::issuer::wire::{ErrorClass, HelperReply, IssuerError, MAX_LINE};
use crate::outcome::{Exit, Outcome};
use crate::paths;
use crate::protocol::{Failure, FailureKind};

/// Its name; packaging/scripts/installed.sh makes it.
pub(super) const NAME: &str = "iam-session";

const NOBODY: u32 = 65_534;

const MADE: &str =
    "'useradd -r -s /sbin/nologin iam-session' makes it, and so does installing the package again";

/// The ids of the system user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SystemUser {
    uid: u32,
    gid: u32,
}

/// Whose files it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FilesOf {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Who it is. None that is root, nobody or somebody is taken for it.
pub(super) fn find() -> Result<SystemUser, Failure> {
    let found = user::find(NAME)?;
    let found =
        found.ok_or_else(|| Failure::failed(format!("there is no system user '{NAME}'")).advise(MADE))?;
    match unfit(&found) {
        Some((is, advice)) => Err(Failure::failed(format!("the system user '{NAME}' {is}")).advise(advice)),
        None => Ok(SystemUser { uid: found.uid, gid: found.gid }),
    }
}

/// What keeps an account from being the system user, and what to do.
fn unfit(account: &UserEntry) -> Option<(&'static str, &'static str)> {
    const OWN: &str = "give it a uid and a gid of its own";
    let shell = account.shell.rsplit('/').next().unwrap_or_default();
    if account.uid == 0 || account.gid == 0 {
        Some(("is root", OWN))
    } else if account.uid == NOBODY {
        Some(("is nobody, as whom others run, too", OWN))
    } else if !matches!(shell, "nologin" | "false") {
        // Whoever logs in as it could stop what reads for root, and end it.
        Some(("can log in", "'usermod -s /sbin/nologin iam-session', unless it is somebody's"))
    } else {
        None
    }
}

impl SystemUser {
    /// Becomes it for good, in every respect.
    pub(super) fn become_for_good(self) -> Result<(), Failure> {
        self.become_with(FilesOf { uid: self.uid, gid: self.gid })
    }

    /// Becomes it for good, but for whose files are opened; keeps no capability.
    pub(super) fn become_reader(self, files: FilesOf) -> Result<(), Failure> {
        if files.uid == 0 || files.uid == self.uid {
            return Err(Failure::failed(format!("the files of uid {} are not for this", files.uid)));
        }
        self.become_with(files)
    }

    fn become_with(self, files: FilesOf) -> Result<(), Failure> {
        if !geteuid().is_root() {
            return Err(Failure::failed("only root may do this"));
        }
        let changed = self.change(files);
        changed.map_err(|errno| Failure::failed(format!("cannot become {NAME}: {}", errno.desc())))
    }

    fn change(self, files: FilesOf) -> nix::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        subprocess::leave_root()?;
        // What of the capabilities is permitted outlasts the change of the uid, and is given up after the next.
        set_keepcaps(true)?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
        set_dumpable(false)?;
        // A change of the effective id is one for files, too, so these come last (setfsuid(2)).
        keep(CapabilitySet::SETUID | CapabilitySet::SETGID)?;
        setfsgid(Gid::from_raw(files.gid));
        setfsuid(Uid::from_raw(files.uid));
        keep(CapabilitySet::empty())?;
        set_keepcaps(false)?;
        set_dumpable(false)?;
        // Believed only when it has been looked at, and tried.
        let status = fs::read_to_string("/proc/self/status").map_err(|_| Errno::EIO)?;
        let is_done = is_done(&status, self, files) && seteuid(Uid::from_raw(0)).is_err();
        if is_done { Ok(()) } else { Err(Errno::EPERM) }
    }
}

fn keep(set: CapabilitySet) -> nix::Result<()> {
    let sets = CapabilitySets { effective: set, permitted: set, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

/// Whether a process with this /proc/PID/status is what it was to become.
fn is_done(status: &str, system: SystemUser, files: FilesOf) -> bool {
    let field = |name: &str| -> Option<Vec<&str>> {
        Some(status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().collect())
    };
    // Real, effective, saved, and that for files (proc(5)).
    let has_ids = |name: &str, own: u32, of_files: u32| {
        let ids = [own, own, own, of_files].map(|id| id.to_string());
        field(name).is_some_and(|found| found == ids)
    };
    let has_none = |name: &str| {
        let zero = |digits: &&str| digits.bytes().all(|digit| digit == b'0');
        field(name).is_some_and(|set| set.len() == 1 && set.iter().all(zero))
    };
    has_ids("Uid:", system.uid, files.uid)
        && has_ids("Gid:", system.gid, files.gid)
        && field("Groups:").is_some_and(|groups| groups.is_empty())
        && ["CapInh:", "CapPrm:", "CapEff:"].into_iter().all(has_none)
}

/// `iam-session-admin helper`: becomes the system user, and then the issuer's helper. For what runs as root and asks an
/// issuer.
pub(super) fn run_helper() -> Outcome {
    let become_it = || find().and_then(SystemUser::become_for_good);
    let Failure { error, info, .. } = match become_it() {
        // It comes back only with an error.
        Ok(()) => {
            let error = Command::new(paths::HELPER).env_clear().env("PATH", "/usr/bin:/bin").exec();
            Failure::failed(format!("cannot start {}: {error}", paths::HELPER))
        }
        Err(failure) => failure,
    };
    // Who has started it reads what a helper says.
    let message = info.map_or_else(|| error.clone(), |info| format!("{error}: {info}"));
    let error = IssuerError { class: ErrorClass::Refused, message, status: None, retry_after: None };
    hand_over(&HelperReply::Error(error), MAX_LINE)?;
    Ok(Exit::With(FailureKind::Failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: SystemUser = SystemUser { uid: 990, gid: 991 };
    const FILES: FilesOf = FilesOf { uid: 1000, gid: 100 };
    const STATUS: &str = "Name:\tiam-session-adm\nUid:\t990\t990\t990\t1000\nGid:\t991\t991\t991\t100\nGroups:\t \n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n";

    #[test]
    fn root_nobody_and_who_can_log_in_are_not_taken_for_it() {
        let account = |uid, gid, shell: &str| UserEntry {
            name: NAME.into(),
            uid,
            gid,
            home: "/nonexistent".into(),
            shell: shell.into(),
        };
        let fits = |uid, gid, shell| unfit(&account(uid, gid, shell)).is_none();
        for shell in ["/sbin/nologin", "/usr/sbin/nologin", "/bin/false"] {
            assert!(fits(990, 991, shell), "{shell}");
        }
        for (uid, gid, shell) in [
            (0, 991, "/sbin/nologin"),
            (990, 0, "/sbin/nologin"),
            (65_534, 991, "/sbin/nologin"),
            (1005, 1005, "/bin/bash"),
            (990, 991, ""),
        ] {
            assert!(!fits(uid, gid, shell), "{uid} {gid} {shell}");
        }
    }

    #[test]
    fn only_what_has_become_it_in_all_respects_is_done() {
        assert!(is_done(STATUS, SYSTEM, FILES));
        for (is, other) in [
            ("990\t990\t990\t1000", "0\t990\t990\t1000"),
            ("990\t990\t990\t1000", "990\t990\t1000\t1000"),
            ("990\t990\t990\t1000", "990\t990\t990\t990"),
            ("991\t100", "991\t0"),
            ("Groups:\t ", "Groups:\t0 10 "),
            ("CapPrm:\t0000000000000000", "CapPrm:\t0000000000000080"),
            ("CapEff:\t0000000000000000\n", ""),
        ] {
            assert!(STATUS.contains(is));
            assert!(!is_done(&STATUS.replacen(is, other, 1), SYSTEM, FILES), "{other}");
        }
    }
}
