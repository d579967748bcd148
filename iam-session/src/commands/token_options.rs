//! The options of `token` and `run` that say what a token is for. Reads the configuration if they name a role.

use clap::Args;

use super::role;
use crate::client::{self, Places};
use crate::clock;
use crate::config::RoleDefinition;
use crate::outcome::Stop;
use crate::protocol::{Failure, Token, TokenRequest};
use crate::text;

/// A token is as good as asked for although some seconds have passed since the issuer made it.
const ON_THE_WAY: u64 = 5;

/// The options.
#[derive(Debug, Default, Args)]
pub(super) struct TokenOptions {
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

impl TokenOptions {
    /// The request for it. What a role stands for takes the role's place; an audience that was named stays.
    pub(super) fn request(&self, min_valid_period: i64) -> Result<TokenRequest, Failure> {
        // An empty variable of a script's would otherwise give the session's wide token.
        for (option, values) in [("-s", &self.scopes), ("--aud", &self.audiences)] {
            if values.iter().any(|value| value.trim().is_empty()) {
                return Err(Failure::usage(format!("{option} is empty")).advise(
                    "leave it out for the session's token; in a script, see whether its variable is set",
                ));
            }
        }
        let role = match &self.role {
            Some(name) => role::named(name)?,
            None => RoleDefinition { scope: self.scopes.iter().collect(), audience: String::new() },
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

/// A token that lives as long as was asked for.
pub(super) fn fetch(request: &TokenRequest) -> Result<Token, Stop> {
    let wanted = u64::try_from(request.min_valid_period).unwrap_or_default();
    let token = client::token(&Places::of_environment(), request)?;
    let left = token.expires_at.saturating_sub(clock::unix_time());
    if left + ON_THE_WAY < wanted {
        let left = text::duration(left);
        return Err(Failure::refused(format!(
            "{} gives no token that lives for {wanted} s: this one has {left} left",
            token.issuer
        ))
        .advise("ask for less with --min-valid")
        .into());
    }
    Ok(token)
}
