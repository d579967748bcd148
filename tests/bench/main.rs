//! `make bench`: us, the peers and the floor in one run on one machine, round by round. Writes docs/benchmarks.md and
//! its pictures. `BENCH_SCALE=0.1` tries it with a tenth of the rounds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measure that fails must say where")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and times that are far from the ends of their types"
)]

mod criterion;
mod inside;
mod machine;
mod measures;
mod plot;
mod report;
mod row;
mod samples;
mod scale;
mod stage;

use std::time::Duration;

use measures::{crowd, hanging, idle, logins, socket, tokens};
use report::{Picture, Report};
use row::{Row, Series};
use scale::Scale;
use stage::Stage;
use support::instructions::{self, Counted};
use support::wait;

/// The longest of the measures' commands: two hundred of a slow peer's.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if inside::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        return;
    }
    wait::be_patient(PATIENCE);
    measure(Scale::from_environment()).write();
}

fn measure(scale: Scale) -> Report {
    let say = |what: &str| println!("measuring {what}");
    say("instructions");
    let counted = Counted::start();
    let instructions =
        [(instructions::TOKEN, counted.cached_token()), (instructions::OPEN_SESSION, counted.open_session())];
    drop(counted);
    say("new tokens");
    let stage = Stage::set();
    let warm = tokens::warm(&stage, scale);
    say("cached tokens");
    let cached = tokens::cached(&stage, scale);
    say("requests at the sockets");
    let requests = socket::requests(&stage, scale);
    say("open_session");
    let open_session = logins::open_session(&stage, scale);
    say("crowds");
    let sixty_four = crowd::sixty_four(&stage);
    let thousand = crowd::thousand(&stage, scale);
    say("idle agents");
    let idle = idle::agents(&stage, scale);
    say("logins at once");
    let at_once = logins::at_once(&stage, scale);
    say("new tokens without a warm helper");
    let cold = tokens::cold(&stage, scale);
    say("a hanging issuer");
    let hanging = hanging::issuer(&stage, scale);
    say("what is left");
    let left = logins::left_behind(stage);

    let pictures = vec![
        picture("new-token", "ms", "less is better", &warm),
        picture("new-token-cold", "ms", "less is better", &cold[0]),
        picture("cached-token", "ms", "less is better", &cached),
        of_requests(&requests),
        Picture {
            name: "memory",
            title: format!("{} kB", idle.memory.measure.replace(" (private)", "")),
            unit: "kB",
            better: "less is better",
            series: idle.share,
        },
        picture("open-session", "ms", "less is better", &open_session),
    ];
    let mut wanted = vec![warm.0];
    wanted.extend(cold.into_iter().map(|(row, _)| row));
    wanted.push(cached.0);
    wanted.extend(requests.into_iter().map(|(row, _)| row));
    wanted.extend([thousand, idle.memory, open_session.0]);
    let kept = vec![at_once, sixty_four, hanging, idle.switches, left];
    let (run, facts, inside) = (machine::run(), machine::facts(), criterion::estimates());
    Report { scale, run, facts, wanted, kept, instructions, inside, pictures }
}

fn picture(name: &'static str, unit: &'static str, better: &'static str, of: &(Row, Vec<Series>)) -> Picture {
    Picture { name, title: of.0.measure.clone(), unit, better, series: of.1.clone() }
}

/// All numbers of connections in one.
fn of_requests(requests: &[(Row, Vec<Series>)]) -> Picture {
    let named = |series: &Series, row: &Row| {
        let connections = row.measure.rsplit_once(", ").map_or("", |(_, connections)| connections);
        Series::of(&format!("{}, {connections}", series.whose), series.samples.clone())
    };
    let series = requests.iter().flat_map(|(row, series)| series.iter().map(|series| named(series, row)));
    let title = "cached requests a second at the socket".to_owned();
    Picture { name: "requests", title, unit: "/s", better: "more is better", series: series.collect() }
}
