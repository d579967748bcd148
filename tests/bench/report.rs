//! docs/benchmarks.md and its pictures, out of what was measured. Writes below docs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::criterion::Estimate;
use crate::plot;
use crate::row::{Reach, Row, Series, figure, thousands};
use crate::scale::Scale;

const PAGE: &str = "benchmarks.md";
const PICTURES: &str = "benchmarks";
/// What follows was written by hand and stays.
const BY_HAND: &str = "## What was tried";
/// Written by the simulation of a farm, before.
const FARM: &str = "farm.md";

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
        let by_hand = by_hand(&fs::read_to_string(&page).unwrap_or_default());
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
        let farm = farm(&fs::read_to_string(docs.join(FARM)).unwrap_or_default());
        text += &table(&[self.wanted.as_slice(), &[farm]].concat());
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

/// The row of a whole farm, out of the page of its simulation.
///
/// # Panics
/// The page has no such row.
fn farm<'p>(page: &'p str) -> Row {
    let cells = |name: &str| -> Vec<&'p str> {
        let fields = |line: &'p str| {
            line.trim_start_matches('|').trim_end_matches('|').split('|').map(str::trim).collect::<Vec<_>>()
        };
        let mut rows = page.lines().filter(|line| line.starts_with("| ")).map(fields);
        let row = rows.find(|row| row[0].starts_with(name) && row[0].is_empty() == name.is_empty());
        row.unwrap_or_else(|| panic!("docs/{FARM} has no row '{name}'")).split_off(1)
    };
    let [met, missed] = [" met", " **missed**"].map(|word| page.matches(&format!("{word} |")).count());
    Row {
        measure: format!("issuer requests an hour and user: {}", cells("").join("; ")),
        ours: cells("requests an hour and user").join("; "),
        peers: String::new(),
        reaches: vec![
            Reach::new(
                "1.5, and one when a user comes: share of it",
                cells("requests over 1.5").join("; "),
                true,
            ),
            Reach::new(
                &format!("all of [{FARM}]({FARM})"),
                format!("{met} of {}", met + missed),
                met > 0 && missed == 0,
            ),
        ],
    }
}

/// The part of the page that is written by hand, as it is. Without a page, what it is for.
fn by_hand(page: &str) -> String {
    match page.find(BY_HAND) {
        Some(start) => page[start..].to_owned(),
        None => format!(
            "{BY_HAND}\n\nEach missed row has its reason here, and what was tried. This part is written by hand, and \
             `make bench` keeps it.\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{by_hand, farm, table};
    use crate::row::{Reach, Row};

    #[test]
    fn what_was_written_by_hand_stays() {
        let page = "# Benchmarks\n\nold figures\n\n## What was tried\n\nA smaller buffer: 20 kB less.\n";
        assert_eq!(by_hand(page), "## What was tried\n\nA smaller buffer: 20 kB less.\n");
        assert!(by_hand("").starts_with("## What was tried\n\nEach missed row"));
    }

    #[test]
    fn a_farm_s_row_comes_from_its_page() {
        let page = "| | 1 node | 10 nodes |\n|---|---|---|\n| requests over 1.5 an hour: ≤ 1 | 0.85 met | 0.86 met |\n\
                    | hosts without a token: 0 | 0 met | 1 **missed** |\n\n| | 1 node | 10 nodes |\n|---|---|---|\n\
                    | requests an hour and user | 1.74 | 1.68 |\n";
        let row = farm(page);
        assert_eq!(row.measure, "issuer requests an hour and user: 1 node; 10 nodes");
        assert_eq!((row.ours.as_str(), row.is_met()), ("1.74; 1.68", false));
        assert_eq!(row.reaches[1].found, "3 of 4");
        assert!(farm(&page.replace("**missed**", "met")).is_met());
    }

    #[test]
    fn a_row_is_met_only_if_all_of_it_is() {
        let reach = |is_met| Reach::new("1", "2".to_owned(), is_met);
        let row = |reaches| Row { measure: "m".into(), ours: "o".into(), peers: "p".into(), reaches };
        let text = table(&[row(vec![reach(true), reach(true)]), row(vec![reach(true), reach(false)])]);
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(rows, ["| m | o | p | 1; 1 | 2; 2 | met |", "| m | o | p | 1; 1 | 2; 2 | **missed** |"]);
    }
}
