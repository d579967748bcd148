//! How much is measured: all of it, or less, to try the program. Reads the environment.

const NAME: &str = "BENCH_SCALE";
/// Quartiles want so many rounds at least.
const LEAST: usize = 2;

/// A share of the rounds and of the crowds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale(f64);

impl Scale {
    /// As in `BENCH_SCALE=0.1`.
    ///
    /// # Panics
    /// It is no such share.
    pub(crate) fn from_environment() -> Self {
        let share = std::env::var(NAME).map_or(1.0, |text| text.parse().unwrap_or(-1.0));
        assert!(share > 0.0 && share <= 1.0, "{NAME} is a share: above 0, and 1 at most");
        Self(share)
    }

    pub(crate) fn is_whole(self) -> bool {
        self.0 == 1.0
    }

    pub(crate) fn rounds(self, whole: usize) -> usize {
        self.crowd(whole).max(LEAST)
    }

    pub(crate) fn crowd(self, whole: usize) -> usize {
        ((whole as f64 * self.0).ceil() as usize).max(1)
    }
}
