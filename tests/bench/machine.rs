//! The machine and the versions, as docs/benchmarks.md names them. Reads files, starts programs.

use std::fs;
use std::process::Command;

/// A line for each.
pub(crate) fn facts() -> Vec<String> {
    let processor = read("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let system = read("/etc/os-release", "PRETTY_NAME").unwrap_or_default();
    let kernel = said("uname", &["-r"]);
    vec![
        format!("machine: {processors} × {processor}"),
        format!("system: {}, Linux {kernel}", system.trim_matches('"')),
        format!("day: {}", said("date", &["-u", "+%F"])),
        format!(
            "iam-session: commit {}, {}",
            said("git", &["describe", "--always", "--dirty"]),
            said("rustc", &["--version"])
        ),
        format!(
            "peers: {}, {}, {}, {}",
            said("oidc-agent", &["--version"]),
            said("ssh", &["-V"]),
            curl(),
            said("jq", &["--version"])
        ),
    ]
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
