//! The providers that this user can name, and the groups that choose among them. Reads the configuration of site and
//! user; asks the name services.

use std::cell::Cell;
use std::env;
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
