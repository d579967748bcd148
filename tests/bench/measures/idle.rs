//! Agents that have nothing to do: their memory, and how often they wake.

use std::time::Duration;

use support::{Process, wait};

use crate::row::{Reach, Row, Series, figure, thousands};
use crate::samples::Samples;
use crate::scale::Scale;
use crate::stage::Stage;

/// In kB, of one agent among fifty.
const LARGEST_SHARE: f64 = 150.0;
const LARGEST_PRIVATE: f64 = 120.0;
/// In seconds.
const WATCHED: u64 = 20;

/// The agents of one kind.
struct Agents {
    whose: &'static str,
    many: usize,
    processes: Vec<Process>,
}

pub(crate) struct Idle {
    pub(crate) memory: Row,
    pub(crate) share: Vec<Series>,
    pub(crate) switches: Row,
}

pub(crate) fn agents(stage: &Stage, scale: Scale) -> Idle {
    let many = scale.crowd(50);
    let held = stage.hold_sessions(many);
    let start = |command: &str| {
        // Not every one of a peer's that are started so fast comes to live.
        let output =
            stage.login.run(&format!("for n in $(seq {many}); do {command} || echo failed; done; true"));
        println!("{}", output.successful().stderr);
    };
    start("(eval $(ssh-agent -s) && ssh-add -q key) >/dev/null");
    start("(eval $(oidc-agent) && oidc-add --pw-cmd='echo bench' bench) >/dev/null");
    stage.wait_for_the_mints_end();
    // Those of the login itself are counted, too: they are no different.
    let all = [
        Agents { whose: "iam-session", many: many + 1, processes: stage.host.agents_of("alice") },
        Agents { whose: "ssh-agent", many: many + 1, processes: running(stage, "/usr/bin/ssh-agent") },
        Agents { whose: "oidc-agent", many: many + 1, processes: running(stage, "/usr/bin/oidc-agent") },
    ];
    for Agents { whose, many, processes } in &all {
        assert!(processes.len() > *many / 2, "{} of {whose}", processes.len());
    }
    let switches = switches(stage, &all);
    let (memory, share) = memory(stage, &all, many);
    held.finish();
    end_those_of_nobody(stage, &all[1..]);
    Idle { memory, share, switches }
}

/// All but those that the login's variables name, and their children.
fn end_those_of_nobody(stage: &Stage, all: &[Agents]) {
    let kept = ["SSH_AGENT_PID", "OIDCD_PID"].map(|name| stage.login.env(name).unwrap().parse().unwrap());
    let is_nobodys = |process: &&Process| !kept.contains(&process.pid) && !kept.contains(&process.parent);
    let ended: Vec<String> = all
        .iter()
        .flat_map(|agents| &agents.processes)
        .filter(is_nobodys)
        .map(|process| process.pid.to_string())
        .collect();
    // One of oidc-agent's two ends with the other.
    stage.host.as_root().run(&format!("kill -s KILL {}", ended.join(" ")));
}

fn running(stage: &Stage, program: &str) -> Vec<Process> {
    stage.host.processes_of("alice").into_iter().filter(|process| process.runs(program)).collect()
}

fn memory(stage: &Stage, all: &[Agents], many: usize) -> (Row, Vec<Series>) {
    let each = |agents: &Agents, names: &[&str]| {
        let kilobytes: u64 = agents.processes.iter().map(|process| rollup(stage, process, names)).sum();
        Samples::one(kilobytes as f64 / agents.processes.len() as f64)
    };
    let share: Vec<Series> =
        all.iter().map(|agents| Series::of(agents.whose, each(agents, &["Pss:"]))).collect();
    let private: Vec<Samples> =
        all.iter().map(|agents| each(agents, &["Private_Clean:", "Private_Dirty:"])).collect();
    let mut of_private = Reach::limit(&private[0], LARGEST_PRIVATE, "kB");
    of_private.wanted = format!("{} private", of_private.wanted);
    let reaches = vec![Reach::limit(&share[0].samples, LARGEST_SHARE, "kB"), of_private];
    let mut row = Row::of(&format!("an idle agent among {many}, PSS (private)"), "kB", &share, reaches);
    let with_private = |agents: &Agents, share: &Samples, private: &Samples| {
        let [share, private] = [share, private].map(|samples| figure(samples.median()));
        format!("{} {share} kB ({private})", agents.whose)
    };
    let cells: Vec<String> = all
        .iter()
        .zip(share.iter().zip(&private))
        .map(|(agents, (share, private))| with_private(agents, &share.samples, private))
        .collect();
    row.ours = cells[0].replace("iam-session ", "");
    row.peers = cells[1..].join("; ");
    (row, share)
}

/// kB, of these lines of smaps_rollup.
fn rollup(stage: &Stage, process: &Process, names: &[&str]) -> u64 {
    sum(&stage.host.read(&format!("/proc/{}/smaps_rollup", process.pid)), names)
}

fn sum(text: &str, names: &[&str]) -> u64 {
    let number = |line: &str| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
    text.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).map(number).sum()
}

/// How often the agents of each kind were switched to in all, while nobody asked them.
fn switches(stage: &Stage, all: &[Agents]) -> Row {
    let count = |agents: &Agents| -> u64 {
        let names = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
        agents
            .processes
            .iter()
            .map(|process| sum(&stage.host.read(&format!("/proc/{}/status", process.pid)), &names))
            .sum()
    };
    let before: Vec<u64> = all.iter().map(count).collect();
    wait::pause(Duration::from_secs(WATCHED));
    let counts: Vec<u64> = all.iter().zip(before).map(|(agents, before)| count(agents) - before).collect();
    let peers = all[1..].iter().zip(&counts[1..]).map(|(agents, count)| format!("{} {count}", agents.whose));
    Row {
        measure: format!("context switches of {} idle agents in {WATCHED} s", all[0].processes.len()),
        ours: thousands(counts[0]),
        peers: peers.collect::<Vec<_>>().join("; "),
        reaches: vec![Reach::new("0", thousands(counts[0]), counts[0] == 0)],
    }
}
