//! `issuers.d/*.toml`: all issuers that the site, and then the user, know. Reads files.

use std::path::Path;

use super::document::{Document, files};
use super::provider::{Provider, ProviderFileOwner};
use super::value::same_issuer;
use super::{ConfigError, Site};

/// Below the site's configuration, and below the user's.
const DIRECTORY: &str = "issuers.d";
/// Below a home.
const USER_CONFIG: &str = ".config/iam-session";

/// Providers, the site's before the user's, each in the order of their files' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Providers(Vec<Provider>);

/// The provider that is meant where none is named.
#[derive(Debug, PartialEq, Eq)]
pub struct DefaultProvider<'a> {
    /// Which.
    pub provider: &'a Provider,
    /// Because of what.
    pub why: Why,
}

/// Why a provider is the default one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The user is in one of its `groups`.
    Groups,
    /// The site's `default_provider`.
    Site,
    /// There is no other that the site allows.
    Only,
}

impl Providers {
    /// Reads `issuers.d/*.toml` of the site, below `directory`.
    ///
    /// # Errors
    /// The first [`ConfigError`]; two files with one alias are one.
    pub fn load(directory: &Path) -> Result<Self, ConfigError> {
        let mut providers = Self::default();
        providers.add_all(&directory.join(DIRECTORY), ProviderFileOwner::Site)?;
        Ok(providers)
    }

    /// The same and the user's own, below `home`. What they say binds nobody: a mint reads them for the way to an
    /// issuer that the site does not name, and for nothing else.
    ///
    /// # Errors
    /// The first [`ConfigError`]; an alias or an issuer of the site's is one.
    pub fn with_those_of(mut self, home: &Path) -> Result<Self, ConfigError> {
        self.add_all(&home.join(USER_CONFIG).join(DIRECTORY), ProviderFileOwner::User)?;
        Ok(self)
    }

    fn add_all(&mut self, directory: &Path, whose: ProviderFileOwner) -> Result<(), ConfigError> {
        for path in files(directory)? {
            if let Some(document) = Document::read(&path)? {
                self.add(&document, whose)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, document: &Document, whose: ProviderFileOwner) -> Result<(), ConfigError> {
        let provider = Provider::parse(document, whose)?;
        if let Some(other) = self.by_alias(&provider.alias) {
            let owner = if other.whose == whose { "that of another file" } else { "one of the site's" };
            let what = format!("alias '{}' is already {owner}", provider.alias);
            return Err(document.lacks(&what, "an alias of its own"));
        }
        let sites = self.by_issuer(&provider.issuer).filter(|other| other.whose != whose);
        if let Some(sites) = sites {
            let what = format!("issuer {} is already the site's provider '{}'", provider.issuer, sites.alias);
            return Err(document.lacks(&what, "an issuer that the site does not list"));
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
        self.of_issuer(issuer).next()
    }

    /// One whose issuer differs from a URL in upper and lower case alone, as the realm of a Keycloak may.
    pub fn by_issuer_in_another_case(&self, issuer: &str) -> Option<&Provider> {
        let same = |provider: &&Provider| {
            same_issuer(&provider.issuer.to_ascii_lowercase(), &issuer.to_ascii_lowercase())
        };
        self.0.iter().find(same).filter(|_| self.by_issuer(issuer).is_none())
    }

    /// The one that an issuer has become, where the site says that it has moved.
    pub fn successor_of(&self, issuer: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.was(issuer))
    }

    /// All with that issuer.
    pub fn of_issuer(&self, issuer: &str) -> impl Iterator<Item = &Provider> {
        self.0.iter().filter(move |provider| same_issuer(&provider.issuer, issuer))
    }

    /// Those that `site` lets its users enrol with.
    pub fn allowed<'a>(&'a self, site: &Site) -> Vec<&'a Provider> {
        self.0.iter().filter(|provider| site.allows(&provider.issuer)).collect()
    }

    /// The provider that is meant where none is named: the one of the user's groups, and of several of those the
    /// site's default; else the site's default; else the only one. `is_member` says whether the user is in one of
    /// some groups.
    pub fn default_of<'a>(
        &'a self,
        site: &Site,
        mut is_member: impl FnMut(&[String]) -> bool,
    ) -> Option<DefaultProvider<'a>> {
        let allowed = self.allowed(site);
        let is_sites =
            |provider: &&&Provider| site.default_provider.as_deref() == Some(provider.alias.as_str());
        let of_groups: Vec<_> = allowed
            .iter()
            .filter(|provider| !provider.groups.is_empty() && is_member(&provider.groups))
            .collect();
        let of_groups = match of_groups.as_slice() {
            [one] => Some(**one),
            several => several.iter().copied().find(is_sites).copied(),
        };
        let sites = || allowed.iter().find(is_sites).copied();
        let only = || if let [only] = allowed.as_slice() { Some(*only) } else { None };
        let because = |why| move |provider| DefaultProvider { provider, why };
        of_groups
            .map(because(Why::Groups))
            .or_else(|| sites().map(because(Why::Site)))
            .or_else(|| only().map(because(Why::Only)))
    }

    #[cfg(test)]
    pub(crate) fn of(providers: Vec<Provider>) -> Self {
        Self(providers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(
        providers: &mut Providers,
        whose: ProviderFileOwner,
        path: &str,
        text: &str,
    ) -> Result<(), String> {
        providers.add(&Document::of(path, text), whose).map_err(|error| error.to_string())
    }

    fn site() -> Providers {
        let mut providers = Providers::default();
        add(&mut providers, ProviderFileOwner::Site, "d/a.toml", "issuer = \"https://a/\"").unwrap();
        providers
    }

    #[test]
    fn one_alias_names_one_provider() {
        assert_eq!(
            add(&mut site(), ProviderFileOwner::Site, "d/b.toml", "alias = \"a\"\nissuer = \"https://b/\""),
            Err("d/b.toml:1: alias 'a' is already that of another file; accepted: an alias of its own".into())
        );
    }

    #[test]
    fn a_users_own_stands_beside_the_sites_and_not_in_its_place() {
        let mut providers = site();
        add(&mut providers, ProviderFileOwner::User, "h/mine.toml", "issuer = \"https://mine/\"").unwrap();
        assert_eq!(providers.by_alias("mine").map(|provider| provider.whose), Some(ProviderFileOwner::User));
        assert_eq!(
            add(&mut providers, ProviderFileOwner::User, "h/a.toml", "issuer = \"https://b/\""),
            Err("h/a.toml:1: alias 'a' is already one of the site's; accepted: an alias of its own".into())
        );
        assert_eq!(
            add(&mut providers, ProviderFileOwner::User, "h/b.toml", "issuer = \"https://A:443\""),
            Err("h/b.toml:1: issuer https://A:443 is already the site's provider 'a'; \
                 accepted: an issuer that the site does not list"
                .into())
        );
    }

    #[test]
    fn an_issuer_in_another_case_is_another_one_and_its_like_is_found() {
        let mut providers = Providers::default();
        add(
            &mut providers,
            ProviderFileOwner::Site,
            "d/g.toml",
            "issuer = \"https://kc.example/realms/Grid\"",
        )
        .unwrap();
        let alias = |url| providers.by_issuer_in_another_case(url).map(|provider| provider.alias.as_str());
        assert_eq!(alias("https://kc.example/realms/grid/"), Some("g"));
        assert_eq!(alias("https://KC.example/realms/Grid"), None);
        assert_eq!(alias("https://kc.example/realms/other"), None);
    }

    fn provider(alias: &str, groups: &[&str]) -> Provider {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Provider { groups, ..Provider::unlisted(&format!("https://{alias}/"), alias) }
    }

    fn default(providers: &[Provider], sites: Option<&str>, member: &[&str]) -> Option<(String, Why)> {
        let site = Site { default_provider: sites.map(str::to_owned), ..Site::default() };
        let providers = Providers::of(providers.to_vec());
        let is_member = |groups: &[String]| groups.iter().any(|group| member.contains(&group.as_str()));
        let default = providers.default_of(&site, is_member);
        default.map(|default| (default.provider.alias.clone(), default.why))
    }

    #[test]
    fn the_users_groups_come_before_the_sites_default() {
        let all = [provider("cms", &["zh"]), provider("atlas", &["zp", "zz"]), provider("egi", &[])];
        let found = |sites, member| default(&all, sites, member);
        assert_eq!(found(None, &["zp"]), Some(("atlas".into(), Why::Groups)));
        assert_eq!(found(Some("egi"), &["zz"]), Some(("atlas".into(), Why::Groups)));
        assert_eq!(found(Some("egi"), &["users"]), Some(("egi".into(), Why::Site)));
        assert_eq!(found(Some("cms"), &["zp", "zh"]), Some(("cms".into(), Why::Groups)));
        assert_eq!(found(None, &["zp", "zh"]), None, "of two that match none is meant");
        assert_eq!(found(None, &[]), None);
    }

    #[test]
    fn the_only_one_that_the_site_allows_needs_no_name() {
        let all = [provider("cms", &["zh"]), provider("egi", &[])];
        assert_eq!(default(&all[1..], None, &[]), Some(("egi".into(), Why::Only)));
        assert_eq!(default(&all[..1], None, &[]), Some(("cms".into(), Why::Only)));
        let site = Site { allowed_issuers: Some(vec!["https://egi".into()]), ..Site::default() };
        let providers = Providers::of(all.to_vec());
        let default = providers.default_of(&site, |_| true);
        assert_eq!(default.map(|default| default.provider.alias.as_str()), Some("egi"));
    }
}
