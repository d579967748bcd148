//! The machine and the versions, as docs/benchmarks.md names them. Reads files, starts programs.

use std::fs;
use std::process::Command;

/// Where and when, in a line.
pub(crate) fn run() -> String {
    format!("make bench, {}, {}", day(), processors())
}

/// A line for each.
pub(crate) fn facts() -> Vec<String> {
    let system = read("/etc/os-release", "PRETTY_NAME").unwrap_or_default();
    let mut commit = said("git", &["rev-parse", "--short", "HEAD"]);
    // The pages of earlier runs do not count.
    if !said("git", &["status", "--porcelain", "--", ":!docs"]).is_empty() {
        commit += ", changed";
    }
    let [oidc_agent, jq] = ["oidc-agent", "jq"].map(|program| said(program, &["--version"]));
    vec![
        format!("machine: {}", processors()),
        format!("system: {}, Linux {}", system.trim_matches('"'), said("uname", &["-r"])),
        format!("day: {}", day()),
        format!("iam-session: commit {commit}, {}", said("rustc", &["--version"])),
        format!("peers: {oidc_agent}, {}, {}, {jq}", said("ssh", &["-V"]), curl()),
    ]
}

fn day() -> String {
    said("date", &["-u", "+%F"])
}

fn processors() -> String {
    let model = read("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    format!("{} × {model}", std::thread::available_parallelism().map_or(1, usize::from))
}

fn curl() -> String {
    said("curl", &["--version"]).split(" (").next().unwrap_or_default().to_owned()
}

/// The value of a line `name: value` or `name=value`.
fn read(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once([':', '='])?.1.trim().to_owned())
}

/// The first line that a program prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
