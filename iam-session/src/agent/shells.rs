//! The processes that an agent without a login stays for: the shells it was started in. Reads /proc.

use std::fs;
use std::time::Duration;

use super::linger::Looks;

/// More than one person has terminals; the list is no place to fill memory.
const MAX: usize = 256;

/// A process. Its number may be used again, so the time of its start is part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shell {
    pid: u32,
    started: u64,
}

impl Shell {
    fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: start_of(pid)? })
    }

    fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// In clock ticks since boot; `None` for a process that is not there, or has ended and waits for its parent.
fn start_of(pid: u32) -> Option<u64> {
    parse_start(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of proc_pid_stat(5). The second one is a name in parentheses that may hold anything, parentheses too.
fn parse_start(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X" | "x")).then(|| fields.nth(18)?.parse().ok())?
}

/// Those that are known, and when to look whether one still lives.
#[derive(Debug)]
pub(super) struct Shells {
    list: Vec<Shell>,
    looks: Looks,
}

impl Shells {
    /// One that may have ended already.
    pub(super) fn begin(pid: u32, now: Duration) -> Self {
        Self { list: Shell::of(pid).into_iter().collect(), looks: Looks::from(now) }
    }

    /// One more; whether there was room for it and it lives.
    pub(super) fn add(&mut self, pid: u32) -> bool {
        self.list.retain(|shell| shell.lives());
        let Some(shell) = Shell::of(pid).filter(|_| self.list.len() < MAX) else { return false };
        if !self.list.contains(&shell) {
            self.list.push(shell);
        }
        true
    }

    /// When to look.
    pub(super) fn deadline(&self) -> Duration {
        self.looks.deadline()
    }

    /// Looks if it is time to, and says whether all have ended.
    pub(super) fn have_ended(&mut self, now: Duration) -> bool {
        self.looks.is_due(now) && !self.list.iter().any(|shell| shell.lives())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    const STAT: &str = "4711 (a) b) (c) S 1 4711 4711 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 123456 1 2 3";

    #[test]
    fn the_start_is_found_behind_any_name() {
        assert_eq!(parse_start(STAT), Some(123_456));
        assert_eq!(parse_start(&STAT.replace(" S ", " Z ")), None);
        assert_eq!(parse_start("4711 (x) S 1"), None);
        assert_eq!(parse_start(""), None);
    }

    #[test]
    fn a_process_lives_until_it_has_ended_even_unwaited_for() {
        let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut shells = Shells::begin(cat.id(), Duration::ZERO);
        let mut now = Duration::ZERO;
        let mut look = |shells: &mut Shells| {
            now = shells.deadline();
            shells.have_ended(now)
        };
        assert!(!look(&mut shells));
        drop(cat.stdin.take());
        // The end of its output comes before that of the process itself.
        cat.wait().unwrap();
        assert!(look(&mut shells));
        assert!(!shells.add(cat.id()) && shells.add(std::process::id()));
        assert!(!look(&mut shells));
    }

    #[test]
    fn a_number_that_is_used_again_is_another_process() {
        let mut shell = Shell::of(std::process::id()).unwrap();
        assert!(shell.lives());
        shell.started -= 1;
        assert!(!shell.lives());
    }
}
