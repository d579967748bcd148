//! `make machine`: what holds on a Debian 12 that boots, with its systemd, logind, journald and NFS. The machine is
//! emulated, so only the order of things can be looked at, and no time. Prints a table, a row for each thing that must
//! hold; fails where one does not. `limit` is a row that holds, and is less than a user wants.
//!     machine [NAME…]    only the rows of these names; `NAME..` is that one and all after it
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a row that fails must say where")]

mod administration;
mod boots;
mod guest;
mod logins;
mod scene;
mod selinux;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;
use std::time::Duration;

use guest::Boot;
use scene::Scene;
use support::{Host, Provider, wait};

/// Its name for the command line, what must hold, and how it is seen.
type Row = (&'static str, &'static str, fn(&Scene<'_>));

/// Rows that look at what the documents say, where that is less than is wanted.
const LIMITS: [&str; 2] = ["hint-command", "kill-linger"];

/// A login takes 1 to 3 seconds there, and ten at once ten times as long.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    wait::be_patient(PATIENCE);
    // The table says it.
    set_hook(Box::new(|_| {}));
    let host = Host::plan().uninstalled().without_agent().start();
    let provider = Provider::start(&host);
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut table = Table::default();

    let plain = [logins::ROWS, boots::ROWS, administration::ROWS].concat();
    let all = [&plain, selinux::ROWS].concat();
    let wanted = select(&all, &wanted);
    let (plain, selinux) =
        wanted.into_iter().partition::<Vec<Row>, _>(|row| plain.iter().any(|it| it.0 == row.0));
    table.machine(&host, &provider, Boot::Plain, &plain);
    table.machine(&host, &provider, Boot::SeLinux, &selinux);
    table.end()
}

#[derive(Default)]
struct Table {
    not_met: usize,
}

impl Table {
    /// Boots a machine, installs the package, enrols a user, and looks at the rows.
    fn machine(&mut self, host: &Host, provider: &Provider, boot: Boot, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        let scene = Scene::boot(host, provider, boot);
        let is_ready =
            self.row("install", "apt installs the package, and 'enable' all that a login needs", || {
                scene.install(host)
            }) && self.row("enrol", "a user enrols", || scene.enrol("ann"));
        for (name, what, row) in rows.iter().filter(|_| is_ready) {
            self.row(name, what, || row(&scene));
            // Whatever came of it.
            provider.heal();
        }
        self.not_met += if is_ready { 0 } else { rows.len() };
    }

    fn row(&mut self, name: &str, what: &str, look: impl FnOnce()) -> bool {
        let start = wait::now();
        let outcome = catch_unwind(AssertUnwindSafe(look));
        let verdict = match outcome.is_ok() {
            true if LIMITS.contains(&name) => "limit  ",
            true => "met    ",
            false => "NOT MET",
        };
        println!("{verdict}  {name:<12} {what} ({} s)", start.elapsed().as_secs());
        if let Err(panic) = &outcome {
            self.not_met += 1;
            let text = panic.downcast_ref::<String>().map(String::as_str);
            println!("         {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason"));
        }
        outcome.is_ok()
    }

    fn end(self) -> ExitCode {
        match self.not_met {
            0 => println!("\nall of it holds"),
            not_met => println!("\n{not_met} of it do not hold"),
        }
        if self.not_met == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Those of these names; all, if none is named.
fn select(rows: &[Row], wanted: &[String]) -> Vec<Row> {
    let from = |name: &str| wanted.iter().any(|word| word.strip_suffix("..") == Some(name));
    let mut is_on = wanted.is_empty();
    let chosen = |(name, _, _): &&Row| {
        is_on = is_on || from(name);
        is_on || wanted.iter().any(|word| word == name)
    };
    rows.iter().filter(chosen).copied().collect()
}
