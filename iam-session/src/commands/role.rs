//! Finds the scopes and audiences that a role stands for. Reads the site's files and the user's.
//!
//! Only the command line reads roles. Agents decide by scopes and audiences alone, and do not ask a client about
//! policy.

use std::env;
use std::path::{Path, PathBuf};

use crate::config::{RoleDefinition, Roles, Site, User};
use crate::paths::SITE_CONFIG;
use crate::protocol::Failure;

/// The role of that name: the site's, or one of the user's own.
pub(crate) fn named(name: &str) -> Result<RoleDefinition, Failure> {
    let site = Site::load(Path::new(SITE_CONFIG))?.roles;
    if let Some(role) = site.get(name) {
        // What is wrong in the user's file does not keep the site's roles away.
        return Ok(role.clone());
    }
    let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let user = home.map(|home| User::load(&home)).transpose()?.unwrap_or_default().roles;
    find(name, &site.or(user))
}

fn find(name: &str, roles: &Roles) -> Result<RoleDefinition, Failure> {
    if let Some(role) = roles.get(name) {
        return Ok(role.clone());
    }
    let known: Vec<&str> = roles.names().collect();
    let info = match known.is_empty() {
        true => "there is none: name scopes with -s; iam-session.toml(5) says how to define roles".to_owned(),
        false => format!("there are: {}", known.join(", ")),
    };
    Err(Failure::usage(format!("there is no role '{name}'")).advise(info))
}
