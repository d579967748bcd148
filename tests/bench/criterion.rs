//! What criterion has measured inside a process (iam-session/benches). Reads its files.

use std::fs;

use serde_json::Value;
use support::built;

/// A benchmark, and nanoseconds: the median, and between which it lies with 95 % confidence.
pub(crate) struct Estimate {
    pub(crate) name: String,
    pub(crate) median: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
}

pub(crate) fn estimates() -> Vec<Estimate> {
    let directory = built("criterion");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path().join("new"));
    let mut all: Vec<Estimate> = entries.filter(|new| new.exists()).map(|new| estimate(&new)).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!all.is_empty(), "criterion has measured nothing");
    all
}

fn estimate(new: &std::path::Path) -> Estimate {
    let json =
        |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(new.join(name)).unwrap()).unwrap() };
    let median = &json("estimates.json")["median"];
    let number = |value: &Value| value.as_f64().unwrap();
    Estimate {
        name: json("benchmark.json")["full_id"].as_str().unwrap().to_owned(),
        median: number(&median["point_estimate"]),
        lower: number(&median["confidence_interval"]["lower_bound"]),
        upper: number(&median["confidence_interval"]["upper_bound"]),
    }
}
