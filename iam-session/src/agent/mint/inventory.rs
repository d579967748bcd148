//! What there is of the user's, for root's tool: accounts, and access tokens without the tokens. Touches store and
//! cache; asks no issuer and writes no book.

use super::Mint;
use crate::agent::cache::CachedToken;
use crate::agent::job::{Inventory, LiveToken};
use crate::clock;

impl Mint {
    pub(super) fn inventory(&self) -> Inventory {
        // With what lies sealed beside a record and lives: the look puts it into the cache.
        let book = self.look_now();
        let mut tokens: Vec<LiveToken> =
            self.runtime.cache.living(clock::boot_time()).into_iter().map(LiveToken::from).collect();
        tokens.sort_by(|one, other| one.expires_at.cmp(&other.expires_at).then(one.jti.cmp(&other.jti)));
        Inventory { accounts: book.entries, trouble: book.trouble, tokens }
    }
}

impl From<CachedToken> for LiveToken {
    fn from(token: CachedToken) -> Self {
        Self {
            issuer: token.issuer,
            scope: token.granted,
            audience: token.wanted.audience,
            expires_at: token.expires_at,
            jti: token.jti,
        }
    }
}
