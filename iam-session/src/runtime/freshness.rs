//! How fresh a token must be, and when it is renewed. Pure; touches nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A new token is minted on demand at most this often: more would only load the issuer.
pub(crate) const MINT_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// A token that is about to end is of no use to a command that has just been given it: one with less than a tenth
/// of its life left is served only where no other can be had, and never is this much asked for.
const MARGIN: Duration = Duration::from_secs(60);

/// What is left of a shorter life is needed for an issuer that is slow: its renewal is not spread.
const SPREAD_FROM: Duration = Duration::from_secs(20 * 60);

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
    /// 0 to 255, the same for all tokens of a record and on all hosts.
    pub(crate) share: u8,
}

impl TokenLife {
    /// Between a half and seven eighths of the whole life. Every agent of the user computes the same moment. Users whose
    /// tokens began together, after an outage or in the morning, part by it: the issuer has no second wave.
    pub(crate) fn renewal(&self) -> Duration {
        let life = self.ends.saturating_sub(self.issued);
        let after = if life < SPREAD_FROM {
            life * 2 / 3
        } else {
            life / 2 + life / 256 * u32::from(self.share) * 3 / 8
        };
        self.issued.saturating_add(after)
    }

    /// Whether another host's token spares this one, which has `ours`, the issuer. An older file that somebody has put
    /// back holds no more than what is here.
    pub(crate) fn spares(&self, ours: Option<Self>, wanted: Freshness, now: Duration) -> bool {
        let is_later = ours.filter(|ours| ours.lives_at(now)).is_none_or(|ours| ours.ends < self.ends);
        is_later && [Freshness::Renewed, wanted].iter().all(|wanted| self.is_enough(*wanted, now))
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

    const LIFE: TokenLife =
        TokenLife { issued: Duration::from_secs(100), ends: Duration::from_secs(3700), share: 0 };

    fn enough(wanted: Freshness, now: u64) -> bool {
        LIFE.is_enough(wanted, Duration::from_secs(now))
    }

    #[test]
    fn a_token_is_renewed_between_a_half_and_seven_eighths_of_its_life() {
        let renewal = |share| TokenLife { share, ..LIFE }.renewal().as_secs() - 100;
        assert_eq!([renewal(0), renewal(128), renewal(255)], [1800, 2475, 3144]);
        assert!(enough(Freshness::Renewed, 1899));
        assert!(!enough(Freshness::Renewed, 1900));
    }

    #[test]
    fn what_is_left_of_a_short_life_is_not_spent_on_the_spread() {
        for share in [0, 255] {
            let short = TokenLife { ends: LIFE.issued + Duration::from_secs(900), share, ..LIFE };
            assert_eq!(short.renewal(), LIFE.issued + Duration::from_secs(600));
        }
    }

    #[test]
    fn another_hosts_token_spares_the_issuer_if_it_is_later_and_not_due() {
        let at = Duration::from_secs;
        let theirs = TokenLife { issued: at(2000), ends: at(5600), share: 0 };
        let spares = |theirs: TokenLife, now| theirs.spares(Some(LIFE), Freshness::Renewed, at(now));
        assert!(spares(theirs, 2500) && !spares(theirs, 3800));
        assert!(!spares(LIFE, 200));
        assert!(theirs.spares(None, Freshness::Valid(0), at(2500)));
        assert!(!theirs.spares(None, Freshness::Valid(3200), at(2500)));
        // Ours is later, and has ended.
        let ours = TokenLife { ends: at(3000), ..LIFE };
        let older = TokenLife { ends: at(2990), issued: at(0), share: 255 };
        assert!(!older.spares(Some(ours), Freshness::Renewed, at(1500)));
        assert!(theirs.spares(Some(ours), Freshness::Renewed, at(3100)));
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
