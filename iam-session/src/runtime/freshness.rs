//! How fresh a token must be, and when it is renewed. Pure; touches nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A new token is minted on demand at most this often: more would only load the issuer.
pub(crate) const MINT_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// A token that is about to end is of no use to a command that has just been given it: one with less than a tenth
/// of its life left is served only where no other can be had, and never is this much asked for.
const MARGIN: Duration = Duration::from_secs(60);

/// What a request wants of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Freshness {
    /// So many seconds of life left, and some margin.
    Valid(u64),
    /// It is time for a new one, unless somebody else has just seen to that.
    Renewed,
    New,
}

/// The life of one token on CLOCK_BOOTTIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenLife {
    pub(crate) issued: Duration,
    pub(crate) ends: Duration,
}

impl TokenLife {
    /// Two thirds of the whole life, so that every agent computes the same moment.
    pub(crate) fn renewal(&self) -> Duration {
        self.issued.saturating_add(self.ends.saturating_sub(self.issued).saturating_mul(2) / 3)
    }

    /// Whether it still lives.
    pub(crate) fn lives_at(&self, now: Duration) -> bool {
        now < self.ends
    }

    /// Whether it has just been minted: another one would be no better.
    pub(crate) fn is_of_a_moment_ago(&self, now: Duration) -> bool {
        now < self.issued.saturating_add(MINT_AT_MOST_EVERY)
    }

    /// Whether it will do where a better one cannot be had.
    pub(crate) fn is_better_than_nothing(&self, wanted: Freshness, now: Duration) -> bool {
        let needed = match wanted {
            Freshness::Valid(seconds) => Duration::from_secs(seconds),
            Freshness::Renewed | Freshness::New => return false,
        };
        self.lives_at(now) && self.left(now) >= needed
    }

    fn left(&self, now: Duration) -> Duration {
        self.ends.saturating_sub(now)
    }

    fn margin(&self) -> Duration {
        (self.ends.saturating_sub(self.issued) / 10).min(MARGIN)
    }

    /// Whether it will do for `wanted`.
    pub(crate) fn is_enough(&self, wanted: Freshness, now: Duration) -> bool {
        let just_issued = self.is_of_a_moment_ago(now);
        self.lives_at(now)
            && match wanted {
                // One that is as new as can be had is served, however short its life.
                Freshness::Valid(seconds) => {
                    let needed = Duration::from_secs(seconds).max(self.margin());
                    just_issued || self.left(now) >= needed
                }
                Freshness::Renewed => now < self.renewal(),
                Freshness::New => just_issued,
            }
    }
}

impl Freshness {
    /// As `min_valid_period` says it: -1 asks for a new token.
    pub(crate) fn from_min_valid_period(seconds: i64) -> Self {
        u64::try_from(seconds).map_or(Self::New, Self::Valid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: TokenLife = TokenLife { issued: Duration::from_secs(100), ends: Duration::from_secs(3700) };

    fn enough(wanted: Freshness, now: u64) -> bool {
        LIFE.is_enough(wanted, Duration::from_secs(now))
    }

    #[test]
    fn a_token_is_renewed_at_two_thirds_of_its_life() {
        assert_eq!(LIFE.renewal(), Duration::from_secs(2500));
        assert!(enough(Freshness::Renewed, 2499));
        assert!(!enough(Freshness::Renewed, 2500));
    }

    #[test]
    fn a_token_is_served_while_it_lives_long_enough() {
        assert!(enough(Freshness::Valid(0), 3640));
        assert!(!enough(Freshness::Valid(0), 3641));
        assert!(enough(Freshness::Valid(600), 3100));
        assert!(!enough(Freshness::Valid(600), 3101));
    }

    #[test]
    fn one_that_is_about_to_end_is_better_than_nothing() {
        let better = |wanted, now| LIFE.is_better_than_nothing(wanted, Duration::from_secs(now));
        assert!(better(Freshness::Valid(0), 3699) && !better(Freshness::Valid(0), 3700));
        assert!(!better(Freshness::Valid(60), 3699) && !better(Freshness::New, 200));
    }

    #[test]
    fn a_longer_life_than_the_issuer_gives_does_not_mint_without_end() {
        assert!(enough(Freshness::Valid(7200), 109));
        assert!(!enough(Freshness::Valid(7200), 110));
    }

    #[test]
    fn a_new_token_is_minted_at_most_every_ten_seconds() {
        assert!(enough(Freshness::New, 109));
        assert!(!enough(Freshness::New, 110));
        assert_eq!(Freshness::from_min_valid_period(-1), Freshness::New);
        assert_eq!(Freshness::from_min_valid_period(60), Freshness::Valid(60));
    }
}
