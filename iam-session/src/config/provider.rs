//! `issuers.d/*.toml`: the issuers that a site knows, one file each. Reads files.

use std::path::Path;

use super::ConfigError;
use super::document::{Document, files};
use super::value::{
    ABSOLUTE, ACCOUNT, ISSUER, SCOPE, absolute_path, account, issuer_url, proxy, same_issuer, scopes,
};
use crate::issuer::wire::{AudienceMode, Transport};
use crate::scope::ScopeSet;

/// The keys, for who misspells one.
const KEYS: [&str; 9] =
    ["alias", "issuer", "name", "scope", "session_scope", "audience", "ca_file", "ca_dir", "proxy"];

/// One issuer as the site knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// What users call it, and the default name of their account.
    pub alias: String,
    /// Its URL.
    pub issuer: String,
    /// Its name for people.
    pub name: Option<String>,
    /// What to ask for at enrolment.
    pub scope: Option<ScopeSet>,
    /// What may go into the token file, instead of the site's default.
    pub session_scope: Option<ScopeSet>,
    /// How it takes an audience.
    pub audience_mode: AudienceMode,
    /// How it is reached.
    pub transport: Transport,
}

impl Provider {
    /// An issuer that no file lists.
    pub fn unlisted(issuer: &str, alias: &str) -> Self {
        Self {
            alias: alias.to_owned(),
            issuer: issuer.to_owned(),
            name: None,
            scope: None,
            session_scope: None,
            audience_mode: AudienceMode::default(),
            transport: Transport::default(),
        }
    }

    fn parse(document: &Document) -> Result<Self, ConfigError> {
        let stem = document.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let mut provider = Self::unlisted("", "");
        document.each(|entry| {
            match entry.key() {
                "alias" => provider.alias = entry.parsed(ACCOUNT, account)?,
                "issuer" => provider.issuer = entry.parsed(ISSUER, issuer_url)?,
                "name" => provider.name = Some(entry.string("a string")?),
                "scope" => provider.scope = Some(entry.parsed(SCOPE, scopes)?),
                "session_scope" => provider.session_scope = Some(entry.parsed(SCOPE, scopes)?),
                "audience" => {
                    provider.audience_mode =
                        entry.parsed("\"audience\", \"resource\" or \"none\"", audience_mode)?;
                }
                "ca_file" => provider.transport.ca_file = Some(entry.parsed(ABSOLUTE, absolute_path)?),
                "ca_dir" => provider.transport.ca_dir = Some(entry.parsed(ABSOLUTE, absolute_path)?),
                "proxy" => provider.transport.proxy = Some(entry.parsed("http://HOST:PORT", proxy)?),
                _ => return Err(entry.unknown(&KEYS)),
            }
            Ok(())
        })?;
        if provider.issuer.is_empty() {
            return Err(document.lacks("'issuer' is missing", ISSUER));
        }
        if provider.alias.is_empty() {
            let alias = stem.and_then(|stem| account(&stem));
            provider.alias = alias.ok_or_else(|| {
                document.lacks("the file's name is no alias, and no 'alias' is set", ACCOUNT)
            })?;
        }
        Ok(provider)
    }
}

fn audience_mode(text: &str) -> Option<AudienceMode> {
    match text {
        "audience" => Some(AudienceMode::Audience),
        "resource" => Some(AudienceMode::Resource),
        "none" => Some(AudienceMode::None),
        _ => None,
    }
}

/// The site's providers, in the order of their files' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Providers(Vec<Provider>);

impl Providers {
    /// Reads `issuers.d/*.toml` below `directory`.
    ///
    /// # Errors
    /// The first [`ConfigError`]; two files with one alias are one.
    pub fn load(directory: &Path) -> Result<Self, ConfigError> {
        let mut providers = Self::default();
        for path in files(&directory.join("issuers.d"))? {
            if let Some(document) = Document::read(&path)? {
                providers.add(&document)?;
            }
        }
        Ok(providers)
    }

    fn add(&mut self, document: &Document) -> Result<(), ConfigError> {
        let provider = Provider::parse(document)?;
        if self.by_alias(&provider.alias).is_some() {
            let what = format!("alias '{}' is already that of another file", provider.alias);
            return Err(document.lacks(&what, "an alias of its own"));
        }
        self.0.push(provider);
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.iter()
    }

    /// The one with that alias.
    pub fn by_alias(&self, alias: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.alias == alias)
    }

    /// The first one with that issuer.
    pub fn by_issuer(&self, issuer: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| same_issuer(&provider.issuer, issuer))
    }

    #[cfg(test)]
    pub(crate) fn of(providers: Vec<Provider>) -> Self {
        Self(providers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, text: &str) -> Result<Provider, String> {
        Provider::parse(&Document::of(path, text)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_of_one_line_is_enough() {
        let provider = parse("/etc/x/wlcg.toml", "issuer = \"https://wlcg.example/\"").unwrap();
        assert_eq!(provider, Provider::unlisted("https://wlcg.example/", "wlcg"));
    }

    #[test]
    fn every_key_is_read() {
        let provider = parse(
            "p.toml",
            "alias = \"cms\"\nissuer = \"https://cms.example/\"\nname = \"CMS\"\nscope = \"openid offline_access\"\n\
             session_scope = \"openid\"\naudience = \"resource\"\nca_file = \"/a.pem\"\nca_dir = \"/certs\"\n\
             proxy = \"http://p:3128\"\n",
        )
        .unwrap();
        let transport = Transport {
            ca_file: Some("/a.pem".into()),
            ca_dir: Some("/certs".into()),
            proxy: Some("http://p:3128".into()),
        };
        assert_eq!((provider.alias.as_str(), provider.audience_mode), ("cms", AudienceMode::Resource));
        assert_eq!((provider.name.as_deref(), provider.transport), (Some("CMS"), transport));
        assert_eq!(provider.scope, Some(ScopeSet::parse("offline_access openid")));
        assert_eq!(provider.session_scope, Some(ScopeSet::parse("openid")));
    }

    #[test]
    fn the_shipped_files_and_the_manual_agree_with_us() {
        for (file, text) in [
            ("wlcg.toml", include_str!("../../../packaging/config/issuers.d/wlcg.toml")),
            ("egi.toml", include_str!("../../../packaging/config/issuers.d/egi.toml")),
        ] {
            assert!(parse(file, text).is_ok(), "{file}");
        }
        let page = include_str!("../../../packaging/man/iam-session-issuers.5");
        for key in KEYS {
            assert!(page.contains(&format!(".B {key}\n")), "{key}");
        }
    }

    #[test]
    fn a_mistake_is_one_line_with_its_place() {
        for (path, text, expected) in [
            ("p.toml", "", format!("p.toml:1: 'issuer' is missing; accepted: {ISSUER}")),
            ("p.toml", "\nissuer = \"a\"", format!("p.toml:2: issuer = 'a' is wrong; accepted: {ISSUER}")),
            (
                "a b.toml",
                "issuer = \"https://a/\"",
                format!(
                    "a b.toml:1: the file's name is no alias, and no 'alias' is set; accepted: {ACCOUNT}"
                ),
            ),
            ("p.toml", "audience = \"aud\"", {
                let accepted = "\"audience\", \"resource\" or \"none\"";
                format!("p.toml:1: audience = 'aud' is wrong; accepted: {accepted}")
            }),
            (
                "p.toml",
                "ca_dir = \"certs\"",
                "p.toml:1: ca_dir = 'certs' is wrong; accepted: an absolute path".into(),
            ),
            (
                "p.toml",
                "[issuer]\nurl = \"\"",
                format!("p.toml:1: issuer is of type table; accepted: {ISSUER}"),
            ),
            (
                "p.toml",
                "client = \"x\"",
                format!("p.toml:1: unknown key 'client'; accepted: {}", KEYS.join(", ")),
            ),
        ] {
            assert_eq!(parse(path, text), Err(expected));
        }
    }

    #[test]
    fn one_alias_names_one_provider() {
        let mut providers = Providers::default();
        providers.add(&Document::of("d/a.toml", "issuer = \"https://a/\"")).unwrap();
        let again = providers.add(&Document::of("d/b.toml", "alias = \"a\"\nissuer = \"https://b/\""));
        assert_eq!(
            again.map_err(|error| error.to_string()),
            Err("d/b.toml:1: alias 'a' is already that of another file; accepted: an alias of its own"
                .to_owned())
        );
    }
}
