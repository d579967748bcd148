//! What the site, its provider files and the user have configured. Reads files, and only those it is given.
//!
//! `/etc/iam-session/config.toml` and `config.d/*.toml` are the site's, `issuers.d/*.toml` its providers, and
//! `~/.config/iam-session/config.toml` the user's, which narrows and never widens. iam-session.toml(5) and
//! iam-session-issuers(5) are the prose. A file that is not there is fine; one that cannot be read, or that
//! says something we do not understand, is an error of one line.

mod document;
mod error;
mod linger;
mod policy;
mod provider;
mod roles;
mod site;
mod user;
mod value;

pub use error::ConfigError;
pub use linger::{Linger, LingerFor};
pub use policy::effective_session_scope;
pub use provider::{Provider, Providers};
pub use roles::{Role, Roles};
pub use site::{Site, StoreDir};
pub use user::User;
pub use value::{issuer_url, same_issuer};
