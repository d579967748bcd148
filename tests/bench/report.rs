//! docs/benchmarks.md and its pictures, out of what was measured. Writes below docs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::criterion::Estimate;
use crate::plot;
use crate::row::{Row, Series, figure, thousands};
use crate::scale::Scale;

const PAGE: &str = "benchmarks.md";
const PICTURES: &str = "benchmarks";
/// What follows was written by hand and stays.
const BY_HAND: &str = "## What was tried";
/// Written by the simulation of a farm. Its row of our table begins like this.
const FARM: &str = "farm.md";
const FARM_ROW: &str = "| issuer requests";

/// All that was measured.
pub(crate) struct Report {
    pub(crate) scale: Scale,
    /// Where and when, in a line.
    pub(crate) run: String,
    pub(crate) facts: Vec<String>,
    pub(crate) wanted: Vec<Row>,
    pub(crate) kept: Vec<Row>,
    pub(crate) instructions: [(&'static str, u64); 2],
    pub(crate) inside: Vec<Estimate>,
    pub(crate) pictures: Vec<Picture>,
}

/// A picture: the name of its file, its title, the unit, what is better, and whose figures.
pub(crate) struct Picture {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) better: &'static str,
    pub(crate) series: Vec<Series>,
}

impl Report {
    pub(crate) fn write(&self) {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let pictures = docs.join(PICTURES);
        fs::create_dir_all(&pictures).unwrap();
        for Picture { name, title, unit, better, series } in &self.pictures {
            fs::write(
                pictures.join(format!("{name}.svg")),
                plot::bars(title, unit, better, &self.run, series),
            )
            .unwrap();
        }
        let page = docs.join(PAGE);
        let by_hand = by_hand(&page);
        fs::write(&page, format!("{}{by_hand}", self.text(&docs))).unwrap();
        println!("written: {}", page.display());
    }

    fn text(&self, docs: &Path) -> String {
        let mut text = "# Benchmarks\n\n`make bench` writes this page, but for [its last part](#what-was-tried), and the \
                        pictures. It measures us,\nthe peers and the floor in one run, round by round: another one comes \
                        first in each round. A figure is the median of\nthe rounds; half of them lie between the two in \
                        brackets. A ratio is that of each round, and then their median.\n\n"
            .to_owned();
        if !self.scale.is_whole() {
            text += "**This run was cut short by `BENCH_SCALE`. Its figures are not to be cited.**\n\n";
        }
        self.facts.iter().for_each(|fact| writeln!(text, "- {fact}").unwrap());
        text += "\n## What was to be reached\n\n";
        text += &table(&self.wanted);
        text += &farm(docs);
        text += "\n## What must stay\n\n";
        text += &table(&self.kept);
        text += "\n## Pictures\n";
        for Picture { name, title, .. } in &self.pictures {
            write!(text, "\n![{title}]({PICTURES}/{name}.svg)\n").unwrap();
        }
        text += "\n## Instructions\n\nvalgrind's callgrind counts them. `make test` counts again, and fails above 105 % of \
                 these.\n\n| what | instructions |\n|---|---|\n";
        for (what, count) in self.instructions {
            writeln!(text, "| {what} | {} |", thousands(count)).unwrap();
        }
        text += "\n## Inside a process\n\ncriterion measures functions on the way of a request \
                 (`iam-session/benches`).\n\n| what | time | 95 % confidence |\n|---|---|---|\n";
        for Estimate { name, median, lower, upper } in &self.inside {
            writeln!(text, "| {name} | {} ns | {}–{} ns |", figure(*median), figure(*lower), figure(*upper))
                .unwrap();
        }
        text + "\n"
    }
}

fn table(rows: &[Row]) -> String {
    let mut text =
        "| measure | ours | in the same rounds | to be reached | reached | |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let column = |cell: fn(&crate::row::Reach) -> &String| {
            row.reaches.iter().map(|reach| cell(reach).as_str()).collect::<Vec<_>>().join("; ")
        };
        let met = if row.is_met() { "met" } else { "**missed**" };
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {met} |",
            row.measure,
            row.ours,
            row.peers,
            column(|reach| &reach.wanted),
            column(|reach| &reach.found)
        )
        .unwrap();
    }
    text
}

/// What the simulation says about a whole farm.
fn farm(docs: &Path) -> String {
    let text = fs::read_to_string(docs.join(FARM)).unwrap_or_default();
    let Some(row) = text.lines().find(|line| line.starts_with(FARM_ROW)) else {
        return "\nNo simulation of a farm has written its page yet.\n".to_owned();
    };
    format!("{row}\n\n[{FARM}]({FARM}) has the farm that was simulated.\n")
}

/// The part that is written by hand, as it is; or its heading.
fn by_hand(page: &PathBuf) -> String {
    let text = fs::read_to_string(page).unwrap_or_default();
    match text.find(BY_HAND) {
        Some(start) => text[start..].to_owned(),
        None => format!("{BY_HAND}\n"),
    }
}
