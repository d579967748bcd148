//! Requests a minute as a picture: one panel a farm, all with the same axes.

use std::fmt::Write;

use crate::record::Record;
use crate::report::name;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 50.0;
/// Of a panel, and what it takes with its title.
const HEIGHT: f64 = 110.0;
const STEP: f64 = 150.0;
/// The highest power of ten on the vertical axis.
const TENS: f64 = 4.0;

pub(crate) fn plot(records: &[Record]) -> String {
    let height = TOP + STEP * records.len() as f64 + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"15\">Requests that the issuer gets, a minute (simulated)</text>\n",
        LEFT + WIDTH + 20.0
    );
    for (at, record) in records.iter().enumerate() {
        panel(&mut svg, record, TOP + STEP * at as f64);
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">hours since the begin; grey: the outage</text>\n</svg>",
        LEFT + WIDTH / 2.0,
        height - 8.0
    );
    svg
}

fn panel(svg: &mut String, record: &Record, top: f64) {
    let plan = record.plan;
    let x = |hours: f64| LEFT + WIDTH * hours / f64::from(plan.hours);
    let y = |requests: f64| top + HEIGHT * (1.0 - (requests.max(1.0).log10() / TENS).min(1.0));
    let hours = |time: std::time::Duration| time.as_secs_f64() / 3600.0;
    let (from, to) = (x(hours(plan.outage())), x(hours(plan.recovery())));
    let _ = writeln!(
        svg,
        "<rect x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{HEIGHT}\" fill=\"#ddd\"/>\n\
         <rect x=\"{LEFT}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"{LEFT}\" y=\"{}\">{}, {} users there at the end</text>",
        to - from,
        top - 6.0,
        name(record),
        record.users_at_end
    );
    for power in 0..=4 {
        let requests = 10_f64.powi(power);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{requests}</text>",
            LEFT - 6.0,
            y(requests) + 4.0
        );
    }
    for hour in (0..=plan.hours).step_by(2) {
        let at = x(f64::from(hour));
        let below = top + HEIGHT + 14.0;
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{hour}</text>");
    }
    let points: Vec<String> = (record.minutes().iter().enumerate())
        .map(|(minute, requests)| format!("{:.1},{:.1}", x(minute as f64 / 60.0), y(f64::from(*requests))))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"1\" points=\"{}\"/>",
        points.join(" ")
    );
}
