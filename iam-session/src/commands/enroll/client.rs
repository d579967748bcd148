//! Which client an enrolment, or one token, is asked for with: a new one, the site's, or one of the user's own. Reads the
//! files of secrets.

use std::path::PathBuf;

use clap::Args;

use super::EnrollArgs;
use super::given;
use super::person::Person;
use crate::config::{Provider, client_id};
use crate::issuer::wire::{Client, ClientAuth};
use crate::protocol::Failure;
use crate::secret::Secret;

/// The options that name a client which is there already.
#[derive(Debug, Default, Args)]
pub(in crate::commands) struct ClientArgs {
    /// A client that is registered already, in place of the site's or a new one
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// A file with that client's secret; '-' for standard input
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,
    /// How that client authenticates
    #[arg(long, value_name = "METHOD", requires = "client_id")]
    client_auth: Option<Method>,
}

impl ClientArgs {
    /// Whether they name one.
    pub(in crate::commands) fn name_one(&self) -> bool {
        self.client_id.is_some()
    }
}

/// Where the client comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// One is registered for this enrolment, and ours to delete.
    Registered {
        /// Some issuers want one.
        initial_access_token: Option<Secret>,
    },
    /// It is there already, and not ours to delete.
    Given(Given),
}

/// A client that somebody has registered before.
#[derive(Debug)]
pub(in crate::commands) struct Given {
    pub(super) client_id: String,
    secret: Option<Secret>,
    auth: Option<ClientAuth>,
}

/// How a client authenticates, as the option spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum Method {
    /// HTTP Basic (client_secret_basic)
    #[value(alias = "client_secret_basic")]
    Basic,
    /// In the form (client_secret_post)
    #[value(alias = "client_secret_post")]
    Post,
    /// A public client
    None,
}

impl From<Method> for ClientAuth {
    fn from(method: Method) -> Self {
        match method {
            Method::Basic => Self::Basic,
            Method::Post => Self::Post,
            Method::None => Self::Public,
        }
    }
}

impl Origin {
    /// What the command line names, else the provider's file, else a new one.
    pub(super) fn of(
        args: &EnrollArgs,
        provider: &Provider,
        person: Option<&Person>,
    ) -> Result<Self, Failure> {
        if let Some(path) = &args.initial_access_token_file {
            let token = given::from_file(path, "the initial access token")?;
            return Ok(Self::Registered { initial_access_token: Some(token) });
        }
        let given = Given::of(&args.client, provider, person)?;
        Ok(given.map_or(Self::Registered { initial_access_token: None }, Self::Given))
    }

    /// For a refresh token from elsewhere: it is good with the client that it was issued to, and no other.
    pub(super) fn given(&self) -> Result<&Given, Failure> {
        match self {
            Self::Given(given) => Ok(given),
            Self::Registered { .. } => Err(usage(
                "a refresh token is good only with the client that it was issued to".into(),
                "name that with --client-id",
            )),
        }
    }
}

impl Given {
    /// The one that the command line names, else that of the provider's file.
    pub(in crate::commands) fn of(
        args: &ClientArgs,
        provider: &Provider,
        person: Option<&Person>,
    ) -> Result<Option<Self>, Failure> {
        if let Some(id) = &args.client_id {
            return Self::named(args, id, person).map(Some);
        }
        let sites =
            |id: &String| Self { client_id: id.clone(), secret: None, auth: Some(ClientAuth::Public) };
        Ok(provider.client_id.as_ref().map(sites))
    }

    fn named(args: &ClientArgs, id: &str, person: Option<&Person>) -> Result<Self, Failure> {
        let client_id = client_id(id)
            .ok_or_else(|| usage(format!("'{id}' is no client_id"), "copy it from the issuer's page"))?;
        let auth = args.client_auth.map(ClientAuth::from);
        let secret = match (&args.client_secret_file, auth) {
            (Some(_), Some(ClientAuth::Public)) => {
                return Err(usage("a public client has no secret".into(), "leave out --client-secret-file"));
            }
            (Some(path), _) => Some(given::from_file(path, "the client's secret")?),
            (None, Some(ClientAuth::Basic | ClientAuth::Post)) => Some(asked(person)?),
            (None, _) => None,
        };
        Ok(Self { client_id, secret, auth })
    }

    /// The client as it is presented to an issuer that takes these methods.
    pub(in crate::commands) fn client(&self, methods: &[ClientAuth]) -> Client {
        let confidential = || {
            let posts = methods.contains(&ClientAuth::Post) && !methods.contains(&ClientAuth::Basic);
            if posts { ClientAuth::Post } else { ClientAuth::Basic }
        };
        let auth = match (self.auth, &self.secret) {
            (Some(auth), _) => auth,
            (None, Some(_)) => confidential(),
            (None, None) => ClientAuth::Public,
        };
        Client {
            client_id: self.client_id.clone(),
            client_secret: self.secret.as_ref().map(Secret::duplicate),
            auth,
            registration_client_uri: None,
            registration_access_token: None,
        }
    }
}

fn asked(person: Option<&Person>) -> Result<Secret, Failure> {
    let missing = || usage("the client's secret is missing".into(), "give it with --client-secret-file");
    let secret = person.ok_or_else(missing)?.ask_in_secret("The client's secret (not shown): ")?;
    if given::is_word(secret.expose()) { Ok(secret) } else { Err(missing()) }
}

fn usage(error: String, info: &str) -> Failure {
    Failure::usage(error).advise(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FailureKind;

    fn provider(client_id: Option<&str>) -> Provider {
        let client_id = client_id.map(str::to_owned);
        Provider { client_id, ..Provider::unlisted("https://i.example/", "i") }
    }

    fn given(args: &EnrollArgs, sites: Option<&str>) -> Given {
        match Origin::of(args, &provider(sites), None).unwrap() {
            Origin::Given(given) => given,
            other => panic!("{other:?}"),
        }
    }

    fn named(id: &str) -> EnrollArgs {
        enroll(ClientArgs { client_id: Some(id.into()), ..ClientArgs::default() })
    }

    fn enroll(client: ClientArgs) -> EnrollArgs {
        EnrollArgs { client, ..EnrollArgs::default() }
    }

    #[test]
    fn the_command_line_comes_before_the_site_and_the_site_before_a_new_one() {
        assert_eq!(given(&named("mine"), Some("sites")).client_id, "mine");
        let sites = given(&EnrollArgs::default(), Some("sites"));
        assert_eq!((sites.client_id.as_str(), sites.client(&[]).auth), ("sites", ClientAuth::Public));
        let new = Origin::of(&EnrollArgs::default(), &provider(None), None).unwrap();
        assert!(matches!(new, Origin::Registered { initial_access_token: None }));
        assert!(new.given().is_err());
    }

    #[test]
    fn a_client_authenticates_as_the_issuer_takes_it_unless_somebody_says_how() {
        use ClientAuth::{Basic, Post, Public};
        let secret = || Some(Secret::new("s".into()));
        let auth = |auth, secret, methods: &[ClientAuth]| {
            Given { client_id: "c".into(), secret, auth }.client(methods).auth
        };
        assert_eq!(auth(None, None, &[Basic]), Public);
        assert_eq!(auth(None, secret(), &[Post, Public]), Post);
        assert_eq!(auth(None, secret(), &[Post, Basic]), Basic);
        assert_eq!(auth(None, secret(), &[]), Basic);
        assert_eq!(auth(Some(Post), secret(), &[Basic]), Post);
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let failure = |args: &EnrollArgs| match Origin::of(args, &provider(None), None) {
            Err(failure) => (failure.error, failure.kind),
            Ok(other) => panic!("{other:?}"),
        };
        let secretless = enroll(ClientArgs { client_auth: Some(Method::Post), ..named("c").client });
        assert_eq!(failure(&secretless), ("the client's secret is missing".into(), FailureKind::Usage));
        let public = enroll(ClientArgs {
            client_auth: Some(Method::None),
            client_secret_file: Some("/dev/null".into()),
            ..named("c").client
        });
        assert_eq!(failure(&public), ("a public client has no secret".into(), FailureKind::Usage));
        assert_eq!(failure(&named("a b")).0, "'a b' is no client_id");
    }
}
