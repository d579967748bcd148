//! The processes that an agent without a login stays for: the shells that it was started in. Reads /proc.

use std::time::Duration;

use super::linger::LookSchedule;
use crate::host::process_stat::ProcessStat;

/// More than one person has terminals; the list is no place to fill memory.
const MAX: usize = 256;

/// A process. Its number may be used again, so the time of its start is part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WatchedShell {
    pid: u32,
    started: u64,
}

impl WatchedShell {
    fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: ProcessStat::of(pid)?.started })
    }

    fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// Those that are known, and when to look whether one still lives.
#[derive(Debug)]
pub(super) struct Shells {
    list: Vec<WatchedShell>,
    looks: LookSchedule,
}

impl Shells {
    /// One that may have ended already.
    pub(super) fn begin(pid: u32, now: Duration) -> Self {
        Self { list: WatchedShell::of(pid).into_iter().collect(), looks: LookSchedule::from(now) }
    }

    /// One more; whether there was room for it and it lives.
    pub(super) fn add(&mut self, pid: u32) -> bool {
        self.list.retain(|shell| shell.lives());
        let Some(shell) = WatchedShell::of(pid).filter(|_| self.list.len() < MAX) else { return false };
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
    use crate::host::process_stat::tests::oddly_named;
    use crate::scratch::Scratch;

    #[test]
    fn a_shell_of_any_name_lives() {
        let scratch = Scratch::new();
        let mut cat = Command::new(oddly_named("/bin/cat", &scratch)).stdin(Stdio::piped()).spawn().unwrap();
        let mut shells = Shells::begin(cat.id(), Duration::ZERO);
        let now = shells.deadline();
        assert!(!shells.have_ended(now));
        drop(cat.stdin.take());
        cat.wait().unwrap();
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
        let mut shell = WatchedShell::of(std::process::id()).unwrap();
        assert!(shell.lives());
        shell.started -= 1;
        assert!(!shell.lives());
    }
}
