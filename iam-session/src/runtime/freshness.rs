//! How fresh a token must be, and when it is renewed. Pure; touches nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A new token is minted on demand at most this often: more would only load the issuer.
pub(crate) const MINT_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// A token that is about to end is of no use to a command that has just been given it: one with less than a tenth
/// of its life left is served only where no other can be had, and never is this much asked for.
const MARGIN: Duration = Duration::from_secs(60);

/// So much of a token's life is left when the last agent of its user renews it: an issuer that is away for eight minutes
/// then leaves nobody without a token. The rest is for the request that is under way when the issuer is back, and for the
/// longest pause after it.
const RESERVE: Duration = Duration::from_secs(10 * 60);
/// Of a short life no more than this part is kept back.
const MOST_RESERVED: u32 = 3;
/// Of a long one no less than this: it is there for long outages, and for those to whom a token is given on.
const LEAST_RESERVED: u32 = 8;

/// The agents of one user spread their renewals over this part of a token's life; the first to renew spares the
/// others the attempt.
const AGENTS_PART: u32 = 120;

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
    /// Between a half of the life and its reserve. All agents of the user compute the same moment. Users whose tokens began
    /// together, after an outage or in the morning, part by it: the issuer has no second wave.
    pub(crate) fn renewal(&self) -> Duration {
        let life = self.whole();
        let latest = life - reserve(life) - life / AGENTS_PART;
        let earliest = life / 2;
        self.issued.saturating_add(earliest + part(latest - earliest, self.share))
    }

    /// When the agent with this spread renews it.
    pub(crate) fn renewal_by(&self, spread: u8) -> Duration {
        self.renewal().saturating_add(part(self.whole() / AGENTS_PART, spread))
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
        (self.whole() / 10).min(MARGIN)
    }

    fn whole(&self) -> Duration {
        self.ends.saturating_sub(self.issued)
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

/// What is left of a life when the last agent renews it.
fn reserve(life: Duration) -> Duration {
    RESERVE.max(life / LEAST_RESERVED).min(life / MOST_RESERVED)
}

/// So many 256ths.
fn part(span: Duration, share: u8) -> Duration {
    span / 256 * u32::from(share)
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
    fn a_token_is_renewed_between_a_half_of_its_life_and_the_reserve() {
        let renewal = |share, spread| {
            let life = TokenLife { share, ..LIFE };
            (life.renewal_by(spread) - life.issued).as_secs()
        };
        assert_eq!([renewal(0, 0), renewal(128, 0), renewal(255, 0)], [1800, 2385, 2965]);
        assert_eq!([renewal(0, 255), renewal(255, 255)], [1829, 2995]);
        assert!(enough(Freshness::Renewed, 1899));
        assert!(!enough(Freshness::Renewed, 1900));
    }

    #[test]
    fn of_a_life_of_any_length_enough_is_left_at_its_renewal() {
        for whole in [1, 15, 60, 300, 1200, 2070, 3600, 86_400, 10 * 365 * 86_400] {
            let whole = Duration::from_secs(whole);
            for (share, spread) in [(0, 0), (0, 255), (255, 0), (255, 255)] {
                let life = TokenLife { issued: LIFE.issued, ends: LIFE.issued + whole, share };
                let at = life.renewal_by(spread);
                assert!(at >= life.issued + whole / 2 && at >= life.renewal());
                assert!(life.left(at) >= reserve(whole), "{:?} of {whole:?}", life.left(at));
                // Nobody is refused who asks for no more than a third.
                let wanted = Freshness::Valid(reserve(whole).as_secs());
                assert!(life.is_enough(wanted, at) && life.left(at) >= life.margin());
            }
        }
    }

    #[test]
    fn of_an_hour_ten_minutes_are_reserved_of_less_a_third_and_of_a_day_three_hours() {
        let minutes = |life: u64| reserve(Duration::from_secs(60 * life)).as_secs() / 60;
        assert_eq!([60, 15, 80, 1440].map(minutes), [10, 5, 10, 180]);
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
