//! /proc/PID/stat (proc_pid_stat(5)): whether a process lives, which its parent is, when it started. Reads /proc.

use std::fs;
use std::str::SplitAsciiWhitespace;

/// proc(5): what a link below /proc/PID says once its file is unlinked.
pub(crate) const DELETED: &str = " (deleted)";
/// The numbers of the fields, as the manual counts them.
const STATE: usize = 3;
const PPID: usize = 4;
const FLAGS: usize = 9;
const STARTTIME: usize = 22;
/// Of the flags (include/linux/sched.h of the kernel): it is on its way out, and runs no program any more.
const PF_EXITING: u32 = 0x4;

/// What the kernel says of a process that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    /// 0 where the parent is not ours to see, as at the entrance of a container.
    pub(crate) parent: u32,
    /// In clock ticks since boot. A process's number may be used again; number and start together may not.
    pub(crate) started: u64,
}

impl ProcessStat {
    /// `None` for a process that is not there, or has ended and waits for its parent.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    pub(crate) fn parse(stat: &[u8]) -> Option<Self> {
        let mut fields = fields(stat)?;
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(STARTTIME - PPID - 1)?.parse().ok()?;
        (!matches!(state, "Z" | "X" | "x")).then_some(Self { parent, started })
    }
}

/// Whether a process is on its way out. It may hang there, in closing a file of a server that is away.
pub(crate) fn is_exiting(stat: &[u8]) -> bool {
    let flags = fields(stat).and_then(|mut fields| fields.nth(FLAGS - STATE)?.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

/// Those behind the second one, a name in parentheses. It may hold any bytes, parentheses too: the last one closes it.
fn fields(stat: &[u8]) -> Option<SplitAsciiWhitespace<'_>> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    Some(str::from_utf8(stat.get(end + 1..)?).ok()?.split_ascii_whitespace())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;
    use crate::scratch::Scratch;

    /// A link to a program by a name that is no UTF-8.
    pub(crate) fn oddly_named(program: &str, scratch: &Scratch) -> PathBuf {
        let link = scratch.join(OsStr::from_bytes(b"odd-\xff"));
        symlink(program, &link).unwrap();
        link
    }

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = |name: &str, state: &str| {
            let line = format!(
                "4711 ({name}) {state} 17 4711 4711 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 123456 1"
            );
            ProcessStat::parse(line.as_bytes())
        };
        let found = Some(ProcessStat { parent: 17, started: 123_456 });
        assert_eq!((stat("a) b) (c", "S"), stat("", "R"), stat("a", "Z")), (found, found, None));
        let odd = b"4711 (\xff) S 17 4711 4711 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 123456 1";
        assert_eq!(ProcessStat::parse(odd), found);
        assert!(
            !is_exiting(odd)
                && !is_exiting(b"4711 (x) S 17")
                && is_exiting(b"4711 (x) D 17 4711 4711 0 -1 4194564 1")
        );
        for short in
            ["", "4711 (x) S 1", "4711 (x", "4711 (x) S y 4711 4711 0 -1 4 1 0 0 0 1 2 0 0 20 0 1 0 1 1"]
        {
            assert_eq!(ProcessStat::parse(short.as_bytes()), None, "{short}");
        }
    }

    #[test]
    fn our_own_and_a_childs_are_read() {
        let own = ProcessStat::of(std::process::id()).unwrap();
        // Not our parent's, which a container does not show.
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let of_child = ProcessStat::of(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((of_child.parent, of_child.started >= own.started), (std::process::id(), true));
        assert_eq!(ProcessStat::of(u32::MAX), None);
    }
}
