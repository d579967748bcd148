//! The client that options describe. Reads the file that holds its secret.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::{Method, OnceArgs};
use crate::commands::enroll::flow::preferred;
use crate::issuer::wire::{Client, ClientAuth};
use crate::protocol::{Failure, FailureKind};
use crate::secret::Secret;

/// Far longer than the secrets that issuers make up.
const MAX_SECRET: usize = 4096;

/// A client before it is known what its issuer wants.
#[derive(Debug)]
pub(super) struct Given {
    id: String,
    secret: Option<Secret>,
    method: Option<Method>,
}

impl Given {
    pub(super) fn new(args: &OnceArgs) -> Result<Self, Failure> {
        let id = args.client_id.clone().unwrap_or_default();
        if id.is_empty() {
            return Err(usage("the client_id is empty".to_owned(), "name a client with --client-id"));
        }
        let secret = args.client_secret_file.as_deref().map(read_secret).transpose()?;
        match (args.client_auth, &secret) {
            (Some(Method::Public), Some(_)) => Err(usage(
                "a client that authenticates by 'none' has no secret".to_owned(),
                "leave out --client-secret-file or --client-auth",
            )),
            (Some(Method::Basic | Method::Post), None) => Err(usage(
                "that way of authentication needs the client's secret".to_owned(),
                "name the file that holds it with --client-secret-file",
            )),
            (method, _) => Ok(Self { id, secret, method }),
        }
    }

    /// The client, at an issuer that takes these ways of authentication.
    pub(super) fn at(self, methods: &[ClientAuth]) -> Client {
        let auth = match (self.method, &self.secret) {
            (Some(method), _) => method.into(),
            (None, None) => ClientAuth::Public,
            (None, Some(_)) => match preferred(methods) {
                ClientAuth::Public => ClientAuth::Basic,
                auth => auth,
            },
        };
        Client {
            client_id: self.id,
            client_secret: self.secret,
            auth,
            registration_client_uri: None,
            registration_access_token: None,
        }
    }
}

/// The first line of a file, which may be a pipe.
fn read_secret(path: &Path) -> Result<Secret, Failure> {
    let failed = |why: &str| {
        let error = format!("cannot read the client's secret from {}: {why}", path.display());
        usage(error, "its first line must be the secret")
    };
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_SECRET + 1));
    let limit = MAX_SECRET as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text));
    read.map_err(|error| failed(&error.to_string()))?;
    if text.len() > MAX_SECRET {
        return Err(failed("it is too long"));
    }
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok("") => Err(failed("the line is empty")),
        Ok(line) => Ok(Secret::new(line.to_owned())),
        Err(_) => Err(failed("it is no text")),
    }
}

fn usage(error: String, info: &str) -> Failure {
    Failure { error, info: Some(info.to_owned()), kind: FailureKind::Usage }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn given(secret: Option<&[u8]>, method: Option<Method>) -> Result<Given, String> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("iam-session-secret-{}-{number}", std::process::id()));
        let mut args = OnceArgs { client_id: Some("c".into()), client_auth: method, ..OnceArgs::default() };
        if let Some(text) = secret {
            fs::write(&path, text).unwrap();
            args.client_secret_file = Some(path.clone());
        }
        let given = Given::new(&args).map_err(|failure| failure.error);
        let _ = fs::remove_file(&path);
        given
    }

    #[test]
    fn the_secret_is_the_first_line() {
        for (text, secret) in [("s3cret\n", "s3cret"), ("a b\r\nmore", "a b"), ("x", "x")] {
            let given = given(Some(text.as_bytes()), None).unwrap();
            assert_eq!(given.secret.as_ref().map(Secret::expose), Some(secret), "{text:?}");
        }
        for (text, why) in
            [(&b"\n"[..], "empty"), (&[0xff, b'\n'], "no text"), (&[b'x'; MAX_SECRET + 1], "too long")]
        {
            assert!(given(Some(text), None).unwrap_err().ends_with(why), "{why}");
        }
        let args = OnceArgs {
            client_id: Some("c".into()),
            client_secret_file: Some("/nonexistent/secret".into()),
            ..OnceArgs::default()
        };
        assert!(Given::new(&args).unwrap_err().error.contains("/nonexistent/secret: No such file"));
    }

    #[test]
    fn the_issuer_says_how_unless_the_user_does() {
        use ClientAuth::{Basic, Post, Public};
        let secret: Option<&[u8]> = Some(b"s");
        for (secret, method, offered, auth) in [
            (None, None, &[Basic][..], Public),
            (secret, None, &[], Basic),
            (secret, None, &[Post, Basic], Basic),
            (secret, None, &[Public, Post], Post),
            (secret, None, &[Public], Basic),
            (secret, Some(Method::Post), &[Basic], Post),
        ] {
            assert_eq!(given(secret, method).unwrap().at(offered).auth, auth, "{method:?} {offered:?}");
        }
    }

    #[test]
    fn a_secret_and_the_way_to_use_it_belong_together() {
        assert!(given(Some(b"s"), Some(Method::Public)).unwrap_err().contains("has no secret"));
        assert!(given(None, Some(Method::Basic)).unwrap_err().contains("needs the client's secret"));
        assert!(given(None, Some(Method::Public)).is_ok());
    }
}
