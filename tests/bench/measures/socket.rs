//! Requests at the agents' sockets for what an agent has at hand.

use crate::row::{Reach, Row, Series, figure};
use crate::samples::Samples;
use crate::scale::Scale;
use crate::stage::{Stage, columns};

const CONNECTIONS: [usize; 3] = [1, 8, 64];
const MILLISECONDS: u32 = 400;
/// No answer may take longer, in milliseconds.
const LONGEST: f64 = 50.0;

/// Of one agent: answers a second, and in milliseconds the 99th percentile and the longest.
struct Load {
    whose: &'static str,
    figures: Vec<Samples>,
}

pub(crate) fn requests(stage: &Stage, scale: Scale) -> Vec<(Row, Vec<Series>)> {
    CONNECTIONS.iter().map(|connections| with(stage, scale, *connections)).collect()
}

fn with(stage: &Stage, scale: Scale, connections: usize) -> (Row, Vec<Series>) {
    let agents = [
        ("iam-session", "ours", "$IAM_SESSION_SOCK"),
        ("ssh-agent", "ssh-agent", "$SSH_AUTH_SOCK"),
        ("oidc-agent", "oidc-agent", "$OIDC_SOCK"),
    ];
    let mut lines = [const { String::new() }; 3];
    for round in 0..scale.rounds(6) {
        for step in 0..agents.len() {
            let which = (round + step) % agents.len();
            let (_, protocol, socket) = agents[which];
            lines[which] += &load(stage, protocol, socket, connections, MILLISECONDS);
        }
    }
    let loads: Vec<Load> = agents
        .iter()
        .zip(&lines)
        .map(|((whose, ..), lines)| Load { whose, figures: columns(lines, 1.0) })
        .collect();
    let [ours, ssh_agent, _] = &loads[..] else { panic!("three agents") };
    let of = |load: &Load, figure: usize| Series::of(load.whose, load.figures[figure].clone());
    let rates: Vec<Series> = loads.iter().map(|load| of(load, 0)).collect();
    let mut p99 = Reach::at_most(&of(ours, 1), 1.0, &of(ssh_agent, 1));
    p99.wanted = "p99 ≤ ssh-agent's".to_owned();
    p99.found += &format!(", {} ms", figure(ours.figures[1].median() * 1e-6));
    let longest = ours.figures[2].largest() * 1e-6;
    let longest =
        Reach::new(&format!("longest < {LONGEST} ms"), format!("{} ms", figure(longest)), longest < LONGEST);
    let s = if connections == 1 { "" } else { "s" };
    let measure = format!("cached requests a second at the socket, {connections} connection{s}");
    let mut row = Row::of(&measure, "/s", &rates, vec![Reach::at_least(&rates[0], &rates[1]), p99, longest]);
    row.peers += &loads[1..]
        .iter()
        .map(|load| {
            let [p99, longest] =
                [load.figures[1].median(), load.figures[2].largest()].map(|time| figure(time * 1e-6));
            format!("; {} p99 {p99} ms, longest {longest} ms", load.whose)
        })
        .collect::<String>();
    (row, rates)
}

/// A line: answers a second, and in nanoseconds the 99th percentile and the longest.
pub(crate) fn load(
    stage: &Stage,
    protocol: &str,
    socket: &str,
    connections: usize,
    milliseconds: u32,
) -> String {
    let command = format!("/mnt/bench load {protocol} {socket} {connections} {milliseconds}");
    stage.login.run(&command).successful().stdout
}
