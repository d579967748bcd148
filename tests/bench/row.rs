//! A row of docs/benchmarks.md: what was measured, of whom, and whether it is what was to be reached. Pure.

use crate::samples::Samples;

/// One line of a table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) measure: String,
    pub(crate) ours: String,
    pub(crate) peers: String,
    pub(crate) reaches: Vec<Reach>,
}

/// What was to be reached, and what was.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) wanted: String,
    pub(crate) found: String,
    pub(crate) is_met: bool,
}

/// Whose figures these are, and they.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) whose: String,
    pub(crate) samples: Samples,
}

impl Series {
    pub(crate) fn of(whose: &str, samples: Samples) -> Self {
        Self { whose: whose.to_owned(), samples }
    }
}

impl Row {
    /// The first series is ours, the others were measured in the same rounds.
    pub(crate) fn of(measure: &str, unit: &str, series: &[Series], reaches: Vec<Reach>) -> Self {
        let peers = series[1..].iter().map(|peer| format!("{} {}", peer.whose, spread(&peer.samples, unit)));
        Self {
            measure: measure.to_owned(),
            ours: spread(&series[0].samples, unit),
            peers: peers.collect::<Vec<_>>().join("; "),
            reaches,
        }
    }

    pub(crate) fn is_met(&self) -> bool {
        self.reaches.iter().all(|reach| reach.is_met)
    }
}

impl Reach {
    pub(crate) fn new(wanted: &str, found: String, is_met: bool) -> Self {
        Self { wanted: wanted.to_owned(), found, is_met }
    }

    /// Round by round not more than so many times the peer's.
    pub(crate) fn at_most(ours: &Series, factor: f64, peer: &Series) -> Self {
        let ratio = ours.samples.over(&peer.samples);
        let times = if factor == 1.0 { String::new() } else { format!("{factor} × ") };
        let wanted = format!("≤ {times}{}", peer.whose);
        Self::new(&wanted, spread(&ratio, "×"), ratio.median() <= factor)
    }

    /// Round by round at least the peer's.
    pub(crate) fn at_least(ours: &Series, peer: &Series) -> Self {
        let ratio = ours.samples.over(&peer.samples);
        Self::new(&format!("≥ {}", peer.whose), spread(&ratio, "×"), ratio.median() >= 1.0)
    }

    /// The median is not above a limit.
    pub(crate) fn limit(ours: &Samples, limit: f64, unit: &str) -> Self {
        let found = ours.median();
        Self::new(&format!("≤ {} {unit}", figure(limit)), format!("{} {unit}", figure(found)), found <= limit)
    }
}

/// Median, and between which values half of them lie.
pub(crate) fn spread(samples: &Samples, unit: &str) -> String {
    let (lower, upper) = samples.quartiles();
    let median = figure(samples.median());
    if samples.len() == 1 {
        return format!("{median} {unit}");
    }
    format!("{median} {unit} ({}–{})", figure(lower), figure(upper))
}

/// Three digits, and those before the point.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 99.95 => thousands(value.round() as u64),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// `1,234,567`
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Reach, Row, Series, figure, thousands};
    use crate::samples::Samples;

    fn series(whose: &str, values: &[f64]) -> Series {
        Series::of(whose, Samples::new(values.to_vec()))
    }

    #[test]
    fn figures_have_three_digits() {
        let all = [0.0, 0.456, 4.0, 9.996, 12.34, 99.96, 30_123.4].map(figure);
        assert_eq!(all, ["0", "0.46", "4.00", "10.0", "12.3", "100", "30,123"]);
        assert_eq!(thousands(1_000_000), "1,000,000");
    }

    #[test]
    fn a_reach_is_met_by_the_median_of_the_ratios() {
        let (ours, peer) = (series("ours", &[4.0, 4.0, 9.0]), series("oidc-agent", &[10.0, 10.0, 10.0]));
        let met = Reach::at_most(&ours, 0.4, &peer);
        assert_eq!((met.wanted.as_str(), met.is_met), ("≤ 0.4 × oidc-agent", true));
        let missed = Reach::at_least(&ours, &peer);
        assert_eq!((missed.wanted.as_str(), missed.is_met), ("≥ oidc-agent", false));
        assert!(!Reach::limit(&ours.samples, 3.0, "ms").is_met);
        assert!(!Row::of("x", "ms", &[ours, peer], vec![met, missed]).is_met());
    }
}
