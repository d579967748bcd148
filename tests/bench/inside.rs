//! This program once more, on the machine that is measured and as its user: it starts the commands, or loads a socket,
//! and prints what it saw. A line is a round, its fields are nanoseconds or counts.

mod load;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::wait;

/// Where the output of a crowd goes.
const OUTPUT: &str = "/tmp/crowd";

/// Does what the arguments say, if they say something.
pub(crate) fn run(arguments: &[&str]) -> bool {
    match arguments {
        ["pairs", first, rounds, pause, commands @ ..] => {
            pairs(number(first), number(rounds), Duration::from_millis(number(pause)), commands);
        }
        ["crowd", many, command] => crowd(number(many), command),
        ["load", protocol, socket, connections, milliseconds] => {
            let duration = Duration::from_millis(number(milliseconds));
            println!("{}", load::run(load::Protocol::named(protocol), socket, number(connections), duration));
        }
        [] => return false,
        other => panic!("{other:?}"),
    }
    true
}

fn number<N: std::str::FromStr>(text: &str) -> N {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// One of these words; `{n}` in it is another number in each round.
fn command(line: &str, round: usize) -> Command {
    let line = line.replace("{n}", &round.to_string());
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// All commands in each round, and another one first each time: what one leaves behind meets all the others. After
/// each a pause, in which what it left to be done is done.
fn pairs(first: usize, rounds: usize, pause: Duration, commands: &[&str]) {
    for round in first..first + rounds {
        let mut times = vec![0; commands.len()];
        for step in 0..commands.len() {
            let which = (round + step) % commands.len();
            let mut command = command(commands[which], round);
            let start = wait::now();
            let status = command.status().unwrap();
            times[which] = start.elapsed().as_nanos();
            assert!(status.success(), "{command:?}: {status}");
            wait::pause(pause);
        }
        println!("{}", times.iter().map(u128::to_string).collect::<Vec<_>>().join(" "));
    }
}

/// So many processes at once: how long until the last has ended, how many of them succeeded, and how many different
/// lines they wrote.
fn crowd(many: usize, line: &str) {
    File::create(OUTPUT).unwrap();
    let output = OpenOptions::new().append(true).open(OUTPUT).unwrap();
    let start = wait::now();
    let started: Vec<Child> = (0..many)
        .map(|_| command(line, 0).stdout(output.try_clone().unwrap()).stderr(Stdio::null()).spawn().unwrap())
        .collect();
    let served =
        started.into_iter().filter_map(|mut child| child.wait().ok()).filter(|status| status.success());
    let served = served.count();
    let elapsed = start.elapsed();
    let text = std::fs::read_to_string(OUTPUT).unwrap();
    let tokens: BTreeSet<&str> = text.lines().collect();
    println!("{} {served} {}", elapsed.as_nanos(), tokens.len());
}
