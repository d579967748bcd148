//! Settles everything about one token before the issuer is asked. Reads the environment.

use std::env;
use std::ffi::OsString;

use super::{OnceArgs, OnceFlow};
use crate::commands::named_client;
use crate::commands::passphrase::read_line_of;
use crate::commands::prompt::Person;
use crate::commands::providers_for_user::usable_directory;
use crate::commands::token::TokenArgs;
use crate::config::{PasswordFlow, Provider, Site};
use crate::protocol::{Failure, NamedClient};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// What every issuer knows (OpenID Connect Core §3.1.2.1), where nothing else is named or offered.
const LEAST: &str = "openid";
/// Stands for a refresh token (OpenID Connect Core §11).
const OFFLINE: &str = "offline_access";

/// Where a client comes from, for who wonders why it is not taken.
const NAMED: &str = "look at --client-id, --client-secret-file and --client-auth";
const SITES: &str = "it is the client_id of the provider's file; name another one with --client-id";

/// One token.
#[derive(Debug)]
pub(super) struct TokenPlan {
    pub(super) provider: Provider,
    pub(super) client: NamedClient,
    /// What to look at where the issuer does not take that client.
    pub(super) client_hint: &'static str,
    pub(super) audience: String,
    named: ScopeSet,
    /// What the site lets into a token file.
    usual: ScopeSet,
}

/// How the user logs in.
#[derive(Debug)]
pub(super) enum Login {
    /// With a browser on any device.
    Device,
    /// With a password, which is asked for unless it was given.
    Password { username: String, password: Option<Secret> },
}

impl TokenPlan {
    pub(super) fn new(
        args: &TokenArgs,
        mut provider: Provider,
        site: &Site,
        cert_dir: Option<OsString>,
        person: Option<&Person>,
    ) -> Result<Self, Failure> {
        if provider.transport.ca_dir.is_none() {
            provider.transport.ca_dir = cert_dir.and_then(usable_directory);
        }
        let request = args.request()?;
        if request.scope.iter().any(|scope| scope == OFFLINE) {
            return Err(usage(
                "'offline_access' is for a refresh token, and --once keeps none",
                "leave it out, or enrol: iam-session enroll",
            ));
        }
        let client = named_client::named(&args.once.client, &provider, person)?.ok_or_else(|| {
            let info = format!("the site has none for {}: name one with --client-id", provider.issuer);
            usage("which client?", &info)
        })?;
        Ok(Self {
            client,
            client_hint: if args.once.client.name_one() { NAMED } else { SITES },
            audience: request.audience,
            named: request.scope,
            usual: provider.session_scope.clone().unwrap_or_else(|| site.session_scope.clone()),
            provider,
        })
    }

    /// Whether the user has said what to ask for.
    pub(super) fn names_scopes(&self) -> bool {
        !self.named.is_empty()
    }

    /// What to ask an issuer for that advertises `offered`: what was named; else what would be in a token file, as far
    /// as it is offered.
    pub(super) fn wanted(&self, offered: &ScopeSet) -> ScopeSet {
        if self.names_scopes() {
            return self.named.clone();
        }
        // An issuer offers a scope that stands for others, and not those.
        let offered = offered.union(&self.provider.scope_sets.expand(offered));
        let usual: ScopeSet = self.usual.iter().filter(|scope| offered.allows(scope)).collect();
        if usual.is_empty() { ScopeSet::parse(LEAST) } else { usual }
    }
}

impl Login {
    pub(super) fn new(args: &OnceArgs, site: &Site) -> Result<Self, Failure> {
        match args.flow {
            OnceFlow::Device if args.username.is_some() || args.password_fd.is_some() => {
                Err(usage("the device flow takes no name and no password", "add --flow password"))
            }
            OnceFlow::Device => Ok(Self::Device),
            OnceFlow::Password if site.password_flow == PasswordFlow::No => {
                Err(Failure::refused("this site does not let its users give their password to a program")
                    .advise("use --flow device; the site's password_flow is in iam-session.toml(5)"))
            }
            OnceFlow::Password => {
                let username = args.username.clone().or_else(login_name).filter(|name| !name.is_empty());
                let username =
                    username.ok_or_else(|| usage("who logs in?", "name the user with --username"))?;
                let password = args
                    .password_fd
                    .map(|number| read_line_of(number, "password", "--password-fd"))
                    .transpose()?;
                if password.as_ref().is_some_and(Secret::is_empty) {
                    return Err(usage(
                        "the password is empty",
                        "its descriptor's first line must be the password",
                    ));
                }
                Ok(Self::Password { username, password })
            }
        }
    }
}

/// As sshd and login(1) set it: a static program asks no name service.
fn login_name() -> Option<String> {
    let set = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
    ["LOGNAME", "USER"].iter().find_map(set)
}

fn usage(error: &str, info: &str) -> Failure {
    Failure::usage(error).advise(info)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn args(line: &str) -> TokenArgs {
        let line = format!("token --once {line}");
        TokenArgs::try_parse_from(line.split_whitespace()).unwrap()
    }

    fn told(failure: Failure) -> String {
        format!("{}; {}", failure.error, failure.info.unwrap_or_default())
    }

    fn plan_at(provider: Provider, line: &str) -> Result<TokenPlan, String> {
        TokenPlan::new(&args(line), provider, &Site::default(), None, None).map_err(told)
    }

    fn plan(line: &str) -> Result<TokenPlan, String> {
        plan_at(Provider::unlisted("https://cms.example/", "cms"), &format!("--client-id c {line}"))
    }

    fn login(line: &str, site: &Site) -> Result<Login, String> {
        Login::new(&args(line).once, site).map_err(told)
    }

    fn permitting() -> Site {
        Site { password_flow: PasswordFlow::Yes, ..Site::default() }
    }

    #[test]
    fn what_is_named_is_asked_for_and_no_more() {
        let plan = plan("-s storage.read:/a -s compute.read --aud x").unwrap();
        assert_eq!(plan.wanted(&ScopeSet::parse("openid")), ScopeSet::parse("compute.read storage.read:/a"));
        assert_eq!(plan.audience, "x");
    }

    #[test]
    fn otherwise_it_is_what_a_token_file_may_hold_and_the_issuer_offers() {
        let plan = plan("").unwrap();
        let offered = ScopeSet::parse("openid profile storage.read:/ storage.modify:/");
        assert_eq!(plan.wanted(&offered), ScopeSet::parse("openid storage.read:/"));
        assert_eq!(plan.wanted(&ScopeSet::default()), ScopeSet::parse("openid"));
    }

    #[test]
    fn a_refresh_token_is_not_asked_for() {
        assert!(plan("-s offline_access").unwrap_err().contains("--once keeps none"));
    }

    #[test]
    fn a_password_is_taken_where_the_site_says_so() {
        let refused = login("--flow password --username alice", &Site::default()).unwrap_err();
        assert!(refused.starts_with("this site does not let its users give their password"), "{refused}");
        let login = login("--flow password --username alice", &permitting()).unwrap();
        assert!(matches!(login, Login::Password { username, password: None } if username == "alice"));
    }

    #[test]
    fn a_name_without_its_flow_is_a_mistake() {
        for options in ["--username alice", "--password-fd 0"] {
            let error = login(options, &permitting()).unwrap_err();
            assert_eq!(error, "the device flow takes no name and no password; add --flow password");
        }
    }

    #[test]
    fn the_sites_client_asks_unless_another_one_is_named() {
        let site = |id: Option<&str>| Provider {
            client_id: id.map(str::to_owned),
            ..Provider::unlisted("https://cms.example/", "cms")
        };
        let asks = |plan: Result<TokenPlan, String>| plan.map(|plan| plan.client.client(&[]).client_id);
        assert_eq!(asks(plan_at(site(Some("sites")), "")), Ok("sites".into()));
        assert_eq!(asks(plan_at(site(Some("sites")), "--client-id mine")), Ok("mine".into()));
        assert_eq!(
            asks(plan_at(site(None), "")),
            Err("which client?; the site has none for https://cms.example/: name one with --client-id".into())
        );
        assert!(asks(plan_at(site(None), "--client-id c --client-auth post")).is_err(), "without a secret");
    }

    #[test]
    fn the_options_belong_together() {
        for line in [
            "token --client-id c",
            "token --password-fd 3",
            "token --issuer wlcg",
            "token --once --client-secret-file f",
            "token --once --client-id c --account x",
            "token --once --client-id c --force",
            "token --once --client-id c --min-valid 5",
            "token --once --client-id c --client-secret s",
            "token --once --client-id c --password p",
        ] {
            assert!(TokenArgs::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
