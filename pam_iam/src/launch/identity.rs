//! Becomes the user, and proves it. Touches only this process.

use nix::sys::prctl;
use nix::unistd::{Gid, ResGid, ResUid, Uid, getresgid, getresuid, setegid, seteuid, setresgid, setresuid};

use super::sys;

/// The process is not what it should be, and must not go on.
#[derive(Debug)]
pub(super) struct NotDropped;

/// Sets the supplementary groups, in any order, and reads them back into `read_back`.
pub(super) fn take_groups(groups: &mut [u32], read_back: &mut [u32]) -> Result<(), NotDropped> {
    sys::set_groups(groups)?;
    let count = sys::get_groups(read_back)?;
    let read_back = read_back.get_mut(..count).ok_or(NotDropped)?;
    groups.sort_unstable();
    read_back.sort_unstable();
    if groups == read_back { Ok(()) } else { Err(NotDropped) }
}

/// Becomes the user for good: real, effective and saved ids, and no capability (CVE-2018-6558 was half a drop).
pub(super) fn become_user(uid: u32, gid: u32) -> Result<(), NotDropped> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    if uid.is_root() {
        return Err(NotDropped);
    }
    // This process still has the host's memory, with its keys: nobody may attach, whatever fs.suid_dumpable says.
    prctl::set_dumpable(false)?;
    // Where fs.suid_dumpable is 1 a change of ids makes a process dumpable again. Until the next call undoes that, what
    // keeps the user from attaching is that this process has capabilities which the user has not (ptrace(2)); they go
    // after it. Where it is forbidden to keep them, the moment stays. No signal of the user's can make a core file of it
    // in that moment: all that could are blocked, and RLIMIT_CORE takes none (child.rs).
    let _ = prctl::set_keepcaps(true);
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    prctl::set_dumpable(false)?;
    sys::drop_capabilities()?;
    check(uid, gid)
}

fn check(uid: Uid, gid: Gid) -> Result<(), NotDropped> {
    let uids = getresuid()? == ResUid { real: uid, effective: uid, saved: uid };
    let gids = getresgid()? == ResGid { real: gid, effective: gid, saved: gid };
    // Believed only when it has been tried. A user may have root's group by right.
    let regained =
        seteuid(Uid::from_raw(0)).is_ok() || (gid.as_raw() != 0 && setegid(Gid::from_raw(0)).is_ok());
    if uids && gids && !regained && sys::has_no_capability()? { Ok(()) } else { Err(NotDropped) }
}

impl From<nix::Error> for NotDropped {
    fn from(_: nix::Error) -> Self {
        Self
    }
}
