//! A small picture of some series in SVG: of each its median as a bar, with a line over the middle half of its samples.
//! Pure.

use std::fmt::Write as _;

use crate::row::{Series, figure};

const WIDTH: f64 = 720.0;
/// Where the bars begin, and how long the longest of them is; its figure stands behind it.
const LEFT: f64 = 230.0;
const LONGEST: f64 = 330.0;
const TOP: f64 = 64.0;
const STEP: f64 = 30.0;
const BAR: f64 = 16.0;

/// Colours are such that the picture is read on any page: it brings its own ground.
const STYLE: &str = "text{font:13px sans-serif;fill:#1b1f24}.title{font-weight:bold;font-size:15px}.small{font-size:12px;\
                     fill:#57606a}.ours{fill:#0a6cbd}.peer{fill:#9aa4ae}.spread{stroke:#1b1f24;stroke-width:1.5}";

/// `series` begins with ours; each that has its name is ours, too. `run` says where and when it was measured.
pub(crate) fn bars(title: &str, unit: &str, better: &str, run: &str, series: &[Series]) -> String {
    let bottom = TOP + STEP * series.len() as f64 + 14.0;
    let height = bottom + 18.0;
    let largest = series.iter().map(|series| series.samples.quartiles().1).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LEFT + LONGEST * value / largest;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#f6f8fa\"/>\n\
         <text class=\"title\" x=\"16\" y=\"26\">{title}</text>\n\
         <text class=\"small\" x=\"16\" y=\"46\">{unit}, {better}; bar: median, line: middle half of the samples</text>\n\
         <text class=\"small\" x=\"16\" y=\"{bottom}\">{run}</text>\n",
        title = escaped(title),
        run = escaped(run),
    );
    let ours = series[0].whose.split(',').next().unwrap_or_default();
    for (index, Series { whose, samples }) in series.iter().enumerate() {
        let y = TOP + STEP * index as f64;
        let middle = y + BAR / 2.0;
        let class = if whose.starts_with(ours) { "ours" } else { "peer" };
        let (median, (lower, upper)) = (samples.median(), samples.quartiles());
        let end = x(upper.max(median)) + 8.0;
        writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>\
             <line class=\"spread\" x1=\"{:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\"/>\
             <text x=\"{end:.1}\" y=\"{:.0}\">{} {unit}</text>",
            LEFT - 10.0,
            middle + 5.0,
            escaped(whose),
            x(median) - LEFT,
            x(lower),
            x(upper),
            middle + 5.0,
            figure(median),
        )
        .unwrap();
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::bars;
    use crate::row::Series;
    use crate::samples::Samples;

    #[test]
    fn each_series_has_a_bar_as_long_as_its_median_and_its_figure() {
        let series = [Series::of("ours", Samples::one(1.0)), Series::of("a & b", Samples::one(2.0))];
        let svg = bars("x < y", "ms", "less is better", "make bench, today", &series);
        for part in [
            "class=\"ours\" x=\"230\" y=\"64.0\" width=\"165.0\"",
            "width=\"330.0\"",
            "1.00 ms",
            "a &amp; b",
            "x &lt; y",
            ">make bench, today<",
        ] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
    }
}
