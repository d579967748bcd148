//! The accounts file: what is known of the user's accounts without opening the store. It holds no secret. Touches the
//! agents' directory.
//!
//! `agent mint` writes it whenever it has looked at the store; every agent of the user reads it.

use serde::{Deserialize, Serialize};

use super::cache::CacheKey;
use crate::config::{ExportChoice, Linger, LingerFor, TOKEN_FILE, same_issuer};
use crate::directory::{Directory, DirectoryError, Durability};
use crate::protocol::Failure;
use crate::scope::ScopeSet;

pub(super) const NAME: &str = "accounts.json";
pub(super) const MAX_FILE: usize = 256 * 1024;

/// The accounts of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)] // written by whichever version of the mint has looked last
pub(crate) struct AccountBook {
    /// Whose token is in the file.
    pub(crate) default_account: Option<String>,
    pub(crate) entries: Vec<AccountEntry>,
    /// Whether the site names the provider that its users enrol with, so that one who has not may be told.
    pub(crate) invites: bool,
    /// Whether agents stay for what a login left running.
    pub(crate) linger: Linger,
    /// Whether a login sets the variable of the token file.
    pub(crate) export: ExportChoice,
    /// The largest token file that the site has written, in bytes.
    pub(crate) max_token_file: usize,
    /// Why the accounts file may be wrong or empty: the store or the configuration cannot be read.
    pub(crate) trouble: Option<Failure>,
}

impl Default for AccountBook {
    /// Where nothing is known, nothing is allowed.
    fn default() -> Self {
        Self {
            default_account: None,
            entries: Vec::new(),
            invites: false,
            linger: Linger { what: LingerFor::No, ..Linger::default() },
            export: ExportChoice::Yes,
            max_token_file: TOKEN_FILE,
            trouble: None,
        }
    }
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountEntry {
    pub(crate) name: String,
    pub(crate) issuer: String,
    /// The client that it was granted to; empty where nothing opens the record.
    #[serde(default)]
    pub(crate) client_id: String,
    /// In hexadecimal.
    pub(crate) record_id: String,
    pub(crate) subject: Option<String>,
    /// What was granted.
    pub(crate) scope: ScopeSet,
    /// What of it the session token carries.
    pub(crate) session_scope: ScopeSet,
    /// Seconds since the epoch.
    pub(crate) enrollment_ends_at: Option<u64>,
    /// Why the record cannot be used, if it cannot.
    pub(crate) trouble: Option<Failure>,
    /// Seconds since the epoch; of a record that somebody has opened.
    #[serde(default)]
    pub(crate) enrolled_at: Option<u64>,
    /// Whether one of the keys comes from a passphrase.
    #[serde(default)]
    pub(crate) has_passphrase: bool,
    /// The ids, in hexadecimal, of the keys of which each opens the record.
    #[serde(default)]
    pub(crate) keys: Vec<String>,
}

impl AccountEntry {
    /// What the session token is cached as.
    pub(crate) fn session_token(&self) -> CacheKey {
        CacheKey {
            record_id: self.record_id.clone(),
            scope: self.session_scope.clone(),
            audience: String::new(),
        }
    }
}

impl AccountBook {
    /// What the last look at the store wrote, if any agent has looked.
    pub(crate) fn read(directory: &Directory) -> Option<Self> {
        serde_json::from_slice(&directory.read(NAME, MAX_FILE).ok()??).ok()
    }

    /// Replaces what the last look wrote.
    pub(crate) fn write(&self, directory: &Directory) -> Result<(), DirectoryError> {
        directory.replace(NAME, &serde_json::to_vec(self).unwrap_or_default(), Durability::Volatile)
    }

    /// The account with this name, or the default one.
    pub(crate) fn find(&self, name: Option<&str>) -> Option<&AccountEntry> {
        let name = name.or(self.default_account.as_deref())?;
        self.entries.iter().find(|entry| entry.name == name)
    }
}

impl AccountBook {
    /// The name of the account that is meant by a name or by its issuer's URL; `None` stays the default one.
    ///
    /// # Errors
    /// [`Failure`]: no account of that issuer, or several.
    pub(crate) fn resolve<'a>(&'a self, asked: Option<&'a str>) -> Result<Option<&'a str>, Failure> {
        // No account name has a colon.
        let Some(issuer) = asked.filter(|asked| asked.contains("://")) else { return Ok(asked) };
        let accounts = self.entries.iter().map(|entry| (entry.name.as_str(), entry.issuer.as_str()));
        of_issuer(accounts, issuer).map(Some)
    }
}

/// The one account of an issuer, among accounts with their names and issuers.
pub(crate) fn of_issuer<'a>(
    accounts: impl Iterator<Item = (&'a str, &'a str)>,
    issuer: &str,
) -> Result<&'a str, Failure> {
    let of_issuer = accounts.filter(|(_, other)| same_issuer(other, issuer));
    let names: Vec<&str> = of_issuer.map(|(name, _)| name).collect();
    match names[..] {
        [name] => Ok(name),
        [] => Err(Failure::not_enrolled(format!("no account of yours is one of {issuer}"))
            .advise("'iam-session list' shows the accounts")),
        _ => Err(Failure::usage(format!("several of your accounts are of {issuer}: {}", names.join(", ")))
            .advise("name one of them")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::protocol::FailureKind;

    pub(crate) fn entry(name: &str) -> AccountEntry {
        AccountEntry {
            name: name.into(),
            issuer: "https://issuer.example/".into(),
            client_id: "id-1".into(),
            record_id: "01".into(),
            subject: Some("5a1c".into()),
            scope: ScopeSet::parse("openid offline_access storage.read:/ storage.create:/cms"),
            session_scope: ScopeSet::parse("openid storage.read:/"),
            enrollment_ends_at: None,
            trouble: None,
            enrolled_at: Some(1),
            has_passphrase: false,
            keys: vec!["0101010101010101".into()],
        }
    }

    pub(crate) fn book(entries: Vec<AccountEntry>) -> AccountBook {
        let default_account = entries.first().map(|entry| entry.name.clone());
        AccountBook { default_account, entries, ..AccountBook::default() }
    }

    #[test]
    fn without_a_name_the_default_account_is_meant() {
        let book = book(vec![entry("a"), entry("b")]);
        let found = |name| book.find(name).map(|entry| entry.name.as_str());
        assert_eq!((found(None), found(Some("b")), found(Some("c"))), (Some("a"), Some("b"), None));
    }
    #[test]
    fn an_issuer_stands_for_its_only_account() {
        let other = AccountEntry { issuer: "https://other.example".into(), ..entry("c") };
        let book = book(vec![entry("a"), entry("b"), other]);
        let resolved = |asked| book.resolve(asked).map_err(|failure| failure.kind);
        assert_eq!((resolved(None), resolved(Some("b"))), (Ok(None), Ok(Some("b"))));
        assert_eq!(resolved(Some("https://other.example/")), Ok(Some("c")));
        assert_eq!(resolved(Some("https://issuer.example")), Err(FailureKind::Usage));
        assert_eq!(resolved(Some("https://none.example/")), Err(FailureKind::NotEnrolled));
    }
}
