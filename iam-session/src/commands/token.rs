//! `iam-session token`: prints an access token. Touches the agent's socket.

use clap::Parser;
use zeroize::Zeroizing;

use super::{print_json, role};
use crate::cli::{Exit, Outcome, Stop, print};
use crate::client::{Agent, Places};
use crate::protocol::{Request, Token, TokenRequest};

/// As oidc-agent has it: whatever is cached, a new one.
const A_NEW_ONE: i64 = -1;

/// Print an access token, and nothing else, on standard output.
///
/// Without -s: the session token, as it is in the token file.
#[derive(Debug, Default, Parser)]
#[command(name = "token", bin_name = "iam-session token")]
pub(crate) struct TokenArgs {
    /// Scopes the token should carry; may be repeated, or name several
    #[arg(short, long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A name for scopes and an audience, from the configuration
    #[arg(long, value_name = "NAME", conflicts_with = "scopes")]
    role: Option<String>,
    /// Who the token is for; may be repeated
    #[arg(long = "aud", alias = "audience", value_name = "AUD")]
    audiences: Vec<String>,
    /// The account to use instead of the default one
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Seconds that the token must still live
    #[arg(long, value_name = "SECONDS")]
    min_valid: Option<u32>,
    /// Have the issuer mint a new token
    #[arg(long, conflicts_with = "min_valid")]
    force: bool,
    /// Print an object with access_token, issuer, account, scope, audience and expires_at
    #[arg(long)]
    json: bool,
}

impl TokenArgs {
    /// Puts what the role stands for in its place; an audience that was named stays.
    fn resolve_role(&mut self) -> Result<(), Stop> {
        let Some(name) = self.role.take() else { return Ok(()) };
        let role = role::named(&name)?;
        self.scopes = vec![role.scope.to_string()];
        if self.audiences.is_empty() {
            self.audiences.push(role.audience);
        }
        Ok(())
    }

    fn request(&self) -> TokenRequest {
        let audiences: Vec<&str> = self.audiences.iter().flat_map(|one| one.split_whitespace()).collect();
        TokenRequest {
            account: self.account.clone(),
            scope: self.scopes.iter().collect(),
            audience: audiences.join(" "),
            min_valid_period: if self.force { A_NEW_ONE } else { self.min_valid.map_or(0, i64::from) },
        }
    }
}

pub(crate) fn run(mut args: TokenArgs) -> Outcome {
    args.resolve_role()?;
    let mut agent = Agent::find(&Places::of_environment())?;
    let token: Token = agent.ask(&Request::AccessToken(args.request()))?;
    if args.json {
        print_json(&token)?;
        return Ok(Exit::Done);
    }
    let text = token.access_token.expose();
    let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    line.extend_from_slice(text.as_bytes());
    line.push(b'\n');
    print(&line)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    fn request(line: &str) -> TokenRequest {
        TokenArgs::try_parse_from(line.split('|')).unwrap().request()
    }

    #[test]
    fn no_option_asks_for_the_session_token() {
        assert_eq!(request("token"), TokenRequest::default());
    }

    #[test]
    fn scopes_and_audiences_add_up() {
        let request = request("token|-s|b a|-s|c|--aud|x y|--aud|z|--account|cms|--min-valid|60");
        assert_eq!(request.scope, ScopeSet::parse("a b c"));
        assert_eq!(request.audience, "x y z");
        assert_eq!((request.account.as_deref(), request.min_valid_period), (Some("cms"), 60));
    }

    #[test]
    fn force_asks_for_a_new_token() {
        assert_eq!(request("token|--force").min_valid_period, -1);
    }

    #[test]
    fn a_negative_validity_is_refused() {
        assert!(TokenArgs::try_parse_from(["token", "--min-valid=-1"]).is_err());
    }
}
