//! Samples of one quantity and what is said about them. Pure.

/// What was measured, in the order in which it was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// # Panics
    /// There is none, or one is not a number.
    pub(crate) fn new(values: Vec<f64>) -> Self {
        assert!(!values.is_empty() && values.iter().all(|value| value.is_finite()), "{values:?}");
        Self(values)
    }

    /// A quantity that was counted once.
    pub(crate) fn one(value: f64) -> Self {
        Self::new(vec![value])
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Half of the samples lie between these two.
    pub(crate) fn quartiles(&self) -> (f64, f64) {
        (self.quantile(0.25), self.quantile(0.75))
    }

    pub(crate) fn largest(&self) -> f64 {
        self.quantile(1.0)
    }

    /// The value below which this share of the samples lies; between two samples, in proportion.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let position = share * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
        below + position.fract() * (above - below)
    }

    /// Each sample over the other's of the same round: what both had in common falls out.
    ///
    /// # Panics
    /// The two were not measured round by round.
    pub(crate) fn over(&self, other: &Self) -> Self {
        assert_eq!(self.len(), other.len(), "not measured in pairs");
        Self::new(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs).collect())
    }

    pub(crate) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.to_vec())
    }

    #[test]
    fn the_median_lies_in_the_middle_whatever_the_order() {
        assert_eq!(samples(&[9.0, 1.0, 5.0]).median(), 5.0);
        assert_eq!(samples(&[4.0, 1.0, 3.0, 2.0]).median(), 2.5);
        assert_eq!(Samples::one(7.0).median(), 7.0);
    }

    #[test]
    fn quartiles_and_percentiles_lie_between_samples() {
        let samples = samples(&(0..=100).map(f64::from).collect::<Vec<_>>());
        let (lower, upper) = samples.quartiles();
        for (found, right) in [(lower, 25.0), (upper, 75.0), (samples.quantile(0.99), 99.0)] {
            assert!((found - right).abs() < 1e-6, "{found} is not {right}");
        }
        assert_eq!(samples.quantile(0.0), 0.0);
        assert_eq!(samples.largest(), 100.0);
        assert_eq!(super::Samples::one(3.0).quartiles(), (3.0, 3.0));
    }

    #[test]
    fn a_ratio_is_that_of_each_pair_and_not_of_the_medians() {
        let ours = samples(&[1.0, 2.0, 30.0]);
        let theirs = samples(&[2.0, 4.0, 10.0]);
        assert_eq!(ours.over(&theirs), samples(&[0.5, 0.5, 3.0]));
        assert_eq!(ours.over(&theirs).median(), 0.5);
    }

    #[test]
    #[should_panic(expected = "not measured in pairs")]
    fn what_was_not_measured_in_pairs_has_no_ratio() {
        samples(&[1.0]).over(&samples(&[1.0, 2.0]));
    }
}
