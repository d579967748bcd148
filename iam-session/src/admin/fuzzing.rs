//! What the fuzzers check of root's tool, where it shows what a user's agent says of itself. Touches nothing.

use super::metrics::{self, Host};
use super::process::{AgentProcess, ProcessIdentity, ProgramVersion, StayKind};
use super::sessions::{self, SeenAgent};
use crate::protocol::Status;

const NOW: u64 = 1_800_000_000;

fn seen(told: Status) -> SeenAgent {
    let agent = AgentProcess {
        process: ProcessIdentity { pid: 42, start: 0 },
        uid: 1000,
        gid: 1000,
        stay: StayKind::Login,
        program: ProgramVersion::Installed,
        session: None,
        record: None,
    };
    SeenAgent { agent, user: "alice".into(), told: Some(told) }
}

/// An answer of an agent: it adds no line to a table, no number that is root's, and nothing that a terminal obeys.
pub fn status(data: &[u8]) {
    let Ok(told) = serde_json::from_slice::<Status>(data) else { return };
    let seen = [seen(told)];
    let table = sessions::table(&seen, NOW);
    assert_eq!(table.split('\n').count(), 3, "{table:?}");
    let metrics = metrics::render(&seen, &Host { drained: 0, revoked: None, keys: 0 }, NOW);
    for text in [&table, &metrics] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
    for line in metrics.lines().filter(|line| !line.starts_with("# ")) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_default();
        assert!(series.starts_with("iam_session_") && value.parse::<u64>().is_ok(), "{line:?}");
        let told = series.starts_with("iam_session_told_");
        assert!(told || !series.contains('{') || series.starts_with("iam_session_agents{kind="), "{line:?}");
    }
    let users = metrics.lines().filter(|line| line.starts_with("iam_session_users"));
    assert_eq!(users.collect::<Vec<_>>(), ["iam_session_users 1"]);
    let json = seen.each_ref().map(SeenAgent::to_json);
    assert!(!json.map(|json| json.to_string()).concat().contains('\n'));
}
