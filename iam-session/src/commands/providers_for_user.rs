//! The providers that this user can name, and the groups that choose among them. Reads the configuration of site and
//! user; asks the name services.

use std::cell::Cell;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{ConfigError, Providers};
use crate::host::names;
use crate::outcome::warn;
use crate::paths::SITE_CONFIG;

/// A directory server that hangs costs the default provider, and no more than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// The site's providers and the user's own.
pub(super) fn known_providers() -> Result<Providers, ConfigError> {
    let providers = Providers::load(Path::new(SITE_CONFIG))?;
    match home() {
        Some(home) => providers.with_those_of(&home),
        None => Ok(providers),
    }
}

/// Where the shell says it is: a static program asks no name service.
fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

/// The Unix groups of this process. That they cannot be looked up is said once.
#[derive(Default)]
pub(super) struct Membership {
    has_failed: Cell<bool>,
}

impl Membership {
    /// Whether the user is in one of these. Name services that have once not answered are not asked again.
    pub(super) fn of(&self, groups: &[String]) -> bool {
        if self.has_failed.get() {
            return false;
        }
        names::is_in_one_of(groups, PATIENCE).unwrap_or_else(|error| {
            self.has_failed.set(true);
            warn(&format!("cannot look up the groups of the providers: {error}"));
            false
        })
    }
}

/// The grid's usual directory of CA certificates, as the user's environment has it. Agent and helper are started without
/// that environment: it is named to them, and goes into the record.
pub(super) fn usable_directory(directory: OsString) -> Option<String> {
    let text = directory.into_string().ok().filter(|text| !text.is_empty())?;
    if Path::new(&text).is_absolute() {
        return Some(text);
    }
    warn(&format!("X509_CERT_DIR is '{text}', not an absolute path, and is ignored"));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absolute_path_is_a_directory_of_certificates() {
        let usable = |text: &str| usable_directory(text.into());
        assert_eq!(
            usable("/etc/grid-security/certificates").as_deref(),
            Some("/etc/grid-security/certificates")
        );
        assert_eq!((usable("certs"), usable("")), (None, None));
    }
}
