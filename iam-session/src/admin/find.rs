//! Finds our processes on this host, by the kernel's word. Reads /proc and the session records.
//!
//! A process is ours if it is a user's and its descriptor 2 is a session record, because only root can have given it
//! that descriptor. This holds from before the process is the user's, whichever program it runs. A process is also
//! ours if its program is one of the installed ones. That finds agents that a shell started, and agents of older
//! versions. A user can imitate both, but only with processes of the own uid. Nothing is done to a process of another
//! uid than was meant.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use super::inspect::{self, Candidate, Executable, KnownPrograms, ProgramLook, ProgramRole};
use super::process::{self, AgentProcess, Facts, JobProcess, ProcessIdentity, ProgramVersion, StayKind};
use super::session_record::{self, SessionRecord};
use crate::outcome::warn;
use crate::protocol::Failure;

const ROOT: u32 = 0;

/// Whose processes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessesOf {
    Everybody,
    User(u32),
}

/// How far to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// For processes of logins: nothing of it waits.
    Records,
    /// For all of ours: a user can hold this up for some seconds.
    Programs,
}

/// What there is, oldest first.
#[derive(Debug, Default)]
pub(super) struct FoundProcesses {
    pub(super) agents: Vec<AgentProcess>,
    pub(super) jobs: Vec<JobProcess>,
    /// Users' processes that could not be looked at: an agent that its user started by hand may be among them.
    pub(super) unseen: Vec<JobProcess>,
}

/// Looks once or several times, and at no process again that has held it up.
#[derive(Debug, Default)]
pub(super) struct Finder {
    given_up: HashMap<ProcessIdentity, ProgramLook>,
}

/// A process that may be ours.
#[derive(Debug)]
struct ListedProcess {
    facts: Facts,
    /// By descriptor 2.
    session: Option<String>,
    /// Of that session, if it is this user's.
    record: Option<SessionRecord>,
}

/// What a listed process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProcessKind {
    Agent(StayKind, ProgramVersion),
    Job,
    /// Ours, but which of both is not known.
    UnclearJob,
    Unseen,
    Other,
}

/// All of ours on this host, or those of one user.
pub(super) fn find(whose: ProcessesOf) -> Result<FoundProcesses, Failure> {
    Finder::default().find(whose, Depth::Programs)
}

impl Finder {
    pub(super) fn find(&mut self, whose: ProcessesOf, depth: Depth) -> Result<FoundProcesses, Failure> {
        let listed = list(whose)?;
        let looks = match depth {
            Depth::Records => HashMap::new(),
            Depth::Programs => self.look_at(&listed),
        };
        let mut found = FoundProcesses::default();
        for one in listed {
            let process = one.facts.process;
            let kind = one.kind(looks.get(&process.pid).copied(), depth);
            // Its number may have become another's during the look.
            if kind != ProcessKind::Other && process.lives() {
                found.take(one, kind);
            }
        }
        found.agents.sort_by_key(|agent| agent.process);
        found.jobs.sort_by_key(|job| job.process);
        Ok(found)
    }

    /// Which programs they run: of agents and of what is in no record, by user.
    fn look_at(&mut self, listed: &[ListedProcess]) -> HashMap<i32, ProgramLook> {
        let mut users: BTreeMap<u32, Vec<Candidate>> = BTreeMap::new();
        let is_new = |one: &&ListedProcess| !self.given_up.contains_key(&one.facts.process);
        for one in listed.iter().filter(|one| one.needs_look()).filter(is_new) {
            let known = if one.is_agent() { KnownPrograms::Agent } else { KnownPrograms::Nothing };
            users.entry(one.facts.uid).or_default().push(Candidate { pid: one.facts.process.pid, known });
        }
        let mut looks = inspect::look_at(users.into_values().collect());
        for one in listed.iter().filter(|one| one.needs_look() && !one.is_agent()) {
            let process = one.facts.process;
            let look = looks.entry(process.pid).or_default();
            match self.given_up.get(&process) {
                Some(before) => *look = *before,
                None if look.was_held_up() => {
                    self.given_up.insert(process, *look);
                }
                None => {}
            }
        }
        looks
    }
}

impl FoundProcesses {
    pub(super) fn is_empty(&self) -> bool {
        self.agents.is_empty() && self.jobs.is_empty()
    }

    /// A line a user about what could not be looked at.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut users: BTreeMap<u32, Vec<ProcessIdentity>> = BTreeMap::new();
        for unseen in &self.unseen {
            users.entry(unseen.uid).or_default().push(unseen.process);
        }
        let line = |(uid, processes): (&u32, &Vec<ProcessIdentity>)| {
            let first = processes.first()?.description();
            let more = match processes.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            Some(format!(
                "{first}{more} of uid {uid} cannot be looked at, and may be an agent started by hand"
            ))
        };
        users.iter().filter_map(line).collect()
    }

    fn take(&mut self, one: ListedProcess, kind: ProcessKind) {
        let Facts { process, uid, gid } = one.facts;
        let job = JobProcess { process, uid };
        match kind {
            ProcessKind::Agent(stay, program) => {
                let session = process::socket_session(process.pid, uid);
                self.agents.push(AgentProcess {
                    process,
                    uid,
                    gid,
                    stay,
                    program,
                    session,
                    record: one.record,
                });
            }
            ProcessKind::Job => self.jobs.push(job),
            ProcessKind::UnclearJob => {
                self.jobs.push(job);
                self.unseen.push(job);
            }
            ProcessKind::Unseen => self.unseen.push(job),
            ProcessKind::Other => {}
        }
    }
}

impl ListedProcess {
    fn is_agent(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.agent == Some(self.facts.process.pid))
    }

    /// What is in a record and no agent is a job, whatever it runs.
    fn needs_look(&self) -> bool {
        self.is_agent() || self.record.is_none()
    }

    fn kind(&self, look: Option<ProgramLook>, depth: Depth) -> ProcessKind {
        let look = look.unwrap_or_default();
        if self.is_agent() {
            let program = match look.executable {
                Some(Executable::Agent(program)) => program,
                _ => ProgramVersion::Unknown,
            };
            return ProcessKind::Agent(StayKind::Login, program);
        }
        let of_session = if self.session.is_some() { ProcessKind::Job } else { ProcessKind::Other };
        if self.record.is_some() || depth == Depth::Records {
            return of_session;
        }
        match (look.executable, look.role) {
            (Some(Executable::Agent(program)), Some(ProgramRole::Login)) => {
                ProcessKind::Agent(StayKind::Login, program)
            }
            (Some(Executable::Agent(program)), Some(ProgramRole::Shell)) => {
                ProcessKind::Agent(StayKind::Shell, program)
            }
            (Some(Executable::Agent(_)), Some(ProgramRole::Job)) | (Some(Executable::Helper), _) => {
                ProcessKind::Job
            }
            (Some(Executable::Agent(_)), None) => ProcessKind::UnclearJob,
            (Some(Executable::Other), _) => of_session,
            (None, _) if self.session.is_some() => ProcessKind::UnclearJob,
            (None, _) => ProcessKind::Unseen,
        }
    }
}

/// Root's own processes are left out, but for one that is about to become a user's.
fn list(whose: ProcessesOf) -> Result<Vec<ListedProcess>, Failure> {
    let names =
        fs::read_dir("/proc").map_err(|error| Failure::failed(format!("cannot read /proc: {error}")))?;
    let pids = names.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let of_process = |pid: i32| -> Option<(Facts, Option<String>)> {
        let facts = Facts::of(pid).filter(|facts| facts.uid == ROOT || whose.includes(facts.uid))?;
        let session = process::session_of(pid);
        (facts.uid != ROOT || session.is_some()).then_some((facts, session))
    };
    let processes: Vec<_> = pids.filter_map(of_process).collect();
    // After the processes: while one lives its record stays.
    let records: HashMap<String, SessionRecord> = match session_record::live() {
        Ok(records) => records.into_iter().map(|record| (record.session.clone(), record)).collect(),
        Err(error) => {
            warn(&format!("{error}: where logins come from is not known"));
            HashMap::new()
        }
    };
    // Of several processes each has the record.
    let of_session = |(mut facts, session): (Facts, Option<String>)| -> Option<ListedProcess> {
        let record = session.as_ref().and_then(|session| records.get(session)).cloned();
        facts.uid = user_of(&facts, record.as_ref())?;
        let record = record.filter(|record| record.uid == facts.uid);
        whose.includes(facts.uid).then_some(ListedProcess { facts, session, record })
    };
    Ok(processes.into_iter().filter_map(of_session).collect())
}

/// Whose a process is. Of root's own it is the one that is to become the agent: its number is in the record before the
/// record is its descriptor. A user can give what looks like that descriptor to other programs that run as root.
fn user_of(facts: &Facts, record: Option<&SessionRecord>) -> Option<u32> {
    match facts.uid {
        ROOT => Some(record.filter(|record| record.agent == Some(facts.process.pid))?.uid),
        uid => Some(uid),
    }
}

impl ProcessesOf {
    fn includes(self, uid: u32) -> bool {
        match self {
            Self::Everybody => true,
            Self::User(wanted) => uid == wanted,
        }
    }
}

impl ProgramLook {
    fn was_held_up(self) -> bool {
        match self.executable {
            None => true,
            Some(Executable::Agent(_)) => self.role.is_none(),
            Some(Executable::Helper | Executable::Other) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::session_record::LoginState;
    use super::*;

    const ID: &str = "4f2c0000000000000000000000000001";

    fn record(agent: i32) -> SessionRecord {
        let (user, service, remote) = ("alice".into(), "sshd".into(), "".into());
        SessionRecord {
            session: ID.into(),
            user,
            uid: 1000,
            service,
            remote,
            agent: Some(agent),
            login: LoginState::Open,
        }
    }

    fn listed(record: Option<SessionRecord>, session: Option<&str>) -> ListedProcess {
        let facts = Facts { process: ProcessIdentity { start: 0, pid: 42 }, uid: 1000, gid: 1000 };
        ListedProcess { facts, session: session.map(str::to_owned), record }
    }

    fn look(executable: Option<Executable>, role: Option<ProgramRole>) -> Option<ProgramLook> {
        Some(ProgramLook { executable, role })
    }

    #[test]
    fn what_a_record_names_is_the_agent_whichever_program_it_runs() {
        let agent = listed(Some(record(42)), Some(ID));
        for (look, program) in [
            (None, ProgramVersion::Unknown),
            (look(None, None), ProgramVersion::Unknown),
            (look(Some(Executable::Other), None), ProgramVersion::Unknown),
            (look(Some(Executable::Agent(ProgramVersion::Replaced)), None), ProgramVersion::Replaced),
        ] {
            for depth in [Depth::Records, Depth::Programs] {
                assert_eq!(agent.kind(look, depth), ProcessKind::Agent(StayKind::Login, program));
            }
        }
        // The others of the session work for it, and nobody needs to look at them.
        let job = listed(Some(record(41)), Some(ID));
        assert!(!job.needs_look());
        assert_eq!(job.kind(look(Some(Executable::Other), None), Depth::Programs), ProcessKind::Job);
    }

    #[test]
    fn without_a_record_the_program_counts_and_what_hangs_is_told() {
        let agent = Some(Executable::Agent(ProgramVersion::Installed));
        for (executable, role, by_hand, of_session) in [
            (
                agent,
                Some(ProgramRole::Shell),
                ProcessKind::Agent(StayKind::Shell, ProgramVersion::Installed),
                None,
            ),
            (
                agent,
                Some(ProgramRole::Login),
                ProcessKind::Agent(StayKind::Login, ProgramVersion::Installed),
                None,
            ),
            (agent, Some(ProgramRole::Job), ProcessKind::Job, None),
            (agent, None, ProcessKind::UnclearJob, None),
            (Some(Executable::Helper), None, ProcessKind::Job, None),
            (Some(Executable::Other), None, ProcessKind::Other, Some(ProcessKind::Job)),
            (None, None, ProcessKind::Unseen, Some(ProcessKind::UnclearJob)),
        ] {
            let seen = look(executable, role);
            assert_eq!(listed(None, None).kind(seen, Depth::Programs), by_hand, "{seen:?}");
            assert_eq!(listed(None, Some(ID)).kind(seen, Depth::Programs), of_session.unwrap_or(by_hand));
        }
        assert_eq!(listed(None, None).kind(None, Depth::Records), ProcessKind::Other);
        assert_eq!(listed(None, Some(ID)).kind(None, Depth::Records), ProcessKind::Job);
    }

    #[test]
    fn of_roots_processes_only_the_agent_to_be_is_a_users_whatever_the_descriptor_says() {
        let of = |uid| Facts { process: ProcessIdentity { start: 0, pid: 42 }, uid, gid: 0 };
        assert_eq!(user_of(&of(ROOT), Some(&record(42))), Some(1000));
        assert_eq!(user_of(&of(ROOT), Some(&record(41))), None);
        assert_eq!(user_of(&of(ROOT), None), None);
        assert_eq!(user_of(&of(1001), Some(&record(42))), Some(1001));
    }

    #[test]
    fn what_could_not_be_looked_at_is_a_line_a_user() {
        let unseen = |uid, pid| JobProcess { process: ProcessIdentity { start: 0, pid }, uid };
        let found = FoundProcesses {
            unseen: vec![unseen(7, i32::MAX), unseen(8, i32::MAX), unseen(7, 1)],
            ..FoundProcesses::default()
        };
        let lines = found.warnings();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains(" and 1 more of uid 7 cannot be looked at"), "{lines:?}");
        assert!(lines[1].starts_with(&format!("process {} (state unknown) of uid 8", i32::MAX)), "{lines:?}");
    }

    #[test]
    fn this_process_is_none_of_ours() {
        let me = std::process::id().try_into().unwrap();
        let listed =
            ListedProcess { facts: Facts::of(me).unwrap(), session: process::session_of(me), record: None };
        assert_eq!(listed.session, None);
        assert_eq!(listed.kind(look(Some(Executable::Other), None), Depth::Programs), ProcessKind::Other);
    }
}
