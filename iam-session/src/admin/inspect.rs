//! Looks at which programs processes run, in a process that can be given up. That is this program, started again as
//! root. The one side starts processes; the other reads `exe` and `cmdline` of /proc/PID.
//!
//! To read `cmdline` takes a lock of the process's memory, and so does `exe` before Linux 4.1, there without an end.
//! The user can hold that lock for ever, for example by a page of a file system whose server is stopped. So a worker
//! for each user looks at that user's processes. If the worker does not come on, it is given up. Another one goes on
//! behind the process at which it stopped.

use crate::protocol::Failure;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use serde::{Deserialize, Serialize};

use super::hand_over;
use super::parallel::parallel;
use super::process::{ProgramVersion, is_program};
use super::subprocess::{self, Answering};
use crate::line::{Lines, Wait};
use crate::outcome::{Exit, Outcome};
use crate::paths;

/// For a worker to be started on a machine that has much to do.
const START: Duration = Duration::from_secs(10);
/// A look takes microseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many looks at one user's processes may hang; what is left then is not looked at.
const MAX_HANGS: usize = 4;
/// The numbers are arguments of one process: far fewer than it may have.
const BATCH: usize = 4096;
/// Users whose processes are looked at together.
const AT_ONCE: usize = 16;
const MAX_LINE: usize = 256;
/// The second argument says what an agent's program is to do; the first is a path, or what its user likes.
const MAX_ARGUMENTS: u64 = 4096;

/// A process to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) pid: i32,
    pub(super) known: KnownPrograms,
}

/// What is known of it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownPrograms {
    /// That it is an agent: only its program is looked at.
    Agent,
    Nothing,
}

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Executable {
    Agent(ProgramVersion),
    Helper,
    Other,
}

/// What the agent's program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProgramRole {
    Login,
    Shell,
    Job,
}

/// What came of the look at one process: `None` is what did not come back, or was not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProgramLook {
    pub(super) executable: Option<Executable>,
    pub(super) role: Option<ProgramRole>,
}

#[derive(Debug, Parser)]
pub(super) struct InspectArgs {
    #[arg(long = "agent")]
    agents: Vec<i32>,
    processes: Vec<i32>,
}

/// The worker: a line that it has begun, then a line for each program, and one for each role where that is asked.
pub(super) fn run(args: &InspectArgs) -> Outcome {
    subprocess::leave_root()
        .map_err(|errno| Failure::failed(format!("cannot leave root's terminal: {}", errno.desc())))?;
    hand_over(&(), MAX_LINE)?;
    for pid in &args.agents {
        hand_over(&executable(*pid), MAX_LINE)?;
    }
    for pid in &args.processes {
        let executable = executable(*pid);
        hand_over(&executable, MAX_LINE)?;
        if matches!(executable, Executable::Agent(_)) {
            hand_over(&role(*pid), MAX_LINE)?;
        }
    }
    Ok(Exit::Done)
}

fn executable(pid: i32) -> Executable {
    let Ok(link) = fs::read_link(format!("/proc/{pid}/exe")) else { return Executable::Other };
    executable_of(&link)
}

fn executable_of(link: &Path) -> Executable {
    let agent = is_program(link, paths::AGENT).map(Executable::Agent);
    let helper = || is_program(link, paths::HELPER).map(|_| Executable::Helper);
    agent.or_else(helper).unwrap_or(Executable::Other)
}

fn role(pid: i32) -> ProgramRole {
    let mut arguments = Vec::new();
    // What cannot be read has ended.
    let _ = File::open(format!("/proc/{pid}/cmdline"))
        .and_then(|file| file.take(MAX_ARGUMENTS).read_to_end(&mut arguments));
    role_of(&arguments)
}

fn role_of(arguments: &[u8]) -> ProgramRole {
    match arguments.split(|byte| *byte == 0).nth(1).unwrap_or_default() {
        b"" => ProgramRole::Login,
        b"standing" => ProgramRole::Shell,
        // A mint, or another process that an agent has started.
        _ => ProgramRole::Job,
    }
}

/// Looks at the processes of several users, each user's apart from the others'.
pub(super) fn look_at(users: Vec<Vec<Candidate>>) -> HashMap<i32, ProgramLook> {
    parallel(users, AT_ONCE, |user| look_at_one(user, start)).into_iter().flatten().collect()
}

fn start(agents: &[i32], others: &[i32]) -> Option<Answering> {
    let mut program = subprocess::again("inspect");
    program.args(agents.iter().map(|pid| format!("--agent={pid}"))).args(others.iter().map(i32::to_string));
    Answering::start(program)
}

/// Agents come first, so that nothing else keeps them from being looked at.
fn look_at_one(
    mut candidates: Vec<Candidate>,
    start: impl Fn(&[i32], &[i32]) -> Option<Answering>,
) -> HashMap<i32, ProgramLook> {
    candidates.sort_by_key(|candidate| candidate.known != KnownPrograms::Agent);
    let mut looks = HashMap::new();
    let (mut rest, mut hangs) = (candidates.as_slice(), 0);
    while !rest.is_empty() && hangs < MAX_HANGS {
        let batch = rest.get(..BATCH).unwrap_or(rest);
        let agents = batch.iter().filter(|candidate| candidate.known == KnownPrograms::Agent).count();
        let pids: Vec<i32> = batch.iter().map(|candidate| candidate.pid).collect();
        let (agents, others) = pids.split_at(agents);
        let worker = start(agents, others);
        let mut done = worker.map_or(0, |worker| follow(worker, batch, &mut looks));
        if done < batch.len() {
            hangs += 1;
            done += 1;
        }
        rest = rest.get(done..).unwrap_or_default();
    }
    looks
}

/// Takes down what the worker tells; of how many processes it has told all.
fn follow(mut worker: Answering, batch: &[Candidate], looks: &mut HashMap<i32, ProgramLook>) -> usize {
    let mut lines = Lines::new(MAX_LINE);
    if lines.next(&mut worker.answers, Wait::at_most(START)).is_err() {
        return 0;
    }
    for (done, candidate) in batch.iter().enumerate() {
        let look: &mut ProgramLook = looks.entry(candidate.pid).or_default();
        look.executable = next(&mut lines, &mut worker);
        let Some(executable) = look.executable else { return done };
        if candidate.known == KnownPrograms::Nothing && matches!(executable, Executable::Agent(_)) {
            look.role = next(&mut lines, &mut worker);
            if look.role.is_none() {
                return done;
            }
        }
    }
    batch.len()
}

fn next<T: for<'line> Deserialize<'line>>(lines: &mut Lines, worker: &mut Answering) -> Option<T> {
    let line = lines.next(&mut worker.answers, Wait::at_most(PATIENCE)).ok()?;
    serde_json::from_slice(&line).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Mutex;

    use super::*;

    fn candidates(pids: std::ops::RangeInclusive<i32>) -> Vec<Candidate> {
        pids.map(|pid| Candidate { pid, known: KnownPrograms::Nothing }).collect()
    }

    /// Stands in for the worker: tells of each process up to the one at which it hangs.
    fn hangs_at(agents: &[i32], others: &[i32], stuck: &[i32]) -> Option<Answering> {
        let pids: Vec<&i32> = agents.iter().chain(others).collect();
        let told = pids.iter().take_while(|pid| !stuck.contains(pid)).map(|_| "echo '\"Other\"'; ");
        let script = format!("echo null; {}exec sleep 600", told.collect::<String>());
        let mut program = Command::new("/bin/sh");
        program.args(["-c", &script]);
        Answering::start(program)
    }

    #[test]
    fn one_process_that_hangs_its_reader_hides_no_other() {
        let looks = look_at_one(candidates(1..=5), |agents, others| hangs_at(agents, others, &[2, 4]));
        let mut seen: Vec<i32> =
            looks.iter().filter(|(_, look)| look.executable.is_some()).map(|(pid, _)| *pid).collect();
        seen.sort_unstable();
        assert_eq!(seen, [1, 3, 5]);
    }

    #[test]
    fn a_user_whose_processes_all_hang_is_given_up_and_agents_are_looked_at_first() {
        let mut all = candidates(1..=50);
        all.push(Candidate { pid: 99, known: KnownPrograms::Agent });
        let tries = Mutex::new(Vec::new());
        let stuck: Vec<i32> = (1..=50).collect();
        let looks = look_at_one(all, |agents, others| {
            tries.lock().unwrap().push(agents.len() + others.len());
            hangs_at(agents, others, &stuck)
        });
        assert_eq!(looks[&99].executable, Some(Executable::Other));
        assert_eq!(*tries.lock().unwrap(), [51, 49, 48, 47]);
    }

    #[test]
    fn without_a_worker_nothing_is_seen_and_the_end_comes_nevertheless() {
        assert!(look_at_one(candidates(1..=50), |_, _| None).is_empty());
    }

    #[test]
    fn a_process_is_told_by_its_program_and_first_argument() {
        for (link, expected) in [
            (paths::AGENT.to_owned(), Executable::Agent(ProgramVersion::Installed)),
            (format!("{} (deleted)", paths::AGENT), Executable::Agent(ProgramVersion::Replaced)),
            (format!("{} (deleted)", paths::HELPER), Executable::Helper),
            ("/bin/sh".to_owned(), Executable::Other),
        ] {
            assert_eq!(executable_of(Path::new(&link)), expected, "{link}");
        }
        for (arguments, role) in [
            (&b"agent\0mint\0"[..], ProgramRole::Job),
            (b"agent\0left-running\x004f2c\0", ProgramRole::Job),
            (b"agent\0standing\0", ProgramRole::Shell),
            (b"agent\0", ProgramRole::Login),
            (b"", ProgramRole::Login),
        ] {
            assert_eq!(role_of(arguments), role);
        }
    }
}
