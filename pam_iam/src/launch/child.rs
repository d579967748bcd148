//! The child between fork and exec: what it does, in order. Never returns, and allocates nothing itself.

use std::ffi::{CStr, CString};

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{alarm, chdir, getpid, setsid, write};

use super::identity::{become_user, take_groups};
use super::{AGENT, ENVIRONMENT, Ends, Plan, descriptors, sys};
use crate::ffi;

/// A name service that has not answered by now will not: the child ends, rather than stay behind at each login.
const GROUPS_PATIENCE: u32 = 60;
/// Signals are 1 to 64 on every architecture that we build for.
const LAST_SIGNAL: i32 = 64;
/// As many as the kernel lets a process have (NGROUPS_MAX since Linux 2.6.4).
const MAX_GROUPS: usize = 65_536;
/// Room for a group's entry with all its members, the first that is tried and the last: some two million members.
const GROUP_ROOM: (usize, usize) = (1 << 16, 1 << 25);

/// core(5): without a core file, and without one for a program that takes them from a pipe, to which 0 is no limit.
const NO_CORE: u64 = 1;
/// The line of the record that names the agent's process, with ten digits at most.
const AGENT_NAME: &[u8; 6] = b"agent=";
const AGENT_LINE: usize = AGENT_NAME.len() + 10 + 1;

/// A status line in the agent's place.
#[derive(Clone, Copy, Debug)]
enum Instead {
    NotServed,
    Groups,
    Identity,
    Descriptors,
    Exec,
}

impl Instead {
    fn line(self) -> &'static [u8] {
        match self {
            Self::NotServed => b"not-served\n",
            Self::Groups => b"failed groups\n",
            Self::Identity => b"failed identity\n",
            Self::Descriptors => b"failed descriptors\n",
            Self::Exec => b"failed exec\n",
        }
    }
}

/// Becomes the agent, or says why not.
pub(super) fn run(plan: &Plan<'_>, ends: Ends<'_>) -> ! {
    detach();
    let _ = setrlimit(Resource::RLIMIT_CORE, NO_CORE, NO_CORE);
    if let Some(record) = ends.record {
        // The page that the record is in has been there since its first line.
        let _ = write(record.write, agent_line(getpid().as_raw().unsigned_abs(), &mut [0; AGENT_LINE]));
    }
    // Without a standard output there is nothing to say it on: end of file says it.
    if descriptors::take_standard(ends).is_ok() {
        let instead = become_agent(plan);
        let _ = write(sys::standard_output(), instead.line());
    }
    sys::exit()
}

/// Leaves the host's session, its terminal and its signal handlers. The handlers go before the alarm may come: no signal
/// may reach one of them here. All other signals stay blocked, as they were at the fork.
fn detach() {
    let _ = setsid();
    for signal in 1..=LAST_SIGNAL {
        sys::default_action(signal);
    }
    let mut blocked = SigSet::all();
    blocked.remove(Signal::SIGALRM);
    let _ = blocked.thread_set_mask();
}

fn agent_line(process: u32, line: &mut [u8; AGENT_LINE]) -> &[u8] {
    let mut at = AGENT_LINE - 1;
    line[at] = b'\n';
    let mut rest = process;
    loop {
        at -= 1;
        line[at] = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let start = at - AGENT_NAME.len();
    line[start..at].copy_from_slice(AGENT_NAME);
    &line[start..]
}

fn become_agent(plan: &Plan<'_>) -> Instead {
    // The lifeline's write end is among them: a child that hangs below must not keep the login alive.
    if descriptors::close_others().is_err() {
        return Instead::Descriptors;
    }
    let account = plan.account;
    // Its signal is not blocked and kills: the host's handler is gone.
    alarm::set(GROUPS_PATIENCE);
    let (Ok(room), Ok(read_back)) = (sys::room_for_gids(MAX_GROUPS), sys::room_for_gids(MAX_GROUPS)) else {
        return Instead::Groups;
    };
    let Ok(count) = ffi::group_list(&account.name, account.gid, room) else { return Instead::Groups };
    let Some(groups) = room.get_mut(..count) else { return Instead::Groups };
    match is_member(groups, plan.served_groups) {
        Some(true) => {}
        Some(false) => return Instead::NotServed,
        None => return Instead::Groups,
    }
    alarm::cancel(); // exec would keep it
    if take_groups(groups, read_back).is_err() {
        return Instead::Groups;
    }
    // Again, for what the name service has left open; the user could not open /proc/self/fd of such a process.
    if descriptors::close_others().is_err() {
        return Instead::Descriptors;
    }
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    // All of them: between two of the steps the process may be one that leaves a core file, and the user's to signal.
    let blocked = SigSet::all().thread_set_mask();
    if blocked.is_err() || chdir(c"/").is_err() || become_user(account.uid, account.gid).is_err() {
        return Instead::Identity;
    }
    if SigSet::empty().thread_set_mask().is_err() {
        return Instead::Identity;
    }
    sys::exec(AGENT, ENVIRONMENT);
    Instead::Exec
}

/// Whether one of `groups` is served; `None` if that could not be found out.
fn is_member(groups: &[u32], served: &[CString]) -> Option<bool> {
    let mut unknown = false;
    for name in served.iter().map(CString::as_c_str) {
        match group_id(name) {
            Ok(Some(gid)) if groups.contains(&gid) => return Some(true),
            Ok(_) => {}
            Err(_) => unknown = true,
        }
    }
    if unknown { None } else { Some(served.is_empty()) }
}

/// The gid of a group, however many members its entry names: with more room each time. What was too small stays
/// mapped, for exec takes it all away.
fn group_id(name: &CStr) -> Result<Option<u32>, Errno> {
    let (mut size, last) = GROUP_ROOM;
    loop {
        match ffi::group_id(name, sys::room(size)?) {
            Err(Errno::ERANGE) if size < last => size *= 4,
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_record_has_the_number_as_it_is_printed() {
        for number in [1, 9, 10, 4711, 4_194_304, u32::MAX] {
            let mut line = [0; AGENT_LINE];
            assert_eq!(agent_line(number, &mut line), format!("agent={number}\n").as_bytes());
        }
    }
}
