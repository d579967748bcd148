//! `iam-session-admin sessions`: lists every agent that lives. Touches what `find` and `agent_status` touch.

use std::collections::{BTreeSet, HashMap};

use clap::Parser;
use serde_json::{Value, json};

use super::agent_status::{self, AgentStatuses};
use super::find::{self, FoundProcesses, ProcessesOf};
use super::process::{AgentProcess, ProgramVersion, StayKind};
use super::say;
use super::session_record::{self, LoginState, SessionRecord};
use super::user::{self, UserEntry};
use crate::clock::unix_time;
use crate::outcome::{Exit, Outcome, warn};
use crate::protocol::{Failure, Status};
use crate::text::{duration, printable, printable_json, utc};

/// List the agents that live, oldest first.
#[derive(Debug, Parser)]
pub(super) struct SessionsArgs {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// What is known of one agent: by the kernel and the module's record, and by its own word.
#[derive(Debug)]
pub(super) struct SeenAgent {
    pub(super) agent: AgentProcess,
    pub(super) user: String,
    pub(super) told: Option<Status>,
}

/// Why an agent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionKind {
    /// A login lasts.
    Login,
    /// Its login has ended, or has no record.
    Past,
    /// A shell that ran `iam-session start`.
    Shell,
}

const HEAD: [&str; 7] = ["USER", "SESSION", "KIND", "FROM", "SINCE", "VERSION*", "TOKEN*"];
/// Enough to tell sessions apart, and to find the whole in the log.
const SHORT_ID: usize = 12;

pub(super) fn run(args: &SessionsArgs) -> Outcome {
    let seen = all()?;
    if args.json {
        let sessions: Vec<Value> = seen.iter().map(SeenAgent::to_json).collect();
        say(&printable_json(&Value::from(sessions).to_string()))?;
    } else if seen.is_empty() {
        say("no agent lives on this host")?;
    } else {
        say(&table(&seen, unix_time()))?;
    }
    Ok(Exit::Done)
}

/// All agents, with what they say; records of sessions that have ended are swept on the way.
pub(super) fn all() -> Result<Vec<SeenAgent>, Failure> {
    let found = find::find(ProcessesOf::Everybody)?;
    found.warnings().iter().for_each(|line| warn(line));
    let told = agent_status::ask(&found.agents);
    Ok(join(found.agents, told))
}

fn join(agents: Vec<AgentProcess>, mut told: AgentStatuses) -> Vec<SeenAgent> {
    let mut names = HashMap::new();
    let of_agent = |agent: AgentProcess| {
        let told = agent.session.as_ref().and_then(|session| told.remove(&session.id));
        let user = match &agent.record {
            Some(record) => record.user.clone(),
            None => names.entry(agent.uid).or_insert_with(|| name_of(agent.uid)).clone(),
        };
        SeenAgent { agent, user, told }
    };
    agents.into_iter().map(of_agent).collect()
}

fn name_of(uid: u32) -> String {
    let account = user::find(&uid.to_string()).ok().flatten();
    account.map_or_else(|| uid.to_string(), |account| account.name)
}

/// What runs for one user, by name or uid.
pub(super) fn found_of(user: &str) -> Result<(String, FoundProcesses), Failure> {
    let (account, uid) = who(user)?;
    let uid = uid.ok_or_else(|| {
        Failure::failed(format!(
            "there is no user '{user}': where the name service has forgotten one, agents may live"
        ))
        .advise("give a user name or the uid; 'iam-session-admin sessions' lists the agents")
    })?;
    let name = account.map_or_else(|| user.to_owned(), |account| account.name);
    Ok((name, find::find(ProcessesOf::User(uid))?))
}

/// Who is meant, and the uid. A user whom the name service has forgotten, or does not tell of now, may have agents
/// still: the uid is what was given, or what root's own records of sessions have for the name.
pub(super) fn who(user: &str) -> Result<(Option<UserEntry>, Option<u32>), Failure> {
    let found = user::find(user);
    if let Ok(Some(account)) = found {
        let uid = account.uid;
        return Ok((Some(account), Some(uid)));
    }
    let uid = user.parse().ok().or_else(|| recorded(&session_record::live().unwrap_or_default(), user));
    match (found, uid) {
        (Err(failure), None) => Err(failure),
        (_, uid) => Ok((None, uid)),
    }
}

/// Of a name that has meant two users nothing is known.
fn recorded(records: &[SessionRecord], user: &str) -> Option<u32> {
    let mut uids = records.iter().filter(|record| record.user == user).map(|record| record.uid);
    let first = uids.next()?;
    uids.all(|uid| uid == first).then_some(first)
}

impl SeenAgent {
    pub(super) fn kind(&self) -> SessionKind {
        match (self.agent.stay, &self.agent.record) {
            (StayKind::Shell, _) => SessionKind::Shell,
            (StayKind::Login, Some(record)) if record.login == LoginState::Open => SessionKind::Login,
            (StayKind::Login, _) => SessionKind::Past,
        }
    }

    /// By root's record; an agent that a shell started is in none.
    fn session_id(&self) -> Option<&str> {
        let recorded = self.agent.record.as_ref().map(|record| record.session.as_str());
        recorded.or_else(|| self.agent.session.as_ref().map(|session| session.id.as_str()))
    }

    /// When the token of the file ends, if its agent says that there is one.
    pub(super) fn token_ends(&self) -> Option<u64> {
        self.told.as_ref()?.default_account()?.token_expires_at
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { agent, user, told } = self;
        let record = &agent.record;
        json!({
            "user": user,
            "uid": agent.uid,
            "session": self.session_id(),
            "kind": self.kind().word(),
            "service": record.as_ref().map(|record| &record.service),
            "remote": record.as_ref().map(|record| &record.remote).filter(|remote| !remote.is_empty()),
            "since": agent.process.started_at(),
            "pid": agent.process.pid,
            "program": agent.program.word(),
            "told": told.as_ref().map(|status| json!({
                "version": status.version,
                "token_expires_at": self.token_ends(),
                "trouble": trouble(status),
                "log_unreachable": status.log_unreachable,
                "accounts": status.accounts,
            })),
        })
    }

    fn row(&self, now: u64) -> [String; 7] {
        let session = self.session_id().and_then(|id| id.get(..SHORT_ID));
        let record = self.agent.record.as_ref();
        let remote = record.map(|record| record.remote.as_str()).filter(|text| !text.is_empty());
        let replaced = if self.agent.program == ProgramVersion::Replaced { " (replaced)" } else { "" };
        let version = self.told.as_ref().map_or("?", |status| status.version.as_str());
        let row = [
            self.user.clone(),
            session.unwrap_or("-").to_owned(),
            self.kind().word().to_owned(),
            remote.unwrap_or("-").to_owned(),
            utc(self.agent.process.started_at()),
            format!("{version}{replaced}"),
            self.token(now),
        ];
        row.map(|cell| printable(&cell))
    }

    fn token(&self, now: u64) -> String {
        let Some(status) = &self.told else { return "no answer".to_owned() };
        match self.token_ends().filter(|end| *end > now) {
            Some(end) => format!("{} left", duration(end - now)),
            None => trouble(status).map_or_else(|| "none".to_owned(), |trouble| format!("none: {trouble}")),
        }
    }
}

impl SessionKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Past => "past",
            Self::Shell => "shell",
        }
    }
}

fn trouble(status: &Status) -> Option<&str> {
    let of_account = || Some(&status.default_account()?.last_error.as_ref()?.failure);
    status.trouble.as_ref().or_else(of_account).map(|failure| failure.error.as_str())
}

/// Columns as wide as what is in them, but for the last one.
pub(super) fn table(seen: &[SeenAgent], now: u64) -> String {
    let rows: Vec<[String; 7]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(seen.iter().map(|seen| seen.row(now))).collect();
    let width = |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max();
    let widths: Vec<usize> =
        (0..HEAD.len() - 1).map(|column| width(column).unwrap_or(0)).chain([0]).collect();
    let line = |row: &[String; 7]| -> String {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ")
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    let mut foot = "* as the user's own agent says".to_owned();
    if seen.iter().any(|seen| seen.told.is_none()) {
        foot += "; no answer: it is busy or stopped, or SELinux keeps root from its socket";
    }
    let unlogged =
        seen.iter().filter(|seen| seen.told.as_ref().is_some_and(|it| it.log_unreachable.is_some()));
    let users: BTreeSet<&str> = unlogged.map(|seen| seen.user.as_str()).collect();
    if !users.is_empty() {
        let users = printable(&users.into_iter().collect::<Vec<_>>().join(" "));
        foot += &format!("\nagents of these users cannot write to the system log: {users}");
    }
    format!("{}\n{foot}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::process::{ProcessIdentity, ProcessSession};
    use crate::paths::RuntimePaths;

    const ID: &str = "4f2c0000000000000000000000000001";

    fn agent(stay: StayKind) -> AgentProcess {
        AgentProcess {
            process: ProcessIdentity { pid: 42, start: 0 },
            uid: 1000,
            gid: 1000,
            stay,
            program: ProgramVersion::Installed,
            session: Some(ProcessSession {
                id: ID.into(),
                places: RuntimePaths::new("/run/user/1000", 1000),
            }),
            record: None,
        }
    }

    fn record(uid: u32) -> SessionRecord {
        let (user, service, remote) = ("alice".into(), "sshd".into(), "a\u{1b}[2J".into());
        SessionRecord {
            session: ID.into(),
            user,
            uid,
            service,
            remote,
            agent: Some(42),
            login: LoginState::Open,
        }
    }

    fn status(token_expires_at: Option<u64>) -> Status {
        serde_json::from_value(json!({
            "session": ID, "version": "0.1.0", "pid": 42, "user": "alice", "token_file": "/x",
            "default_account": "wlcg",
            "accounts": [{
                "name": "wlcg", "issuer": "https://i.example/", "scope": "", "session_scope": "",
                "token_expires_at": token_expires_at,
            }],
        }))
        .unwrap()
    }

    #[test]
    fn an_agent_is_past_when_its_login_has_been_closed_and_its_record_goes_on_naming_it() {
        let told = |end| AgentStatuses::from([(ID.to_owned(), status(end))]);
        let one = AgentProcess { record: Some(record(1000)), ..agent(StayKind::Login) };
        let seen = join(vec![one], told(Some(160)));
        assert_eq!(
            (seen[0].kind(), seen[0].user.as_str(), seen[0].token(100)),
            (SessionKind::Login, "alice", "1 min left".into())
        );
        let closed = SessionRecord { login: LoginState::Closed, ..record(1000) };
        // As one that was stopped before it had opened anything.
        let past = AgentProcess { record: Some(closed), session: None, ..agent(StayKind::Login) };
        let seen = join(vec![past], told(None));
        assert_eq!((seen[0].kind(), seen[0].session_id()), (SessionKind::Past, Some(ID)));
        assert_eq!(join(vec![agent(StayKind::Login)], AgentStatuses::new())[0].kind(), SessionKind::Past);
        assert_eq!(join(vec![agent(StayKind::Shell)], told(None))[0].kind(), SessionKind::Shell);
    }

    #[test]
    fn a_name_that_only_a_record_has_is_known_by_it() {
        assert_eq!(recorded(&[record(1000), record(1000)], "alice"), Some(1000));
        assert_eq!(recorded(&[record(1000)], "bob"), None);
        assert_eq!(recorded(&[record(1000), record(1001)], "alice"), None);
    }

    #[test]
    fn what_others_say_moves_no_cursor() {
        let one = AgentProcess { record: Some(record(1000)), ..agent(StayKind::Login) };
        let seen = join(vec![one], AgentStatuses::from([(ID.to_owned(), status(Some(50)))]));
        let table = table(&seen, 100);
        assert!(
            table.contains("a\\x1b[2J") && table.contains("4f2c00000000  login") && table.contains("0.1.0"),
            "{table}"
        );
        assert!(table.lines().nth(1).unwrap().ends_with("  none"), "{table}");
        assert!(table.ends_with("own agent says"), "{table}");
        let silent = super::table(&join(vec![agent(StayKind::Login)], AgentStatuses::new()), 100);
        assert!(
            silent.contains("  no answer\n") && silent.ends_with("or SELinux keeps root from its socket"),
            "{silent}"
        );
    }

    #[test]
    fn users_whose_agents_do_not_reach_the_log_are_named_once() {
        let one = || AgentProcess { record: Some(record(1000)), ..agent(StayKind::Login) };
        let unlogged = Status { log_unreachable: Some("Permission denied".into()), ..status(Some(160)) };
        let mut seen = join(vec![one(), one()], AgentStatuses::from([(ID.to_owned(), unlogged)]));
        assert!(table(&seen, 100).ends_with("\nagents of these users cannot write to the system log: alice"));
        assert_eq!(seen[0].to_json()["told"]["log_unreachable"], "Permission denied");
        seen.truncate(0);
        assert!(!table(&seen, 100).contains("system log"));
    }
}
