//! `make issuers`: what holds at a real Keycloak. Real sshd, module, agent, mint, helper and command line on a machine
//! made of namespaces; the Keycloak runs on it, too. Prints a table, a row for each thing that must hold; fails where one
//! does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a row that fails must say where")]

mod endings;
mod keycloak;
mod refusals;
mod registration;
mod scene;
mod tokens;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;

use keycloak::Keycloak;
use scene::Scene;
use support::Host;

/// What holds, and how it is seen.
type Row = (&'static str, fn(&Scene<'_>));

fn main() -> ExitCode {
    let host = Host::plan().pam_options("token_wait=20s").start();
    host.add_node_key();
    let keycloak = Keycloak::start(&host, &["Grid", "strict"]);
    let scene = Scene::new(&host, &keycloak);
    // The table says it.
    set_hook(Box::new(|_| {}));
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let rows = [registration::ROWS, refusals::ROWS, tokens::ROWS, endings::ROWS].concat();
    let mut broken = 0;
    for (name, row) in rows.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let outcome = catch_unwind(AssertUnwindSafe(|| row(&scene)));
        println!("{}  {name}", if outcome.is_ok() { "holds    " } else { "DOES NOT " });
        if let Err(panic) = outcome {
            broken += 1;
            let text = panic.downcast_ref::<String>().map(String::as_str);
            println!("           {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason"));
        }
    }
    println!(
        "\nKeycloak {}: {}",
        keycloak.version(),
        match broken {
            0 => "all of it holds".to_owned(),
            broken => format!("{broken} of it do not hold"),
        }
    );
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
