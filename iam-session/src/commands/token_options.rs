//! The options of `token` and `run` that say what a token is for. Reads the configuration if they name a role.

use clap::Args;

use super::role;
use crate::config::Role;
use crate::protocol::{Failure, TokenRequest};

/// The options.
#[derive(Debug, Default, Args)]
pub(super) struct Wanted {
    /// Scopes the token should carry; may be repeated, or name several
    #[arg(short, long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A name for scopes and an audience, from the configuration
    #[arg(long, value_name = "NAME", conflicts_with = "scopes")]
    role: Option<String>,
    /// The server that the token is for, its audience; may be repeated
    #[arg(long = "aud", alias = "audience", value_name = "AUD")]
    audiences: Vec<String>,
    /// The account to use instead of the default one
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

impl Wanted {
    /// The request for it. What a role stands for takes the role's place; an audience that was named stays.
    pub(super) fn request(&self, min_valid_period: i64) -> Result<TokenRequest, Failure> {
        let role = match &self.role {
            Some(name) => role::named(name)?,
            None => Role { scope: self.scopes.iter().collect(), audience: String::new() },
        };
        let audiences: Vec<&str> = self.audiences.iter().flat_map(|one| one.split_whitespace()).collect();
        Ok(TokenRequest {
            account: self.account.clone(),
            scope: role.scope,
            audience: if audiences.is_empty() { role.audience } else { audiences.join(" ") },
            min_valid_period,
        })
    }
}
