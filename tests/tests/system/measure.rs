//! How long something takes inside. Tests print the figures and assert generous ceilings.

use std::fmt;

use support::{Actor, Host, Output};

const PYTHON: &str = "/mnt/tools/python/bin/python";
const CLOCK: &str = "/mnt/clock.py";

/// Milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) longest: f64,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, p99, longest } = self;
        write!(f, "median {median} ms, 99th percentile {p99} ms, longest {longest} ms")
    }
}

/// Makes a script of the tests available to everybody; gives what to run it with.
pub(crate) fn script(host: &Host, name: &str, text: &str) -> [String; 2] {
    let path = format!("/mnt/{name}");
    host.write(&path, text, 0o644);
    [PYTHON.to_owned(), path]
}

/// Runs a command so often, one after the other.
///
/// # Panics
/// It fails once.
pub(crate) fn time(host: &Host, who: &Actor<'_>, how_often: u32, command: &str) -> Times {
    script(host, "clock.py", include_str!("clock.py"));
    let mut clock = who.command(PYTHON);
    clock.args([CLOCK, &how_often.to_string()]).args(command.split(' '));
    let output = Output::of(&mut clock, b"").successful();
    let mut fields = output.stdout.trim_end().split(' ');
    assert_eq!(fields.next(), Some("0"), "{command}: {output:?}");
    let mut next = || fields.next().unwrap().parse().unwrap();
    Times { median: next(), p99: next(), longest: next() }
}
