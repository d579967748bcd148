//! The client that an enrolment, or one token, is asked for with, where somebody names one. Reads the files of secrets.

use std::path::PathBuf;

use clap::Args;

use super::prompt::Person;
use super::secret_input::word;
use crate::config::{Provider, client_id};
use crate::issuer::wire::ClientAuth;
use crate::protocol::{Failure, NamedClient};
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

/// The client that the command line names, else that of the provider's file.
pub(in crate::commands) fn named(
    args: &ClientArgs,
    provider: &Provider,
    person: Option<&Person>,
) -> Result<Option<NamedClient>, Failure> {
    let Some(id) = &args.client_id else {
        let sites = |id: &String| NamedClient {
            client_id: id.clone(),
            client_secret: None,
            auth: Some(ClientAuth::Public),
        };
        return Ok(provider.client_id.as_ref().map(sites));
    };
    let client_id = client_id(id)
        .ok_or_else(|| usage(format!("'{id}' is no client_id"), "copy it from the issuer's page"))?;
    let auth = args.client_auth.map(ClientAuth::from);
    let client_secret = match (&args.client_secret_file, auth) {
        (Some(_), Some(ClientAuth::Public)) => {
            return Err(usage("a public client has no secret".into(), "leave out --client-secret-file"));
        }
        (Some(path), _) => Some(word::from_file(path, "the client's secret")?),
        (None, Some(ClientAuth::Basic | ClientAuth::Post)) => Some(asked(person)?),
        (None, _) => None,
    };
    Ok(Some(NamedClient { client_id, client_secret, auth }))
}

fn asked(person: Option<&Person>) -> Result<Secret, Failure> {
    let missing = || usage("the client's secret is missing".into(), "give it with --client-secret-file");
    let secret = person.ok_or_else(missing)?.ask_in_secret("The client's secret (not shown): ")?;
    if word::is_word(secret.expose()) { Ok(secret) } else { Err(missing()) }
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

    fn options(id: &str) -> ClientArgs {
        ClientArgs { client_id: Some(id.into()), ..ClientArgs::default() }
    }

    #[test]
    fn the_command_line_comes_before_the_site() {
        let id = |args: &ClientArgs, sites| {
            named(args, &provider(sites), None).unwrap().map(|client| (client.client_id, client.auth))
        };
        assert_eq!(id(&options("mine"), Some("sites")), Some(("mine".into(), None)));
        assert_eq!(
            id(&ClientArgs::default(), Some("sites")),
            Some(("sites".into(), Some(ClientAuth::Public)))
        );
        assert_eq!(id(&ClientArgs::default(), None), None);
    }

    #[test]
    fn a_client_authenticates_as_the_issuer_takes_it_unless_somebody_says_how() {
        use ClientAuth::{Basic, Post, Public};
        let secret = || Some(Secret::new("s".into()));
        let auth = |auth, client_secret, methods: &[ClientAuth]| {
            NamedClient { client_id: "c".into(), client_secret, auth }.client(methods).auth
        };
        assert_eq!(auth(None, None, &[Basic]), Public);
        assert_eq!(auth(None, secret(), &[Post, Public]), Post);
        assert_eq!(auth(None, secret(), &[Post, Basic]), Basic);
        assert_eq!(auth(None, secret(), &[]), Basic);
        assert_eq!(auth(Some(Post), secret(), &[Basic]), Post);
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let failure = |args: &ClientArgs| {
            let failure = named(args, &provider(None), None).unwrap_err();
            (failure.error, failure.kind)
        };
        let secretless = ClientArgs { client_auth: Some(Method::Post), ..options("c") };
        assert_eq!(failure(&secretless), ("the client's secret is missing".into(), FailureKind::Usage));
        let public = ClientArgs {
            client_auth: Some(Method::None),
            client_secret_file: Some("/dev/null".into()),
            ..options("c")
        };
        assert_eq!(failure(&public), ("a public client has no secret".into(), FailureKind::Usage));
        assert_eq!(failure(&options("a b")).0, "'a b' is no client_id");
    }
}
