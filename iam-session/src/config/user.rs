//! `~/.config/iam-session/config.toml`: a user narrows what the site allows. Reads one file.

use std::path::Path;

use super::document::Document;
use super::linger::{self, Linger};
use super::roles::Roles;
use super::value::{ACCOUNT, SCOPE, account, scopes};
use super::{ConfigError, ExportChoice, export, programs, site};
use crate::scope::ScopeSet;

/// The keys, for who misspells one.
const KEYS: [&str; 7] =
    ["session_scope", "default_account", "linger", "linger_max", "roles", "export", "programs"];

/// The user's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Intersected with what the site lets into the token file.
    pub session_scope: Option<ScopeSet>,
    /// The account whose token is in the file.
    pub default_account: Option<String>,
    /// The file and the line that say so.
    pub default_account_at: Option<String>,
    /// What of the site's policy the user wants to make use of.
    pub linger: Linger,
    /// The user's own names for scopes and audiences, beside the site's.
    pub roles: Roles,
    /// Whether logins set the variable of the token file.
    pub export: ExportChoice,
    /// The programs that a shell starts without a token, by the lines of `env --alias`.
    pub without_token: Vec<String>,
}

impl User {
    /// Reads the file below `home`.
    ///
    /// # Errors
    /// The first [`ConfigError`].
    pub fn load(home: &Path) -> Result<Self, ConfigError> {
        let mut user = Self::default();
        if let Some(document) = Document::read(&home.join(".config/iam-session/config.toml"))? {
            user.apply(&document)?;
        }
        Ok(user)
    }

    fn apply(&mut self, document: &Document) -> Result<(), ConfigError> {
        document.each(|entry| {
            match entry.key() {
                "session_scope" => self.session_scope = Some(entry.parsed(SCOPE, scopes)?),
                "default_account" => {
                    self.default_account = Some(entry.parsed(ACCOUNT, account)?);
                    self.default_account_at = Some(entry.place());
                }
                "linger" => self.linger.what = entry.parsed(linger::KIND, linger::kind)?,
                "linger_max" => self.linger.max = entry.parsed(linger::SPAN, linger::span)?,
                "roles" => self.roles.read(entry)?,
                "export" => self.export = entry.parsed(export::EXPORT, export::export)?,
                "programs" => self.without_token = programs::without_token(entry)?,
                key if site::KEYS.contains(&key) => return Err(entry.misplaced("the site", &KEYS)),
                _ => return Err(entry.unknown(&KEYS)),
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<User, String> {
        let mut user = User::default();
        user.apply(&Document::of("c.toml", text)).map_err(|error| error.to_string())?;
        Ok(user)
    }

    #[test]
    fn a_user_narrows_and_chooses() {
        let user = parse("session_scope = \"openid\"\ndefault_account = \"cms\"\n").unwrap();
        assert_eq!(user.session_scope, Some(ScopeSet::parse("openid")));
        assert_eq!(user.default_account.as_deref(), Some("cms"));
        assert_eq!(user.default_account_at.as_deref(), Some("c.toml:2"));
        let user = parse("export = \"no\"\n[programs]\nwithout_token = [\"rucio\"]\n").unwrap();
        assert_eq!((user.export, user.without_token), (ExportChoice::No, vec!["rucio".to_owned()]));
        assert_eq!(User::default().export, ExportChoice::Yes);
    }

    #[test]
    fn every_key_is_in_the_manual() {
        let page = include_str!("../../../packaging/man/iam-session.toml.5");
        let (_, own) = page.split_once(".SH USER KEYS\n").unwrap();
        for key in KEYS {
            assert!(own.contains(&format!(".B {key}\n")), "{key}");
        }
    }

    #[test]
    fn what_is_the_sites_is_not_the_users_to_set() {
        let accepted =
            "accepted: session_scope, default_account, linger, linger_max, roles, export, programs";
        assert_eq!(
            parse("\nstore_dir = \"/tmp\""),
            Err(format!("c.toml:2: 'store_dir' is for the site to set; {accepted}"))
        );
        assert_eq!(parse("lingers = 1"), Err(format!("c.toml:1: unknown key 'lingers'; {accepted}")));
        assert_eq!(
            parse("default_account = \"../x\""),
            Err(format!("c.toml:1: default_account = '../x' is wrong; accepted: {ACCOUNT}"))
        );
    }
}
