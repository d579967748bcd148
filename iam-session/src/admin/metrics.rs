//! `iam-session-admin metrics`: numbers for node_exporter's textfile collector. Writes one file.
//!
//! Root knows some numbers by itself (agents, drained, revoked, keys). Others are what users' agents say of
//! themselves, which may be wrong: the names of those metrics begin with `iam_session_told_`.

use crate::protocol::Failure;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;

use super::file::{self, FileLook};
use super::sessions::{self, SeenAgent};
use super::{revoked_file, say};
use crate::clock::unix_time;
use crate::host::drain::is_drained;
use crate::host::node_keys;
use crate::outcome::{Exit, Outcome};
use crate::protocol::{Account, FailureKind};

/// Write numbers for node_exporter's textfile collector.
#[derive(Debug, Parser)]
pub(super) struct MetricsArgs {
    /// The file, in the collector's directory and with a name that ends in .prom; '-' is standard output
    #[arg(long, value_name = "FILE")]
    textfile: PathBuf,
}

/// Enrolments that end sooner are counted as ending soon, as `status` and the login's hint do.
const SOON: u64 = 7 * 86_400;
/// An issuer is any text that a user's agent says: so many are told apart, and the rest is one.
const MAX_ISSUERS: usize = 20;
const MAX_VERSIONS: usize = 10;
const MAX_LABEL: usize = 200;
const OTHERS: &str = "others";

/// Labels, each a name and a value, and the number.
type Samples = BTreeMap<Vec<(&'static str, String)>, u64>;

pub(super) fn run(args: &MetricsArgs) -> Outcome {
    let text = render(&sessions::all()?, &Host::look(), unix_time());
    if args.textfile.as_os_str() == "-" {
        say(text.trim_end())?;
        return Ok(Exit::Done);
    }
    if args.textfile.extension().is_none_or(|extension| extension != "prom") {
        let error =
            format!("{} does not end in .prom: the collector would not read it", args.textfile.display());
        return Err(Failure::failed(error).into());
    }
    file::replace(&args.textfile, text.as_bytes(), FileLook::PUBLIC)?;
    Ok(Exit::Done)
}

/// What root knows besides the agents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) drained: u64,
    /// `None` where the list cannot be trusted: then nobody is served.
    pub(super) revoked: Option<u64>,
    pub(super) keys: u64,
}

impl Host {
    fn look() -> Self {
        let keys = node_keys::files().unwrap_or_default();
        Self {
            drained: is_drained().into(),
            revoked: revoked_file::count().ok().and_then(|users| users.try_into().ok()),
            keys: keys.iter().filter(|file| file.read().is_ok()).count().try_into().unwrap_or(u64::MAX),
        }
    }
}

pub(super) fn render(seen: &[SeenAgent], host: &Host, now: u64) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, samples: Samples| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            text.push_str(&format!("{name}{labels} {value}\n"));
        }
    };
    let one = |value| Samples::from([(Vec::new(), value)]);
    gauge(
        "iam_session_agents",
        "Agents that live, by what they live for and whether their program is the installed one.",
        agents(seen),
    );
    gauge("iam_session_users", "Users with an agent.", one(users(seen)));
    gauge("iam_session_drained", "Whether logins get no agents.", one(host.drained));
    gauge("iam_session_revoked_users", "Users listed as revoked.", host.revoked.map(one).unwrap_or_default());
    gauge(
        "iam_session_revoked_readable",
        "Whether that list can be trusted; where not, nobody is served.",
        one(host.revoked.is_some().into()),
    );
    gauge("iam_session_node_keys", "Node keys that can be used.", one(host.keys));
    gauge(
        "iam_session_told_versions",
        "Agents by the version that they say they are; those that do not answer have none.",
        versions(seen),
    );
    gauge(
        "iam_session_told_without_token",
        "Agents that say they have no token, or do not answer.",
        one(without_token(seen, now)),
    );
    gauge(
        "iam_session_told_errors",
        "Users' accounts by the kind of their last error, as their agents say.",
        errors(seen),
    );
    gauge(
        "iam_session_told_ending_enrolments",
        "Users' enrolments that end within 7 days, as their agents say.",
        one(ending(seen, now)),
    );
    text
}

fn count(labels: impl Iterator<Item = Vec<(&'static str, String)>>) -> Samples {
    let mut samples = Samples::new();
    labels.for_each(|labels| *samples.entry(labels).or_default() += 1);
    samples
}

fn agents(seen: &[SeenAgent]) -> Samples {
    count(seen.iter().map(|seen| {
        vec![("kind", seen.kind().word().to_owned()), ("program", seen.agent.program.word().to_owned())]
    }))
}

fn users(seen: &[SeenAgent]) -> u64 {
    let mut uids: Vec<u32> = seen.iter().map(|seen| seen.agent.uid).collect();
    uids.sort_unstable();
    uids.dedup();
    uids.len().try_into().unwrap_or(u64::MAX)
}

fn versions(seen: &[SeenAgent]) -> Samples {
    let version =
        |seen: &SeenAgent| seen.told.as_ref().map_or_else(|| "none".to_owned(), |told| told.version.clone());
    let versions: Vec<String> = seen.iter().map(version).collect();
    let known = greatest(&versions, MAX_VERSIONS);
    count(versions.into_iter().map(|version| vec![("version", known(version))]))
}

fn without_token(seen: &[SeenAgent], now: u64) -> u64 {
    let none = seen.iter().filter(|seen| seen.token_ends().is_none_or(|end| end <= now));
    none.count().try_into().unwrap_or(u64::MAX)
}

/// The agents of one user say the same: one of them counts.
fn accounts(seen: &[SeenAgent]) -> Vec<&Account> {
    let mut of_users: BTreeMap<(u32, &str), &Account> = BTreeMap::new();
    for seen in seen {
        for account in seen.told.iter().flat_map(|status| &status.accounts) {
            of_users.insert((seen.agent.uid, &account.name), account);
        }
    }
    of_users.into_values().collect()
}

fn errors(seen: &[SeenAgent]) -> Samples {
    let accounts = accounts(seen);
    let failing: Vec<(String, FailureKind)> = accounts
        .iter()
        .filter_map(|account| Some((account.issuer.clone(), account.last_error.as_ref()?.failure.kind)))
        .collect();
    let issuers: Vec<String> = failing.iter().map(|(issuer, _)| issuer.clone()).collect();
    let known = greatest(&issuers, MAX_ISSUERS);
    count(failing.into_iter().map(|(issuer, kind)| vec![("issuer", known(issuer)), ("kind", word(kind))]))
}

/// Each that is among the most frequent, cut where it is too long; the others are one.
fn greatest(all: &[String], limit: usize) -> impl Fn(String) -> String + use<> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().for_each(|one| *counts.entry(one).or_default() += 1);
    let mut counts: Vec<(usize, &str)> = counts.into_iter().map(|(one, count)| (count, one)).collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    let known: Vec<String> = counts.into_iter().take(limit).map(|(_, one)| one.to_owned()).collect();
    move |one| if known.contains(&one) { one.chars().take(MAX_LABEL).collect() } else { OTHERS.to_owned() }
}

fn ending(seen: &[SeenAgent], now: u64) -> u64 {
    let ends = accounts(seen).into_iter().filter_map(|account| account.enrollment_ends_at);
    ends.filter(|end| *end <= now + SOON).count().try_into().unwrap_or(u64::MAX)
}

/// As in the protocol.
fn word(kind: FailureKind) -> String {
    serde_json::to_value(kind).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
}

/// Of the text format's three escapes none is left out; other controls are shown as such.
fn escaped(value: &str) -> String {
    let printable = crate::text::printable(value);
    printable.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admin::process::{AgentProcess, ProcessIdentity, ProgramVersion, StayKind};

    const HOST: Host = Host { drained: 0, revoked: Some(2), keys: 1 };

    fn seen(uid: u32, told: Option<serde_json::Value>) -> SeenAgent {
        let agent = AgentProcess {
            process: ProcessIdentity { pid: 42, start: 0 },
            uid,
            gid: uid,
            stay: StayKind::Login,
            program: ProgramVersion::Installed,
            session: None,
            record: None,
        };
        let told = told.map(|accounts| {
            serde_json::from_value(json!({
                "session": "x", "version": "0.1.0", "pid": 42, "user": "alice", "token_file": "/x",
                "default_account": "a", "accounts": accounts,
            }))
            .unwrap()
        });
        SeenAgent { agent, user: "alice".into(), told }
    }

    fn account(issuer: &str, error: &str) -> serde_json::Value {
        json!([{
            "name": "a", "issuer": issuer, "scope": "", "session_scope": "", "token_expires_at": 200,
            "enrollment_ends_at": 1000, "last_error": {"error": error, "kind": "unreachable", "at": 1},
        }])
    }

    #[test]
    fn what_is_known_is_counted_once_a_user() {
        let told = || Some(account("https://i.example/", "down"));
        let text = render(&[seen(1, told()), seen(1, told()), seen(2, None)], &HOST, 100);
        for line in [
            "iam_session_agents{kind=\"past\",program=\"installed\"} 3",
            "iam_session_users 2",
            "iam_session_revoked_users 2",
            "iam_session_told_versions{version=\"0.1.0\"} 2",
            "iam_session_told_versions{version=\"none\"} 1",
            "iam_session_told_without_token 1",
            "iam_session_told_errors{issuer=\"https://i.example/\",kind=\"unreachable\"} 1",
            "iam_session_told_ending_enrolments 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_an_agent_says_cannot_forge_a_line_or_fill_the_disk() {
        let forged = "x\"} 1\niam_session_users 99\u{1b}";
        let many = (0..100).map(|uid| seen(uid, Some(account(&format!("https://{uid}/"), ""))));
        let text =
            render(&many.chain([seen(1000, Some(account(forged, "")))]).collect::<Vec<_>>(), &HOST, 100);
        assert!(!text.lines().any(|line| line == "iam_session_users 99"), "{text}");
        let issuers = text.lines().filter(|line| line.starts_with("iam_session_told_errors{")).count();
        assert_eq!(issuers, MAX_ISSUERS + 1);
        assert_eq!(escaped("a\"b\\c\n"), "a\\\"b\\\\c\\\\x0a");
    }
}
