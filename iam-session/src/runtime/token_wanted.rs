//! A wish for a token: of which account, for what, how fresh. Touches nothing.

use serde::{Deserialize, Serialize};

use super::accounts::AccountEntry;
use super::cache::CacheKey;
use super::freshness::Freshness;
use crate::scope::ScopeSet;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenJob {
    pub(crate) account: String,
    pub(crate) kind: TokenKind,
    pub(crate) freshness: Freshness,
}

/// Whether it is the token of the session or one that somebody named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenKind {
    /// As wide as policy and grant let it be; in the file, if the account is the default one.
    Session,
    /// Exactly this, or an error.
    Named {
        /// Not empty.
        scope: ScopeSet,
        /// Empty for the issuer's default.
        audience: String,
    },
}

impl TokenKind {
    /// What the token is cached as.
    pub(crate) fn wanted(&self, entry: &AccountEntry) -> CacheKey {
        match self {
            Self::Session => entry.session_token(),
            Self::Named { scope, audience } => CacheKey {
                record_id: entry.record_id.clone(),
                scope: scope.clone(),
                audience: audience.clone(),
            },
        }
    }
}
