//! `config.toml` and `config.d/*.toml`: what holds for everybody on this host. Reads files.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::document::{ConfigEntry, Document, files};
use super::linger::{self, Linger};
use super::password_flow::{PASSWORD_FLOW, PasswordFlow, password_flow};
use super::roles::Roles;
use super::store_locks::{STORE_LOCKS, StoreLocks, store_locks};
use super::value::{ACCOUNT, ISSUER, SCOPE, account, issuer_url, same_issuer, scopes};
use crate::scope::ScopeSet;

/// Wide enough to read data and to be a WLCG token, and nothing that changes anything.
const SESSION_SCOPE: &str = "openid storage.read:/ wlcg";
/// Where a sealed record lies unless the site says otherwise.
const STORE_DIR: &str = "%h/.local/state/iam-session";
/// `iam-session:<site>:<user>` must stay within the 256 characters that INDIGO IAM takes.
const MAX_SITE: usize = 100;
/// The keys, for who misspells one.
pub(super) const KEYS: [&str; 11] = [
    "site",
    "session_scope",
    "store_dir",
    "store_locks",
    "default_provider",
    "allowed_issuers",
    "linger",
    "linger_max",
    "password_flow",
    "max_token_file",
    "roles",
];

/// In bytes, with the line's end: xrootd refuses a larger file, and with it the authentication.
pub const TOKEN_FILE: usize = 4096;
/// HTCondor reads no larger one.
pub const LARGEST_TOKEN_FILE: usize = 16 * 1024;

const BYTES: &str = "a number of bytes, 4096 to 16384";
const NAME: &str = "1 to 100 of A-Z a-z 0-9 . _ -";
const TEMPLATE: &str = "an absolute path, or one beginning with %h; %u is the user's name, %U the uid, %h the home, %% a percent sign";
const ISSUERS: &str = "an array of https:// URLs";

/// The site's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The middle part of the clients' names; the host's name if absent.
    pub site: Option<String>,
    /// What may go into a token file, where a provider's file does not say otherwise.
    pub session_scope: ScopeSet,
    /// Where the sealed records are.
    pub store_dir: StoreDir,
    /// Whether hosts may share one user's.
    pub store_locks: StoreLocks,
    /// The alias of the provider that `iam-session enroll` means without an argument.
    pub default_provider: Option<String>,
    /// The only issuers to enrol with; any if absent.
    pub allowed_issuers: Option<Vec<String>>,
    /// Whether agents stay for what a login left running.
    pub linger: Linger,
    /// Whether `token --once` takes a password.
    pub password_flow: PasswordFlow,
    /// The largest token file that is written, in bytes.
    pub max_token_file: usize,
    /// Names for scopes and audiences.
    pub roles: Roles,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            site: None,
            session_scope: ScopeSet::parse(SESSION_SCOPE),
            store_dir: StoreDir(STORE_DIR.to_owned()),
            store_locks: StoreLocks::default(),
            default_provider: None,
            allowed_issuers: None,
            linger: Linger::default(),
            password_flow: PasswordFlow::default(),
            max_token_file: TOKEN_FILE,
            roles: Roles::default(),
        }
    }
}

impl Site {
    /// Reads `config.toml`, then `config.d/*.toml` in order, below `directory`; a later value wins.
    ///
    /// # Errors
    /// The first [`ConfigError`].
    pub fn load(directory: &Path) -> Result<Self, ConfigError> {
        let mut site = Self::default();
        let mut paths = vec![directory.join("config.toml")];
        paths.extend(files(&directory.join("config.d"))?);
        for path in paths {
            if let Some(document) = Document::read(&path)? {
                site.apply(&document)?;
            }
        }
        Ok(site)
    }

    /// Whether the site lets its users enrol with `issuer`.
    pub fn allows(&self, issuer: &str) -> bool {
        let allowed = self.allowed_issuers.as_ref();
        allowed.is_none_or(|issuers| issuers.iter().any(|one| same_issuer(one, issuer)))
    }

    fn apply(&mut self, document: &Document) -> Result<(), ConfigError> {
        document.each(|entry| {
            match entry.key() {
                "site" => self.site = Some(entry.parsed(NAME, site_name)?),
                "session_scope" => self.session_scope = entry.parsed(SCOPE, scopes)?,
                "store_dir" => self.store_dir = entry.parsed(TEMPLATE, StoreDir::parse)?,
                "store_locks" => self.store_locks = entry.parsed(STORE_LOCKS, store_locks)?,
                "default_provider" => self.default_provider = Some(entry.parsed(ACCOUNT, account)?),
                "allowed_issuers" => self.allowed_issuers = Some(issuers(entry)?),
                "linger" => self.linger.what = entry.parsed(linger::KIND, linger::kind)?,
                "linger_max" => self.linger.max = entry.parsed(linger::SPAN, linger::span)?,
                "password_flow" => self.password_flow = entry.parsed(PASSWORD_FLOW, password_flow)?,
                "max_token_file" => self.max_token_file = token_file_size(entry)?,
                "roles" => self.roles.read(entry)?,
                _ => return Err(entry.unknown(&KEYS)),
            }
            Ok(())
        })
    }
}

fn token_file_size(entry: &ConfigEntry<'_>) -> Result<usize, ConfigError> {
    let size = entry.number(BYTES)?;
    match (TOKEN_FILE..=LARGEST_TOKEN_FILE).contains(&size) {
        true => Ok(size),
        false => Err(entry.wrong(&size.to_string(), BYTES)),
    }
}

fn site_name(text: &str) -> Option<String> {
    let legal = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    (legal && (1..=MAX_SITE).contains(&text.len())).then(|| text.to_owned())
}

fn issuers(entry: &ConfigEntry<'_>) -> Result<Vec<String>, ConfigError> {
    let issuers = entry.strings(ISSUERS)?;
    match issuers.iter().find(|text| issuer_url(text).is_none()) {
        Some(wrong) => Err(entry.wrong(wrong, ISSUER)),
        None => Ok(issuers),
    }
}

/// The template of the store's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDir(String);

impl StoreDir {
    fn parse(text: &str) -> Option<Self> {
        let begins_well = super::value::absolute_path(text).is_some() || text.starts_with("%h/");
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c == '%' && !matches!(chars.next(), Some('u' | 'U' | 'h' | '%')) {
                return None;
            }
        }
        (begins_well && !text.contains('\0')).then(|| Self(text.to_owned()))
    }

    /// The directory of one user, from the identity that the login gave.
    pub fn expand(&self, user: &str, uid: u32, home: &Path) -> PathBuf {
        // The home may hold any bytes; only the template is text.
        let mut path = std::ffi::OsString::new();
        let mut chars = self.0.chars();
        while let Some(c) = chars.next() {
            match (c, if c == '%' { chars.next() } else { None }) {
                ('%', Some('u')) => path.push(user),
                ('%', Some('U')) => path.push(uid.to_string()),
                ('%', Some('h')) => path.push(home),
                _ => path.push(c.encode_utf8(&mut [0; 4])),
            }
        }
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn parse(text: &str) -> Result<Site, String> {
        let mut site = Site::default();
        site.apply(&Document::of("/etc/x/config.toml", text)).map_err(|error| error.to_string())?;
        Ok(site)
    }

    #[test]
    fn every_key_is_read() {
        let site = parse(
            "# comment\nsite = \"cern.ch\"\nsession_scope = \"openid\"\nstore_dir = \"/var/lib/x/%U\"\n\
             default_provider = \"wlcg\"\nallowed_issuers = [\"https://a.example/\"]\nlinger = \"no\"\nlinger_max = \"8h\"\n\
             password_flow = \"yes\"\nmax_token_file = 16384\n[roles.write]\nscope = \"storage.modify:/x\"\n",
        )
        .unwrap();
        assert_eq!(site.site.as_deref(), Some("cern.ch"));
        assert_eq!(site.session_scope, ScopeSet::parse("openid"));
        assert_eq!(
            site.store_dir.expand("alice", 1000, Path::new("/home/alice")),
            Path::new("/var/lib/x/1000")
        );
        assert_eq!(site.default_provider.as_deref(), Some("wlcg"));
        assert_eq!((site.linger.what, site.linger.max.as_secs()), (linger::LingerFor::No, 8 * 3600));
        assert_eq!(site.roles.names().collect::<Vec<_>>(), ["write"]);
        assert!(site.allows("https://a.example") && !site.allows("https://b.example/"));
        assert_eq!((site.password_flow, site.max_token_file), (PasswordFlow::Yes, 16384));
    }

    #[test]
    fn the_defaults_are_narrow() {
        let site = Site::load(Path::new("/nonexistent")).unwrap();
        assert_eq!(site, Site::default());
        assert_eq!(site.session_scope.to_string(), "openid storage.read:/ wlcg");
        assert_eq!(site.password_flow, PasswordFlow::No);
        assert!(site.allows("https://anything.example/"));
        let store = site.store_dir.expand("alice", 1000, Path::new("/home/alice"));
        assert_eq!(store, Path::new("/home/alice/.local/state/iam-session"));
    }

    #[test]
    fn a_mistake_is_one_line_with_its_place() {
        let keys = KEYS.join(", ");
        let at = "/etc/x/config.toml";
        for (text, expected) in [
            ("\n\nlingers = 1\n", format!("{at}:3: unknown key 'lingers'; accepted: {keys}")),
            (
                "password_flow = true",
                format!("{at}:1: password_flow is of type boolean; accepted: {PASSWORD_FLOW}"),
            ),
            ("linger = \"yes\"", format!("{at}:1: linger = 'yes' is wrong; accepted: {}", linger::KIND)),
            (
                "linger_max = \"2d\"",
                format!("{at}:1: linger_max = '2d' is wrong; accepted: {}", linger::SPAN),
            ),
            ("max_token_file = 4095", format!("{at}:1: max_token_file = '4095' is wrong; accepted: {BYTES}")),
            ("max_token_file = -1", format!("{at}:1: max_token_file = '-1' is wrong; accepted: {BYTES}")),
            (
                "max_token_file = \"8k\"",
                format!("{at}:1: max_token_file is of type string; accepted: {BYTES}"),
            ),
            ("site = 1", format!("{at}:1: site is of type integer; accepted: {NAME}")),
            ("site = \"a b\"", format!("{at}:1: site = 'a b' is wrong; accepted: {NAME}")),
            ("\nsession_scope = \"\"", format!("{at}:2: session_scope = '' is wrong; accepted: {SCOPE}")),
            ("store_dir = \"/x/%q\"", format!("{at}:1: store_dir = '/x/%q' is wrong; accepted: {TEMPLATE}")),
            ("store_dir = \"x/%u\"", format!("{at}:1: store_dir = 'x/%u' is wrong; accepted: {TEMPLATE}")),
            (
                "allowed_issuers = \"https://a/\"",
                format!("{at}:1: allowed_issuers is of type string; accepted: {ISSUERS}"),
            ),
            (
                "allowed_issuers = [\n\"http://a/\"]",
                format!("{at}:1: allowed_issuers = 'http://a/' is wrong; accepted: {ISSUER}"),
            ),
        ] {
            assert_eq!(parse(text), Err(expected));
        }
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_line() {
        let error = parse("site = \"a\"\nsession_scope = \n").unwrap_err();
        assert!(
            error.starts_with("/etc/x/config.toml:2: ") && error.ends_with("; accepted: TOML"),
            "{error}"
        );
        assert!(!error.contains('\n'));
    }

    #[test]
    fn the_sample_shows_every_key_and_the_true_defaults() {
        let sample = include_str!("../../../packaging/config/config.toml");
        assert_eq!(parse(sample), Ok(Site::default()));
        // A key is commented out with '#' alone, prose with '# '.
        let keys =
            sample.lines().filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')));
        let site = parse(&keys.collect::<Vec<_>>().join("\n")).unwrap();
        let default = Site::default();
        assert_eq!((site.session_scope, site.store_dir), (default.session_scope, default.store_dir));
        assert_eq!((site.linger, site.password_flow), (default.linger, default.password_flow));
        assert_eq!(site.max_token_file, default.max_token_file);
        assert!(site.roles.names().next().is_some());
        assert!(site.site.is_some() && site.default_provider.is_some() && site.allowed_issuers.is_some());
    }

    #[test]
    fn every_key_is_in_the_manual() {
        let page = include_str!("../../../packaging/man/iam-session.toml.5");
        for key in KEYS {
            assert!(page.contains(&format!(".B {key}\n")), "{key}");
        }
    }

    #[test]
    fn later_files_win() {
        let directory = Scratch::new();
        for (name, value) in [
            ("config.toml", "a"),
            ("config.d/20.toml", "c"),
            ("config.d/10.toml", "b"),
            ("config.d/30.txt", "d"),
        ] {
            directory.write(name, format!("site = \"{value}\"\n"));
        }
        assert_eq!(Site::load(&directory).unwrap().site.as_deref(), Some("c"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let directory = Scratch::new();
        std::fs::create_dir(directory.join("config.toml")).unwrap();
        let error = Site::load(&directory).unwrap_err().to_string();
        assert_eq!(error, format!("cannot read {}/config.toml: not a regular file", directory.display()));
    }
}
