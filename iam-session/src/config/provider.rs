//! One file of `issuers.d`: an issuer as the site, or the user, knows it. Touches nothing.

use super::document::{ConfigEntry, Document};
use super::scope_table::ScopeTable;
use super::subject::{ExpectedSubject, SUBJECT};
use super::value::{
    ABSOLUTE, ACCOUNT, CLIENT_ID, ENDPOINT, ISSUER, SCOPE, absolute_path, account, client_id, endpoint,
    group, issuer_url, proxy, same_issuer, scopes,
};
use super::{ConfigError, Notice};
use crate::issuer::wire::{AudienceMode, Endpoints, Transport};
use crate::origin::is_of_same_server;
use crate::protocol::Failure;
use crate::scope::ScopeSet;

/// The keys, for who misspells one.
const KEYS: [&str; 22] = [
    "alias",
    "issuer",
    "formerly",
    "name",
    "scope",
    "session_scope",
    "audience",
    "audience_scopes",
    "scope_sets",
    "offline_access",
    "revocation",
    "registration",
    "client_id",
    "device_authorization_endpoint",
    "groups",
    "expect_subject",
    "subject_domains",
    "notice",
    "notice_file",
    "ca_file",
    "ca_dir",
    "proxy",
];
/// Those of them that a user's own file may not have: they say what the site's users are let do, and are told.
const SITE_KEYS: [&str; 10] = [
    "formerly",
    "session_scope",
    "audience_scopes",
    "scope_sets",
    "revocation",
    "groups",
    "expect_subject",
    "subject_domains",
    "notice",
    "notice_file",
];
const YES_OR_NO: &str = "\"yes\" or \"no\"";
const ISSUERS: &str = "an array of https:// URLs, each a string without user, query or fragment";
const DOMAINS: &str = "an array of names of domains, as they stand in login names";
const GROUPS: &str = "an array of names or numbers of Unix groups, each a string";

/// Who has written a provider's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderFileOwner {
    /// The site; all keys hold.
    Site,
    /// The user, or nobody.
    User,
}

/// What an issuer ends when a refresh token is revoked (RFC 7009 §2.1 leaves it open).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revocation {
    /// That refresh token and what came of it, as INDIGO IAM.
    #[default]
    Token,
    /// All that the user has granted to the client, as Keycloak before 26.1.
    Grant,
}

/// Whether an enrolment asks for `offline_access`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfflineAccess {
    /// It is how an issuer is asked for a refresh token (OpenID Connect Core §11).
    #[default]
    Asked,
    /// The issuer refuses it, and gives a refresh token without, as Google and GitLab.
    Unknown,
}

/// Whether clients can register themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// As the issuer says.
    #[default]
    Open,
    /// Only administrators register clients, whatever the discovery document says.
    Closed,
}

/// One issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// What users call it, and the default name of their account.
    pub alias: String,
    /// Its URL.
    pub issuer: String,
    /// Its URLs before it moved. What was enrolled there is replaced by an enrolment here, and only that.
    pub formerly: Vec<String>,
    /// Its name for people.
    pub name: Option<String>,
    /// Who says all this.
    pub whose: ProviderFileOwner,
    /// What to ask for at enrolment.
    pub scope: Option<ScopeSet>,
    /// What may go into the token file, instead of the site's default.
    pub session_scope: Option<ScopeSet>,
    /// How it takes an audience.
    pub audience_mode: AudienceMode,
    /// Audiences that it sets for a scope.
    pub audience_scopes: ScopeTable,
    /// Scopes that stand for others, which the tokens have in their place.
    pub scope_sets: ScopeTable,
    /// Whether it is asked for `offline_access`.
    pub offline_access: OfflineAccess,
    /// Where a device code is asked for, if its discovery document does not say.
    pub device_authorization_endpoint: Option<String>,
    /// Whether it registers clients.
    pub registration: Registration,
    /// What it ends with a refresh token.
    pub revocation: Revocation,
    /// A public client that is there already: none is registered.
    pub client_id: Option<String>,
    /// Unix groups whose members mean this one where they name none.
    pub groups: Vec<String>,
    /// What the issuer must say of whoever enrols.
    pub expect_subject: Option<ExpectedSubject>,
    /// The domains of login names that may be left out of what is expected.
    pub subject_domains: Vec<String>,
    /// What the site has its users read first.
    pub notice: Option<Notice>,
    /// How it is reached.
    pub transport: Transport,
}

impl Provider {
    /// An issuer that no file lists.
    pub fn unlisted(issuer: &str, alias: &str) -> Self {
        Self {
            alias: alias.to_owned(),
            issuer: issuer.to_owned(),
            formerly: Vec::new(),
            name: None,
            whose: ProviderFileOwner::User,
            scope: None,
            session_scope: None,
            audience_mode: AudienceMode::default(),
            audience_scopes: ScopeTable::default(),
            scope_sets: ScopeTable::default(),
            offline_access: OfflineAccess::default(),
            device_authorization_endpoint: None,
            registration: Registration::default(),
            revocation: Revocation::default(),
            client_id: None,
            groups: Vec::new(),
            expect_subject: None,
            subject_domains: Vec::new(),
            notice: None,
            transport: Transport::default(),
        }
    }

    /// What its discovery document says, completed by what the file says. A client's secret goes there. So a file that any
    /// program of the user's can have written names no other server than the one that gets the secret anyway.
    pub fn completed(&self, mut endpoints: Endpoints) -> Endpoints {
        let may_name =
            |url: &String| self.whose == ProviderFileOwner::Site || is_of_same_server(url, &endpoints.token);
        let configured = || self.device_authorization_endpoint.clone().filter(may_name);
        endpoints.device_authorization = endpoints.device_authorization.or_else(configured);
        endpoints
    }

    /// What to ask for, for a token of `scope` for `audience`: an audience that has a scope is asked for by that.
    pub fn asking(&self, scope: &ScopeSet, audience: &str) -> (ScopeSet, String) {
        let (mut scope, mut named) = (scope.clone(), Vec::new());
        for name in audience.split_whitespace() {
            match self.audience_scopes.get(name) {
                Some(scopes) => scope = scope.union(scopes),
                None => named.push(name),
            }
        }
        (scope, named.join(" "))
    }

    /// Whether it had that URL before it moved, as the site says.
    pub fn was(&self, issuer: &str) -> bool {
        let had = self.formerly.iter().any(|former| same_issuer(former, issuer));
        had && self.whose == ProviderFileOwner::Site && !same_issuer(&self.issuer, issuer)
    }

    /// Whether a client can be registered, as far as the file says.
    ///
    /// # Errors
    /// [`Failure`], which says what to do.
    pub(crate) fn registers(&self) -> Result<(), Failure> {
        match self.registration {
            Registration::Open => Ok(()),
            Registration::Closed => {
                Err(Failure::refused(format!("{} registers no clients by itself", self.issuer))
                    .advise("name a client with --client-id, or ask the site for one of its own"))
            }
        }
    }

    /// Reads one file.
    pub(super) fn parse(document: &Document, whose: ProviderFileOwner) -> Result<Self, ConfigError> {
        let mut provider = Self { whose, ..Self::unlisted("", "") };
        document.each(|entry| {
            if whose == ProviderFileOwner::User && SITE_KEYS.contains(&entry.key()) {
                let accepted: Vec<_> = KEYS.into_iter().filter(|key| !SITE_KEYS.contains(key)).collect();
                return Err(entry.misplaced("the site", &accepted));
            }
            provider.set(entry)
        })?;
        if provider.issuer.is_empty() {
            return Err(document.lacks("'issuer' is missing", ISSUER));
        }
        if provider.alias.is_empty() {
            let stem = document.path().file_stem().map(|stem| stem.to_string_lossy());
            let alias = stem.and_then(|stem| account(&stem));
            provider.alias = alias.ok_or_else(|| {
                document.lacks("the file's name is no alias, and no 'alias' is set", ACCOUNT)
            })?;
        }
        Ok(provider)
    }

    fn set(&mut self, entry: &ConfigEntry<'_>) -> Result<(), ConfigError> {
        match entry.key() {
            "alias" => self.alias = entry.parsed(ACCOUNT, account)?,
            "issuer" => self.issuer = entry.parsed(ISSUER, issuer_url)?,
            "formerly" => self.formerly = issuers(entry)?,
            "name" => self.name = Some(entry.string("a string")?),
            "scope" => self.scope = Some(entry.parsed(SCOPE, scopes)?),
            "session_scope" => self.session_scope = Some(entry.parsed(SCOPE, scopes)?),
            "audience" => {
                self.audience_mode = entry.parsed("\"audience\", \"resource\" or \"none\"", audience_mode)?;
            }
            "audience_scopes" => self.audience_scopes.read(entry)?,
            "scope_sets" => self.scope_sets.read(entry)?,
            "offline_access" => self.offline_access = entry.parsed(YES_OR_NO, offline_access)?,
            "device_authorization_endpoint" => {
                self.device_authorization_endpoint = Some(entry.parsed(ENDPOINT, endpoint)?);
            }
            "registration" => self.registration = entry.parsed(YES_OR_NO, registration)?,
            "revocation" => self.revocation = entry.parsed("\"token\" or \"grant\"", revocation)?,
            "client_id" => self.client_id = Some(entry.parsed(CLIENT_ID, client_id)?),
            "groups" => self.groups = groups(entry)?,
            "expect_subject" => self.expect_subject = Some(entry.parsed(SUBJECT, ExpectedSubject::parse)?),
            "subject_domains" => self.subject_domains = domains(entry)?,
            "notice" => self.announce(entry, Notice::Text(entry.string("a string")?))?,
            "notice_file" => {
                let path = entry.parsed(ABSOLUTE, absolute_path)?;
                self.announce(entry, Notice::File(path.into()))?;
            }
            "ca_file" => self.transport.ca_file = Some(entry.parsed(ABSOLUTE, absolute_path)?),
            "ca_dir" => self.transport.ca_dir = Some(entry.parsed(ABSOLUTE, absolute_path)?),
            "proxy" => self.transport.proxy = Some(entry.parsed("http://HOST:PORT", proxy)?),
            _ => return Err(entry.unknown(&KEYS)),
        }
        Ok(())
    }

    fn announce(&mut self, entry: &ConfigEntry<'_>, notice: Notice) -> Result<(), ConfigError> {
        match self.notice.replace(notice) {
            None => Ok(()),
            Some(_) => Err(entry.surplus("there is a notice already", "'notice' or 'notice_file', not both")),
        }
    }
}

fn issuers(entry: &ConfigEntry<'_>) -> Result<Vec<String>, ConfigError> {
    let named = entry.strings(ISSUERS)?;
    named.iter().map(|text| issuer_url(text).ok_or_else(|| entry.wrong(text, ISSUERS))).collect()
}

fn domains(entry: &ConfigEntry<'_>) -> Result<Vec<String>, ConfigError> {
    let domains = entry.strings(DOMAINS)?;
    let is_one =
        |name: &String| !name.is_empty() && !name.contains(['@', '\\']) && !name.contains(char::is_control);
    match domains.iter().find(|name| !is_one(name)) {
        Some(wrong) => Err(entry.wrong(wrong, DOMAINS)),
        None => Ok(domains),
    }
}

fn groups(entry: &ConfigEntry<'_>) -> Result<Vec<String>, ConfigError> {
    let groups = entry.strings(GROUPS)?;
    match groups.iter().find(|name| !group(name)) {
        Some(wrong) => Err(entry.wrong(wrong, GROUPS)),
        None => Ok(groups),
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

fn offline_access(text: &str) -> Option<OfflineAccess> {
    match text {
        "yes" => Some(OfflineAccess::Asked),
        "no" => Some(OfflineAccess::Unknown),
        _ => None,
    }
}

fn registration(text: &str) -> Option<Registration> {
    match text {
        "yes" => Some(Registration::Open),
        "no" => Some(Registration::Closed),
        _ => None,
    }
}

fn revocation(text: &str) -> Option<Revocation> {
    match text {
        "token" => Some(Revocation::Token),
        "grant" => Some(Revocation::Grant),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, text: &str) -> Result<Provider, String> {
        Provider::parse(&Document::of(path, text), ProviderFileOwner::Site).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_of_one_line_is_enough() {
        let provider = parse("/etc/x/wlcg.toml", "issuer = \"https://wlcg.example/\"").unwrap();
        assert_eq!(
            provider,
            Provider {
                whose: ProviderFileOwner::Site,
                ..Provider::unlisted("https://wlcg.example/", "wlcg")
            }
        );
    }

    #[test]
    fn every_key_is_read() {
        let provider = parse(
            "p.toml",
            "alias = \"cms\"\nissuer = \"https://cms.example/\"\nname = \"CMS\"\nscope = \"openid offline_access\"\n\
             session_scope = \"openid\"\naudience = \"resource\"\nrevocation = \"grant\"\nca_file = \"/a.pem\"\nca_dir = \"/certs\"\n\
             proxy = \"http://p:3128\"\nclient_id = \"cms-login\"\ngroups = [\"zh\", \"1399\"]\n\
             expect_subject = \"preferred_username=%u\"\nnotice_file = \"/etc/motd\"\noffline_access = \"no\"\n\
             registration = \"no\"\nformerly = [\"https://old.example/\"]\ndevice_authorization_endpoint = \"https://cms.example/device?x\"\n\
             [audience_scopes]\n\"https://se.example\" = \"aud-se\"\n[scope_sets]\nset = \"storage.read:/a storage.create:/b\"\n",
        )
        .unwrap();
        let transport = Transport {
            ca_file: Some("/a.pem".into()),
            ca_dir: Some("/certs".into()),
            proxy: Some("http://p:3128".into()),
        };
        assert_eq!((provider.alias.as_str(), provider.audience_mode), ("cms", AudienceMode::Resource));
        assert_eq!((provider.name.as_deref(), &provider.transport), (Some("CMS"), &transport));
        assert!(provider.was("https://old.example") && !provider.was("https://cms.example/"));
        assert_eq!(provider.scope, Some(ScopeSet::parse("offline_access openid")));
        assert_eq!(provider.revocation, Revocation::Grant);
        assert_eq!(provider.session_scope, Some(ScopeSet::parse("openid")));
        assert_eq!(
            (provider.client_id.as_deref(), provider.groups.join(" ").as_str()),
            (Some("cms-login"), "zh 1399")
        );
        assert_eq!(provider.expect_subject, ExpectedSubject::parse("preferred_username=%u"));
        assert_eq!(provider.notice, Some(Notice::File("/etc/motd".into())));
        assert_eq!(provider.offline_access, OfflineAccess::Unknown);
        assert!(provider.registers().is_err() && Provider::unlisted("https://a/", "a").registers().is_ok());
        assert_eq!(
            provider.scope_sets.get("set"),
            Some(&ScopeSet::parse("storage.create:/b storage.read:/a"))
        );
        let none =
            Endpoints { token: "t".into(), device_authorization: None, registration: None, revocation: None };
        let completed = provider.completed(none.clone()).device_authorization;
        assert_eq!(completed.as_deref(), Some("https://cms.example/device?x"));
        let own = Endpoints { device_authorization: Some("https://own/".into()), ..none };
        assert_eq!(provider.completed(own.clone()), own);
    }

    #[test]
    fn what_the_site_decides_is_not_in_a_users_file() {
        let user = |line: &str| {
            let text = format!("issuer = \"https://a/\"\n{line}");
            Provider::parse(&Document::of("u.toml", &text), ProviderFileOwner::User)
                .map_err(|error| error.to_string())
        };
        assert_eq!(user("client_id = \"mine\"").unwrap().client_id.as_deref(), Some("mine"));
        for key in SITE_KEYS {
            let error = user(&format!("{key} = \"sub=%u\"")).unwrap_err();
            assert_eq!(
                error,
                format!(
                    "u.toml:2: '{key}' is for the site to set; accepted: alias, issuer, name, scope, audience, \
                     offline_access, registration, client_id, device_authorization_endpoint, ca_file, ca_dir, proxy"
                )
            );
        }
    }

    #[test]
    fn an_audience_that_has_a_scope_is_asked_for_by_it() {
        let provider = parse(
            "p.toml",
            "issuer = \"https://a/\"\n[audience_scopes]\n\"https://se.example\" = \"aud-se\"\n\"https://b\" = \"aud-b x\"",
        )
        .unwrap();
        let asking = |audience: &str| {
            let (scope, audience) = provider.asking(&ScopeSet::parse("openid"), audience);
            (scope.to_string(), audience)
        };
        assert_eq!(asking("https://se.example"), ("aud-se openid".into(), String::new()));
        assert_eq!(asking("https://c https://b d"), ("aud-b openid x".into(), "https://c d".into()));
        assert_eq!(asking(""), ("openid".into(), String::new()));
    }

    #[test]
    fn a_file_of_the_users_own_sends_no_secret_to_another_server() {
        let named = |whose, url: &str| {
            let provider = Provider {
                whose,
                device_authorization_endpoint: Some(url.into()),
                ..Provider::unlisted("https://iam.example/", "iam")
            };
            let token = "https://iam.example/token".to_owned();
            let none = Endpoints { token, device_authorization: None, registration: None, revocation: None };
            provider.completed(none).device_authorization
        };
        let (own, other) = ("https://iam.example/device", "https://evil.example/device");
        assert_eq!(named(ProviderFileOwner::Site, other).as_deref(), Some(other));
        assert_eq!(named(ProviderFileOwner::User, own).as_deref(), Some(own));
        assert_eq!(named(ProviderFileOwner::User, other), None);
    }

    #[test]
    fn the_shipped_files_and_the_manual_agree_with_us() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/config");
        let shipped = super::super::Providers::load(&directory).unwrap();
        assert!(shipped.by_alias("wlcg").is_some() && shipped.by_alias("egi").is_some());
        // Without one a terminal is asked.
        let narrow = ScopeSet::parse("wlcg wlcg.groups storage.read:/");
        for alias in ["alice", "atlas", "cms", "infn-cloud", "lhcb", "wlcg"] {
            assert_eq!(shipped.by_alias(alias).unwrap().scope.as_ref(), Some(&narrow), "{alias}");
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
            (
                "p.toml",
                "groups = [\"a\", \"b c\"]",
                format!("p.toml:1: groups = 'b c' is wrong; accepted: {GROUPS}"),
            ),
            (
                "p.toml",
                "client_id = \"a b\"",
                format!("p.toml:1: client_id = 'a b' is wrong; accepted: {CLIENT_ID}"),
            ),
            (
                "p.toml",
                "expect_subject = \"%u\"",
                format!("p.toml:1: expect_subject = '%u' is wrong; accepted: {SUBJECT}"),
            ),
            (
                "p.toml",
                "notice = \"a\"\nnotice_file = \"/b\"",
                "p.toml:2: there is a notice already; accepted: 'notice' or 'notice_file', not both".into(),
            ),
        ] {
            assert_eq!(parse(path, text), Err(expected));
        }
    }
}
