//! Ends everything that works for a revoked user: agents, mints and helpers. Sends signals. Waits at most some seconds
//! for anything that the user could hold up.
//!
//! All are killed, and none is continued first. A stopped mint that is continued would act, and one that lives through
//! the revocation could still ask the issuer for a token. A rotation that this breaks off is no loss for a revoked
//! user.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::admin::find::{Depth, Finder, FoundProcesses, ProcessesOf};
use crate::admin::process::{AgentProcess, JobProcess, ProcessIdentity};
use crate::clock::boot_time;
use crate::protocol::Failure;

/// A login that had read the list before it was changed has its agent by then; the module waits no longer for one.
const LAST_LOGIN: Duration = Duration::from_millis(300);
/// What was killed is gone at once, unless the kernel keeps it.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// More lists than one, because between two of its reads a process may have started another.
const EMPTY_LISTS: u32 = 2;
/// So many of those that do not end are described.
const MAX_NAMED: usize = 10;

/// What has become of a user's processes.
#[derive(Debug, Default)]
pub(super) struct EndedProcesses {
    /// As they were when they lived.
    pub(super) agents: Vec<AgentProcess>,
    /// Mints and helpers.
    pub(super) jobs: usize,
    pub(super) trouble: Vec<Failure>,
}

/// Ends what is found without waiting, for the user could hold up the rest. Before the user is listed: an agent that lives
/// obeys the list at once, and takes along what it has left of the tokens that were given out.
pub(super) fn begin(uid: u32) -> ProcessEnding {
    let first = Finder::default().find(ProcessesOf::User(uid), Depth::Records).unwrap_or_default();
    let mut ending = ProcessEnding::default();
    ending.kill(&first, &mut end);
    ending
}

/// Ends the rest, and those of logins that were on their way when the user was listed.
pub(super) fn end_all(mut ending: ProcessEnding, uid: u32) -> EndedProcesses {
    let mut finder = Finder::default();
    // A login may have begun before the user was listed.
    let first = finder.find(ProcessesOf::User(uid), Depth::Records).unwrap_or_default();
    ending.kill(&first, &mut end);
    let mut began = None;
    ending.until_none(
        || finder.find(ProcessesOf::User(uid), Depth::Programs),
        end,
        || {
            thread::sleep(PAUSE);
            let now = boot_time();
            now - *began.get_or_insert(now)
        },
    )
}

fn end(job: JobProcess) -> Result<(), Failure> {
    job.process.signal(job.uid, Signal::SIGKILL).map(|_| ())
}

/// Each process once, however often it was listed.
#[derive(Debug, Default)]
pub(super) struct ProcessEnding {
    agents: HashMap<ProcessIdentity, AgentProcess>,
    jobs: HashSet<ProcessIdentity>,
}

impl ProcessEnding {
    fn note(&mut self, found: &FoundProcesses) {
        // One that is ending has let go of its lock, by which its directory was known.
        let is_news =
            |agent: &&AgentProcess| agent.session.is_some() || !self.agents.contains_key(&agent.process);
        let news: Vec<_> =
            found.agents.iter().filter(is_news).map(|agent| (agent.process, agent.clone())).collect();
        self.agents.extend(news);
        // What was told to be an agent stays one when its record has gone.
        self.jobs
            .extend(found.jobs.iter().map(|job| job.process).filter(|job| !self.agents.contains_key(job)));
    }

    fn kill(
        &mut self,
        found: &FoundProcesses,
        kill: &mut impl FnMut(JobProcess) -> Result<(), Failure>,
    ) -> Vec<Failure> {
        let agents = found.agents.iter().map(|agent| JobProcess { process: agent.process, uid: agent.uid });
        self.note(found);
        agents.chain(found.jobs.iter().copied()).filter_map(|job| kill(job).err()).collect()
    }

    /// `pause` tells how much time has passed since its first call.
    fn until_none(
        mut self,
        mut find: impl FnMut() -> Result<FoundProcesses, Failure>,
        mut kill: impl FnMut(JobProcess) -> Result<(), Failure>,
        mut pause: impl FnMut() -> Duration,
    ) -> EndedProcesses {
        let (mut empty, mut elapsed) = (0, Duration::ZERO);
        let trouble = loop {
            let found = match find() {
                Ok(found) => found,
                Err(failure) => break vec![failure],
            };
            empty = if found.is_empty() { empty + 1 } else { 0 };
            if empty >= EMPTY_LISTS && elapsed >= LAST_LOGIN {
                break found.warnings().into_iter().map(unseen).collect();
            }
            let mut trouble = self.kill(&found, &mut kill);
            if empty == 0 && elapsed >= PATIENCE {
                trouble.push(left(&found));
                trouble.extend(found.warnings().into_iter().map(unseen));
                break trouble;
            }
            elapsed = pause();
        };
        EndedProcesses { agents: self.agents.into_values().collect(), jobs: self.jobs.len(), trouble }
    }
}

fn left(found: &FoundProcesses) -> Failure {
    let agents = found.agents.iter().map(|agent| agent.process);
    let all: Vec<ProcessIdentity> = agents.chain(found.jobs.iter().map(|job| job.process)).collect();
    let mut named: Vec<String> = all.iter().take(MAX_NAMED).map(|process| process.description()).collect();
    if let Some(more) = all.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        named.push(format!("{more} more"));
    }
    Failure::failed(format!("killed, but not gone, or started again and again: {}", named.join(", "))).advise("one in state D ends when what it waits for answers, a frozen one when its cgroup is thawed; then run it again")
}

fn unseen(line: String) -> Failure {
    Failure::failed(line).advise("end what holds it, and run it again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::process::{ProgramVersion, StayKind};

    fn identity(pid: i32) -> ProcessIdentity {
        // No process has such a number, for none can be described.
        ProcessIdentity { start: 0, pid: i32::MAX - pid }
    }

    fn found(agents: &[i32], jobs: &[i32]) -> FoundProcesses {
        let agent = |pid: &i32| AgentProcess {
            process: identity(*pid),
            uid: 1000,
            gid: 1000,
            stay: StayKind::Login,
            program: ProgramVersion::Installed,
            session: None,
            record: None,
        };
        let job = |pid: &i32| JobProcess { process: identity(*pid), uid: 1000 };
        FoundProcesses {
            agents: agents.iter().map(agent).collect(),
            jobs: jobs.iter().map(job).collect(),
            unseen: Vec::new(),
        }
    }

    /// What comes of these lists, one after the other and the last one for ever, and how often each was killed.
    fn ended(lists: Vec<FoundProcesses>) -> (EndedProcesses, Vec<i32>, u32) {
        let (mut killed, mut pauses) = (Vec::new(), 0);
        let mut lists = lists.into_iter().peekable();
        let mut last = None;
        let mut find = || -> Result<FoundProcesses, Failure> {
            let list = lists.next().or_else(|| last.take()).unwrap_or_default();
            if lists.peek().is_none() {
                last = Some(FoundProcesses {
                    agents: list.agents.clone(),
                    jobs: list.jobs.clone(),
                    unseen: list.unseen.clone(),
                });
            }
            Ok(list)
        };
        let kill = |job: JobProcess| {
            killed.push(i32::MAX - job.process.pid);
            Ok(())
        };
        let pause = || {
            pauses += 1;
            Duration::from_millis(100) * (pauses - 1)
        };
        let ended = ProcessEnding::default().until_none(&mut find, kill, pause);
        (ended, killed, pauses)
    }

    #[test]
    fn all_are_killed_until_two_lists_in_a_row_are_empty() {
        let lists =
            vec![found(&[7], &[8]), found(&[], &[]), found(&[9], &[8]), found(&[], &[8]), found(&[], &[])];
        let (ended, killed, _) = ended(lists);
        assert_eq!((ended.agents.len(), ended.jobs), (2, 1));
        assert!(ended.trouble.is_empty());
        assert_eq!(killed, [7, 8, 9, 8, 8]);
    }

    #[test]
    fn what_ended_by_itself_when_the_user_was_listed_counts() {
        let mut ending = ProcessEnding::default();
        ending.note(&found(&[7], &[8]));
        let mut pauses = 0;
        let pause = || {
            pauses += 1;
            Duration::from_secs(pauses)
        };
        let ended = ending.until_none(|| Ok(found(&[], &[])), |_| panic!("nothing is left to kill"), pause);
        assert_eq!((ended.agents.len(), ended.jobs), (1, 1));
    }

    #[test]
    fn a_login_that_was_on_its_way_is_waited_for() {
        let (ended, killed, pauses) = ended(vec![found(&[], &[])]);
        assert!(ended.trouble.is_empty() && killed.is_empty());
        assert_eq!(pauses, 4, "three times 100 ms, and the beginning");
    }

    #[test]
    fn what_does_not_end_is_named_in_the_end_and_the_others_are_counted() {
        let jobs: Vec<i32> = (1..=12).collect();
        let (ended, killed, pauses) = ended(vec![found(&[20], &[]), found(&[], &jobs)]);
        assert_eq!((ended.agents.len(), ended.jobs, pauses), (1, 12, 51));
        let error = &ended.trouble[0].error;
        assert!(error.contains(&format!("process {} (state unknown), ", i32::MAX - 1)), "{error}");
        assert!(error.ends_with(", 2 more"), "{error}");
        assert!(killed.len() > 12 * 40);
    }

    #[test]
    fn what_could_not_be_looked_at_is_told_though_all_else_has_ended() {
        let job = JobProcess { process: identity(1), uid: 1000 };
        let lists = vec![FoundProcesses { unseen: vec![job], ..FoundProcesses::default() }];
        let (ended, killed, _) = ended(lists);
        assert!(killed.is_empty());
        assert!(ended.trouble[0].error.contains("of uid 1000 cannot be looked at"), "{:?}", ended.trouble);
    }
}
