//! What the site, its provider files and the user have configured. Reads files, and only those it is given.
//!
//! `/etc/iam-session/config.toml` and `config.d/*.toml` are the site's, `issuers.d/*.toml` its providers, and
//! `~/.config/iam-session/config.toml` the user's, which narrows and never widens; `issuers.d/*.toml` beside it adds
//! providers of the user's own, for the command line alone. iam-session.toml(5) and
//! iam-session-issuers(5) are the prose. A file that is not there is fine; one that cannot be read, or that
//! says something we do not understand, is an error of one line.

mod document;
mod error;
mod export;
mod linger;
mod notice;
mod password_flow;
mod policy;
mod programs;
mod provider;
mod providers;
mod roles;
mod scope_table;
mod site;
mod store_locks;
mod subject;
mod user;
mod value;

pub use error::ConfigError;
pub use export::ExportChoice;
pub use linger::{Linger, LingerFor};
pub use notice::Notice;
pub use password_flow::PasswordFlow;
pub use policy::effective_session_scope;
pub use provider::{OfflineAccess, Provider, ProviderFileOwner, Registration, Revocation};
pub use providers::{DefaultProvider, Providers, Why};
pub use roles::{RoleDefinition, Roles};
pub use scope_table::ScopeTable;
pub use site::{LARGEST_TOKEN_FILE, Site, StoreDir, TOKEN_FILE};
pub use store_locks::StoreLocks;
pub use subject::ExpectedSubject;
pub use user::User;
pub use value::{client_id, issuer_url, same_issuer};
