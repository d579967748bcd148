//! `simulate`: a day of a farm of login nodes, as its issuer sees it. The decisions are those of the real agents and mints
//! (`iam_session::simulation`); users, hosts, issuer and clock are a model. It ends with an error if a reach is missed.
//!
//!     cargo run --release -p iam-session-tests --bin simulate -- --nodes 1000 --sessions 200 --users 5000 --hours 24
//!
//! These are the defaults. It plays farms of 1, 10, 100 … nodes up to that number, and two of a tenth of it: with an
//! issuer that answers 503 instead of not answering, and with hosts that have no network. `--docs DIR` writes `farm.md` and `farm.svg` there, and `--csv FILE` the requests
//! of each minute.

mod farm;
mod home;
mod plot;
mod random;
mod record;
mod report;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::{env, fs, io};

use farm::{Outage, Plan, Sharing, simulate};
use record::Record;

/// The last farm's outage would else not end before the day does.
const HOURS: u32 = 6;

struct Wanted {
    plan: Plan,
    docs: Option<String>,
    csv: Option<String>,
}

fn wanted(arguments: impl Iterator<Item = String>) -> Option<Wanted> {
    let (fault, sharing) = (Outage::Silent, Sharing::On);
    let plan = Plan { nodes: 1000, sessions: 200, users: 5000, hours: 24, fault, sharing };
    let mut wanted = Wanted { plan, docs: None, csv: None };
    let mut arguments = arguments;
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--nodes" => wanted.plan.nodes = value.parse().ok().filter(|nodes| *nodes > 0)?,
            "--sessions" => wanted.plan.sessions = value.parse().ok().filter(|sessions| *sessions > 0)?,
            "--users" => wanted.plan.users = value.parse().ok().filter(|users| *users > 0)?,
            "--hours" => wanted.plan.hours = value.parse().ok().filter(|hours| *hours >= HOURS)?,
            "--sharing" => {
                wanted.plan.sharing = match value.as_str() {
                    "on" => Sharing::On,
                    "off" => Sharing::Off,
                    _ => return None,
                }
            }
            "--docs" => wanted.docs = Some(value),
            "--csv" => wanted.csv = Some(value),
            _ => return None,
        }
    }
    Some(wanted)
}

fn main() -> ExitCode {
    let Some(wanted) = wanted(env::args().skip(1)) else {
        eprintln!(
            "simulate [--nodes N] [--sessions N] [--users N] [--hours N, {HOURS} or more] [--sharing on|off] [--docs DIR] [--csv FILE]"
        );
        return ExitCode::from(2);
    };
    let records: Vec<Record> = plans(wanted.plan)
        .map(|plan| {
            let record = simulate(plan);
            eprintln!("{}", report::name(&record));
            record
        })
        .collect();
    print!("{}", report::tables(&records));
    if let Err(error) = write(&wanted, &records) {
        eprintln!("simulate: {error}");
        return ExitCode::FAILURE;
    }
    let is_met = records.iter().flat_map(Record::reaches).all(|reach| reach.is_met);
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plans(largest: Plan) -> impl Iterator<Item = Plan> {
    let smaller = (0..).map(|power| 10_u16.pow(power)).take_while(move |nodes| *nodes < largest.nodes);
    let silent = smaller.chain([largest.nodes]).map(move |nodes| Plan { nodes, ..largest });
    let nodes = (largest.nodes / 10).max(1);
    silent.chain([Outage::Busy, Outage::CutOff].map(|fault| Plan { nodes, fault, ..largest }))
}

fn write(wanted: &Wanted, records: &[Record]) -> io::Result<()> {
    if let Some(docs) = &wanted.docs {
        fs::write(format!("{docs}/farm.md"), report::page(&wanted.plan, records))?;
        fs::write(format!("{docs}/farm.svg"), plot::plot(records))?;
    }
    if let Some(csv) = &wanted.csv {
        fs::write(csv, report::csv(records))?;
    }
    Ok(())
}
