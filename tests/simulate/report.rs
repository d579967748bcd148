//! The tables and the page of what was counted.

use crate::farm::{Outage, Plan};
use crate::record::Record;

/// What is above the tables in docs/farm.md.
const HEAD: &str = include_str!("head.md");

pub(crate) fn name(record: &Record) -> String {
    let nodes = match record.plan.nodes {
        1 => "1 node".to_owned(),
        nodes => format!("{nodes} nodes"),
    };
    match record.plan.fault {
        Outage::Silent => nodes,
        Outage::Busy => format!("{nodes}, 503"),
        Outage::CutOff => format!("{nodes}, a third cut off"),
    }
}

/// One column a farm.
fn table(records: &[Record], rows: &[(String, Vec<String>)]) -> String {
    let mut lines = vec![format!(
        "| | {} |\n|---|{}",
        records.iter().map(name).collect::<Vec<_>>().join(" | "),
        "---|".repeat(records.len())
    )];
    lines.extend(rows.iter().map(|(name, cells)| format!("| {name} | {} |", cells.join(" | "))));
    lines.join("\n") + "\n"
}

pub(crate) fn tables(records: &[Record]) -> String {
    let row =
        |name: &str, cell: &dyn Fn(&Record) -> String| (name.to_owned(), records.iter().map(cell).collect());
    let all: Vec<_> = records.iter().map(Record::reaches).collect();
    let reaches: Vec<(String, Vec<String>)> = (0..all.first().map_or(0, Vec::len))
        .filter_map(|at| {
            let reaches: Vec<_> = all.iter().filter_map(|reaches| reaches.get(at)).collect();
            let cells = reaches
                .iter()
                .map(|reach| format!("{} {}", reach.found, if reach.is_met { "met" } else { "**missed**" }));
            reaches.first().map(|reach| (format!("{}: {}", reach.name, reach.wanted), cells.collect()))
        })
        .collect();
    let counts = [
        row("users with a session at the end", &|record| record.users_at_end.to_string()),
        row("requests an hour and user", &|record| format!("{:.2}", record.rate())),
        row("requests a second in the outage: mean, most", &|record| {
            let (mean, most) = record.outage_rate();
            format!("{mean:.1}, {most}")
        }),
        row("requests in the busiest second after it", &|record| record.recovery_peak().to_string()),
        row("last host served after, in seconds", &|record| record.served_within().as_secs().to_string()),
        row("peak over mean from two minutes after the outage on", &|record| {
            format!("{:.2}", record.peak_of_first_life().over_mean)
        }),
        row("minutes that count as one for a peak", &|record| record.peak_after_outage().minutes.to_string()),
        row("reads of the token file", &|record| record.reads.to_string()),
        row("of them expired, in the outage", &|record| record.expired_in_outage.to_string()),
    ];
    format!("{}\n{}", table(records, &reaches), table(records, &counts))
}

pub(crate) fn page(plan: &Plan, records: &[Record]) -> String {
    let Plan { nodes, sessions, users, hours, .. } = plan;
    let command = format!(
        "cargo run --release -p iam-session-tests --bin simulate -- --nodes {nodes} --sessions {sessions} \\\n    --users {users} --hours {hours} --docs docs"
    );
    format!(
        "{HEAD}\n## Numbers\n\n```\n{command}\n```\n\n{}\n![Requests a minute](farm.svg)\n",
        tables(records)
    )
}

pub(crate) fn csv(records: &[Record]) -> String {
    let columns: Vec<_> = records.iter().map(Record::minutes).collect();
    let names: Vec<_> = records.iter().map(|record| name(record).replace(',', "")).collect();
    let mut text = format!("minute,{}\n", names.join(","));
    for minute in 0..columns.first().map_or(0, Vec::len) {
        let cells = columns.iter().filter_map(|column| column.get(minute)).map(u32::to_string);
        text += &format!("{minute},{}\n", cells.collect::<Vec<_>>().join(","));
    }
    text
}
