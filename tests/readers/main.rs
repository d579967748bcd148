//! `make readers`: what programs of a grid user's day do with `BEARER_TOKEN_FILE`, in a real login with a real token. Where
//! their servers are not here, `server.py` stands in, and says whose token came. Prints the lines of docs/programs.md
//! that it has looked at; fails where a program is of another version, where it does something else, and where nobody looked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a row that fails must say where")]

mod rows;
mod scene;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;

use scene::Scene;
use support::{Host, Provider, Storage};

const PAGE: &str = include_str!("../../docs/programs.md");

/// A program as the page calls it, how it says its version, and how is seen what the page says of it.
struct Row {
    program: &'static str,
    version: &'static str,
    seen: fn(&Scene<'_>),
}

/// A line of the page about a program that was seen in some version.
struct Line {
    text: &'static str,
    program: &'static str,
    version: &'static str,
}

fn main() -> ExitCode {
    let host = Host::plan().pam_options("token_wait=20s").start();
    host.add_node_key();
    let provider = Provider::start(&host);
    host.enroll_with(&provider, "alice", "-s max");
    let storage = Storage::start(&host, &provider);
    let scene = Scene::start(&host, &storage);
    // The table says it.
    set_hook(Box::new(|_| {}));
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let mut broken = Vec::new();
    for Line { text, program, version } in lines().filter(|line| line.program.contains(&wanted)) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let row = rows::ROWS.iter().find(|row| row.program == program).expect("no row looks at it");
            scene.has_version(row.version, version);
            (row.seen)(&scene);
        }));
        println!("{text} {} |", if outcome.is_ok() { "yes" } else { "**NO**" });
        if let Err(panic) = outcome {
            let reason = panic.downcast_ref::<String>().map(String::as_str);
            let reason = reason.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
            broken.push(format!("{program}: {reason}"));
        }
    }
    for row in rows::ROWS.iter().filter(|row| lines().all(|line| line.program != row.program)) {
        broken.push(format!("{}: docs/programs.md has no such line", row.program));
    }
    println!("\n{}", if broken.is_empty() { "all of it is so".to_owned() } else { broken.join("\n") });
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The lines of the page's tables whose last cell has a version, but for what was run by hand.
fn lines() -> impl Iterator<Item = Line> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| ") && !line.contains("by hand"));
    lines.filter_map(|text| {
        let mut cells = text.trim_matches('|').split(" | ").map(str::trim);
        let (program, seen) = (cells.next()?, cells.last()?);
        let version = seen.split([' ', ',']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        Some(Line { text, program, version })
    })
}
