//! Logins: what `open_session` takes inside libpam, what a crowd of them takes by ssh, and what they leave behind.

use std::process::{Child, Stdio};

use support::{Host, wait};

use crate::row::{Reach, Row, Series, thousands};
use crate::samples::Samples;
use crate::scale::Scale;
use crate::stage::{NOOP, OURS, PAM_EXEC, Stage};

/// In milliseconds.
const LONGEST_OPEN: f64 = 1.0;
const LOGINS: usize = 20;
/// How much longer twenty logins may take with us. Two runs without us differ by as much.
const LOGINS_FACTOR: f64 = 1.1;

pub(crate) fn open_session(stage: &Stage, scale: Scale) -> (Row, Vec<Series>) {
    let samples = stage.open_sessions(scale.rounds(150), &[OURS, PAM_EXEC, NOOP]);
    let whose = ["pam_iam.so", "pam_exec.so of /bin/true", "a program that does nothing"];
    let series: Vec<Series> =
        whose.iter().zip(samples).map(|(whose, samples)| Series::of(whose, samples)).collect();
    let reach = Reach::limit(&series[0].samples, LONGEST_OPEN, "ms");
    (Row::of("`open_session` with a cached token", "ms", &series, vec![reach]), series)
}

pub(crate) fn at_once(stage: &Stage, scale: Scale) -> Row {
    let without = Host::plan().without_agent().start();
    let mut seconds = [Vec::new(), Vec::new()];
    for round in 0..scale.rounds(7) {
        for step in 0..2 {
            let which = (round + step) % 2;
            seconds[which].push(log_in([&stage.host, &without][which]));
        }
    }
    let [ours, peer] = seconds.map(Samples::new);
    let series = [Series::of("ours", ours), Series::of("without us", peer)];
    let reach = Reach::at_most(&series[0], LOGINS_FACTOR, &series[1]);
    Row::of(&format!("{LOGINS} logins at once by ssh"), "s", &series, vec![reach])
}

fn log_in(host: &Host) -> f64 {
    let client = || -> Child {
        let mut client = host.ssh_client("alice", &[]);
        client.arg("true").stdin(Stdio::null()).spawn().unwrap()
    };
    let start = wait::now();
    let clients: Vec<Child> = (0..LOGINS).map(|_| client()).collect();
    for mut client in clients {
        assert!(client.wait().unwrap().success());
    }
    start.elapsed().as_secs_f64()
}

/// The last measure: the stage's own login ends, too.
pub(crate) fn left_behind(stage: Stage) -> Row {
    let Stage { provider: _provider, host, login } = stage;
    for agent in ["SSH_AGENT_PID", "OIDCD_PID"] {
        login.run(&format!("kill ${agent}")).successful();
    }
    login.close();
    for _ in 0..10 {
        host.login("alice").close();
    }
    let files = || host.as_root().run("find /run/iam-session/20001 ! -type d").stdout;
    let left = || -> Vec<String> {
        let processes = host.processes_of("alice").into_iter().map(|process| process.command);
        processes.chain(files().lines().map(str::to_owned)).collect()
    };
    wait::succeeds(|| left().is_empty());
    let left = left();
    let count = thousands(left.len() as u64);
    Row {
        measure: "processes and files left after 10 logins".to_owned(),
        ours: if left.is_empty() { count.clone() } else { format!("{count}: {}", left.join(", ")) },
        peers: String::new(),
        reaches: vec![Reach::new("0", count, left.is_empty())],
    }
}
