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
mod tests;
