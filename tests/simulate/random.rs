//! Random numbers that are the same in each run (SplitMix64, Steele and others 2014).

use std::time::Duration;

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to 255.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }

    /// 0 to 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Any time within `span` is as likely as any other.
    pub(crate) fn within(&mut self, span: Duration) -> Duration {
        span.mul_f64(self.fraction())
    }

    /// The time until something happens that happens every `mean`, on average and at any time.
    pub(crate) fn until_next(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.fraction()).ln())
    }

    /// How many things happen where `mean` do on average (Knuth's way).
    pub(crate) fn number(&mut self, mean: f64) -> u32 {
        let (limit, mut product, mut number) = ((-mean).exp(), self.fraction(), 0);
        while product > limit {
            product *= self.fraction();
            number += 1;
        }
        number
    }
}
