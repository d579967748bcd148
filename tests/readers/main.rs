//! `make readers`: what programs of a grid user's day do with `BEARER_TOKEN_FILE`, in a real login with a real token. Where
//! their servers are not here, `server.py` stands in, and says whose token came. Prints the table that docs/programs.md has;
//! fails where a program does something else than the table says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a row that fails must say where")]

mod rows;
mod scene;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;

use scene::Scene;
use support::{Host, Provider, Storage};

/// A program, how it says its version, what it does with the variable, what to set, and how that is seen.
struct Row {
    program: &'static str,
    version: &'static str,
    does: &'static str,
    set: &'static str,
    seen: fn(&Scene<'_>),
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
    println!(
        "| program | version | what it does with `BEARER_TOKEN_FILE` | what to set | so it is |\n|---|---|---|---|---|"
    );
    for Row { program, version, does, set, seen } in
        rows::ROWS.iter().filter(|row| row.program.contains(&wanted))
    {
        let outcome = catch_unwind(AssertUnwindSafe(|| seen(&scene)));
        let met = if outcome.is_ok() { "yes" } else { "**NO**" };
        println!("| {program} | {} | {does} | {set} | {met} |", scene.version(version));
        if let Err(panic) = outcome {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
            broken.push(format!("{program}: {text}"));
        }
    }
    println!("\n{}", if broken.is_empty() { "all of it is so".to_owned() } else { broken.join("\n") });
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
