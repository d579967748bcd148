//! `iam-session token`: prints an access token. Touches what the client touches; with `--once` an issuer
//! instead.

mod once;

use clap::Parser;
use zeroize::Zeroizing;

use self::once::OnceArgs;
use super::print_json;
use super::token_options::{TokenOptions, fetch};
use crate::outcome::{Exit, Outcome, Stop, print};
use crate::protocol::{Failure, TokenRequest};
use crate::secret::Secret;

/// As oidc-agent has it: whatever is cached, a new one.
const A_NEW_ONE: i64 = -1;

/// Print an access token, and nothing else, on standard output.
///
/// Without -s or --role: the session token, as it is in the token file.
#[derive(Debug, Default, Parser)]
#[command(name = "token", bin_name = "iam-session token")]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    wanted: TokenOptions,
    /// Seconds that the token must still live
    #[arg(long, value_name = "SECONDS")]
    min_valid: Option<u32>,
    /// Have the issuer mint a new token
    #[arg(long, conflicts_with = "min_valid")]
    force: bool,
    /// Print an object with access_token, issuer, account, scope, audience and expires_at
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    once: OnceArgs,
}

impl TokenArgs {
    fn request(&self) -> Result<TokenRequest, Failure> {
        self.wanted.request(if self.force { A_NEW_ONE } else { self.min_valid.map_or(0, i64::from) })
    }
}

pub(crate) fn run(args: TokenArgs) -> Outcome {
    if args.once.once {
        return once::run(&args);
    }
    let token = fetch(&args.request()?)?;
    if args.json {
        print_json(&token)?;
        return Ok(Exit::Done);
    }
    print_token(&token.access_token)?;
    Ok(Exit::Done)
}

/// The token and a newline, from a buffer that is wiped.
fn print_token(token: &Secret) -> Result<(), Stop> {
    let text = token.expose();
    let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    line.extend_from_slice(text.as_bytes());
    line.push(b'\n');
    print(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    fn request(line: &str) -> TokenRequest {
        TokenArgs::try_parse_from(line.split('|')).unwrap().request().unwrap()
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
