//! The shell that will read our output, and that the agent stays for. Reads /proc.

use std::fs;

use nix::unistd::getppid;

use crate::host::process_stat::ProcessStat;

/// Subshells within subshells; nobody nests them deeper by hand.
const MAX_DEPTH: usize = 16;

/// Our parent, or what that was forked from: `$(…)` may run in a subshell, which ends before the shell has read what
/// we print. `None` where the parent is not ours to see, as at the entrance of a container.
pub(super) fn shell() -> Option<u32> {
    let mut shell = u32::try_from(getppid().as_raw()).ok().filter(|pid| *pid > 0)?;
    for _ in 0..MAX_DEPTH {
        match parent_of(shell).filter(|parent| is_fork(shell, *parent)) {
            Some(parent) => shell = parent,
            None => break,
        }
    }
    Some(shell)
}

fn parent_of(pid: u32) -> Option<u32> {
    ProcessStat::of(pid).map(|stat| stat.parent).filter(|pid| *pid > 0)
}

/// Whether `child` has run no program of its own since `parent` made it: the kernel gives each execve(2) new addresses
/// (proc(5), /proc/pid/auxv), and fork(2) keeps them.
fn is_fork(child: u32, parent: u32) -> bool {
    let addresses = |pid: u32| fs::read(format!("/proc/{pid}/auxv")).ok().filter(|auxv| !auxv.is_empty());
    addresses(child).is_some_and(|own| addresses(parent) == Some(own))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::host::process_stat::tests::oddly_named;
    use crate::scratch::Scratch;

    #[test]
    fn a_subshell_is_told_from_a_shell_of_any_name() {
        // The subshell has two commands, so that no shell replaces it by the last one; it waits for its input.
        let script = "echo $$; (sh -c 'echo $PPID'; read -r x; true); true";
        let scratch = Scratch::new();
        let mut shell = Command::new(oddly_named("/bin/bash", &scratch))
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let mut pid = || lines.next().unwrap().unwrap().parse::<u32>().unwrap();
        let (main, subshell) = (pid(), pid());
        assert_ne!(main, subshell);
        assert_eq!(parent_of(subshell), Some(main));
        assert!(is_fork(subshell, main));
        assert!(!is_fork(main, std::process::id()));
        assert!(!is_fork(u32::MAX, main));
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
