//! Access tokens that are good now, shared by all agents of the user. Touches the cache directory.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::freshness::TokenLife;
use super::parsed_files::ParsedFiles;
use crate::clock::Now;
use crate::directory::{Directory, DirectoryError, Durability};
use crate::jwt::Jwt;
use crate::line::EncodedLine;
use crate::protocol::Token;
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_to};
use crate::store::SessionToken;

/// A token and its frame; the helper takes none above 16 KiB.
const MAX_ENTRY: usize = 32 * 1024;
/// A tmpfs is memory: more combinations than this push the oldest out.
pub(crate) const MAX_ENTRIES: usize = 80;
/// So many of them stay then: all are read to find the oldest, and not again for each token that follows.
const KEPT_ENTRIES: usize = 64;

/// No token ends later, and no sum with such a time overflows.
pub(crate) const END_OF_TIME: Duration = Duration::from_secs(1 << 40);

/// A clock that is kept right moves by less in the life of a token.
const CLOCK_SET: u64 = 5;

/// What a cached token was asked for: a record, sorted scopes, and audience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CacheKey {
    /// In hexadecimal.
    pub(crate) record_id: String,
    pub(crate) scope: ScopeSet,
    pub(crate) audience: String,
}

impl CacheKey {
    fn file_name(&self) -> String {
        // No field can hold a NUL, so no two combinations meet.
        let text = format!("{}\0{}\0{}", self.record_id, self.scope, self.audience);
        HEXLOWER.encode(Sha256::digest(text).get(..16).unwrap_or_default())
    }
}

/// A token with its own life.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CachedToken {
    pub(crate) wanted: CacheKey,
    #[serde(serialize_with = "expose_to")]
    pub(crate) access_token: Secret,
    pub(crate) granted: ScopeSet,
    pub(crate) issuer: String,
    pub(crate) boot_id: String,
    /// On CLOCK_BOOTTIME.
    pub(crate) issued: Duration,
    /// On CLOCK_BOOTTIME.
    pub(crate) ends: Duration,
    /// Seconds since the epoch.
    pub(crate) expires_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
    #[serde(skip)]
    pub(crate) reply: TokenReply,
}

/// The line with which an agent answers, once it was asked for this token, and the account's name in it.
#[derive(Default)]
pub(crate) struct TokenReply(pub(crate) OnceCell<(String, EncodedLine)>);

impl fmt::Debug for TokenReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenReply(…)")
    }
}

impl CachedToken {
    pub(crate) fn life(&self) -> TokenLife {
        // The id of a record is random.
        let share = self.wanted.record_id.get(..2).and_then(|byte| u8::from_str_radix(byte, 16).ok());
        TokenLife { issued: self.issued, ends: self.ends, share: share.unwrap_or_default() }
    }

    /// When it ends by the wall clock of now, which may have been set since the token was minted.
    pub(crate) fn expires_at_by(&self, now: Now) -> u64 {
        let end = now.unix.saturating_add(self.ends.saturating_sub(now.boot).as_secs());
        if end.abs_diff(self.expires_at) <= CLOCK_SET { self.expires_at } else { end }
    }

    /// A session token that lay sealed beside its record, if it still lives. The wall clock is all there is to
    /// say so: one that claims to come from the future, or to live longer than it did at first, is not believed. Nor
    /// does it live longer than it says itself: the clock of the host that sealed it may have been ahead.
    pub(crate) fn restored(
        sealed: SessionToken,
        wanted: CacheKey,
        issuer: &str,
        boot_id: &str,
        now: Now,
    ) -> Option<Self> {
        let age = Duration::from_secs(now.unix.checked_sub(sealed.issued_at)?);
        let own = Jwt::read(sealed.access_token.expose().as_bytes()).ok().and_then(|jwt| jwt.expires_at());
        let expires_at = own.map_or(sealed.expires_at, |own| own.min(sealed.expires_at));
        let left = Duration::from_secs(expires_at.checked_sub(now.unix).filter(|left| *left > 0)?);
        Some(Self {
            wanted,
            access_token: sealed.access_token,
            granted: sealed.scope,
            issuer: issuer.to_owned(),
            boot_id: boot_id.to_owned(),
            // A machine that has been up for less than the token's age: it is due for renewal the sooner.
            issued: now.boot.saturating_sub(age),
            ends: now.boot + left,
            expires_at,
            jti: sealed.jti,
            reply: TokenReply::default(),
        })
    }

    /// As a client gets it.
    pub(crate) fn for_account(&self, account: &str) -> Token {
        Token {
            access_token: self.access_token.duplicate(),
            issuer: self.issuer.clone(),
            account: account.to_owned(),
            scope: self.granted.clone(),
            audience: self.wanted.audience.clone(),
            expires_at: self.expires_at,
        }
    }
}

/// The cache directory of one user on one host.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: Directory,
    boot_id: String,
    parsed: ParsedFiles<CachedToken>,
}

impl Cache {
    /// In `directory`, in the boot named `boot_id`.
    pub(crate) fn new(directory: Directory, boot_id: String) -> Self {
        Self { directory, boot_id, parsed: ParsedFiles::default() }
    }

    /// The boot that times in entries belong to.
    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The token for `wanted`, if there is one that still lives. Best effort: what cannot be read is not there.
    pub(crate) fn find(&self, wanted: &CacheKey, now: Duration) -> Option<Rc<CachedToken>> {
        let is_ours = |token: &CachedToken| self.is_for(token, wanted);
        let token = self.parsed.read(&self.directory, is_ours, || wanted.file_name(), MAX_ENTRY)?;
        token.life().lives_at(now).then_some(token)
    }

    /// The token for `wanted` that was minted last, whether or not it lives.
    pub(crate) fn last(&self, wanted: &CacheKey) -> Option<CachedToken> {
        self.entry(&wanted.file_name()).filter(|token| self.is_for(token, wanted))
    }

    fn is_for(&self, token: &CachedToken, wanted: &CacheKey) -> bool {
        token.wanted == *wanted && token.boot_id == self.boot_id && token.ends < END_OF_TIME
    }

    /// Lets go of what was read.
    pub(super) fn forget_parsed(&self) {
        self.parsed.forget();
    }

    /// Puts `token` in the place of the one before.
    pub(crate) fn put(&self, token: &CachedToken, now: Now) -> Result<(), DirectoryError> {
        let name = token.wanted.file_name();
        self.make_room(&name, now.boot)?;
        let bytes = zeroize::Zeroizing::new(serde_json::to_vec(token).unwrap_or_default());
        if bytes.len() > MAX_ENTRY {
            return Err(DirectoryError::TooLarge { path: self.directory.path().join(name) });
        }
        self.directory.replace(&name, &bytes, Durability::Volatile)
    }

    /// Removes what was cached for a record.
    pub(crate) fn forget(&self, record_id: &str) -> Result<(), DirectoryError> {
        self.remove_if(|entry| entry.is_none_or(|token| token.wanted.record_id == record_id))
    }

    /// Removes everything.
    pub(crate) fn clear(&self) -> Result<(), DirectoryError> {
        self.remove_if(|_| true)
    }

    fn make_room(&self, for_name: &str, now: Duration) -> Result<(), DirectoryError> {
        let names = self.directory.names()?;
        if names.len() < MAX_ENTRIES || names.iter().any(|name| name == for_name) {
            return Ok(());
        }
        let mut living = Vec::new();
        for name in names {
            match self.entry(&name).filter(|token| token.life().lives_at(now)) {
                Some(token) => living.push((token.issued, name)),
                // What cannot be removed keeps no other from going.
                None => drop(self.directory.remove(&name)),
            }
        }
        living.sort();
        let surplus = living.len().saturating_sub(KEPT_ENTRIES);
        living.iter().take(surplus).try_for_each(|(_, name)| self.directory.remove(name))
    }

    fn remove_if(&self, unwanted: impl Fn(Option<&CachedToken>) -> bool) -> Result<(), DirectoryError> {
        let mut names = self.directory.names()?;
        names.retain(|name| unwanted(self.entry(name).as_ref()));
        let mut removed = Ok(());
        // What cannot be removed keeps no other from going.
        for name in names {
            removed = self.directory.remove(&name).and(removed);
        }
        removed
    }

    fn entry(&self, name: &str) -> Option<CachedToken> {
        let bytes = zeroize::Zeroizing::new(self.directory.read(name, MAX_ENTRY).ok()??);
        serde_json::from_slice(&bytes).ok()
    }
}

#[cfg(test)]
mod tests;
