//! `iam-session decode`: what is in a token. Touches the file or stream that it is in, or the agent's socket.
//!
//! Nothing is verified, and says so: we are nobody's resource server. The signature is never printed.

mod layout;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::print_json;
use crate::client::{AgentClient, Places};
use crate::clock::unix_time;
use crate::jwt::{Jwt, NotReadable};
use crate::outcome::{Exit, Outcome, Stop, print};
use crate::protocol::{Failure, Request, Token, TokenRequest};
use crate::text::printable;

/// Far beyond what any program takes as a token.
const MAX_TOKEN: usize = 64 * 1024;

/// Show the header and the claims of a token; nothing is verified.
///
/// Without a file: the session's token.
#[derive(Debug, Default, Parser)]
#[command(name = "decode", bin_name = "iam-session decode")]
pub(crate) struct DecodeArgs {
    /// The file that holds the token; '-' for standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print an object with verified (false), header and claims
    #[arg(long)]
    json: bool,
}

/// The object of `--json`.
#[derive(Serialize)]
struct Decoded<'a> {
    verified: bool,
    header: &'a Map<String, Value>,
    claims: &'a Map<String, Value>,
}

pub(crate) fn run(args: &DecodeArgs) -> Outcome {
    let (token, origin) = match args.file.as_deref() {
        None => of_session()?,
        Some(path) if path == Path::new("-") => {
            (read(io::stdin().lock(), "standard input")?, "A token from standard input".to_owned())
        }
        Some(path) if looks_like_a_token(path) => return Err(a_token().into()),
        Some(path) => of_file(path)?,
    };
    let jwt = Jwt::read(token.as_bytes()).map_err(|why| not_readable(why, &origin))?;
    if args.json {
        print_json(&Decoded { verified: false, header: jwt.header(), claims: jwt.claims() })?;
    } else {
        print(layout::render(&origin, &jwt, unix_time()).as_bytes())?;
    }
    Ok(Exit::Done)
}

fn of_session() -> Result<(Zeroizing<String>, String), Stop> {
    let mut agent = AgentClient::find(&Places::of_environment())?;
    let token: Token = agent.ask(&Request::AccessToken(TokenRequest::default()))?;
    let origin = format!("The session's token, of account '{}'", printable(&token.account));
    Ok((Zeroizing::new(token.access_token.expose().to_owned()), origin))
}

/// It is not repeated: the line may end in somebody's log.
fn a_token() -> Failure {
    Failure::usage("that is a token and no file, and the arguments of a command are seen by everybody")
        .advise("give it on standard input: iam-session decode -")
}

/// The beginning of `{"` in base64url, and a part after it.
fn looks_like_a_token(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with("eyJ") && text.contains('.') && !path.exists())
}

fn of_file(path: &Path) -> Result<(Zeroizing<String>, String), Stop> {
    let name = printable(&path.to_string_lossy());
    let file = File::open(path).map_err(|error| cannot_read(&name, &error.to_string()))?;
    Ok((read(file, &name)?, format!("The token in {name}")))
}

fn read(from: impl Read, name: &str) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TOKEN + 1));
    let limit = MAX_TOKEN as u64 + 1;
    from.take(limit).read_to_end(&mut bytes).map_err(|error| cannot_read(name, &error.to_string()))?;
    if bytes.len() > MAX_TOKEN {
        return Err(cannot_read(name, "it is too long for a token"));
    }
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok("") => Err(cannot_read(name, "there is none")),
        Ok(token) => Ok(Zeroizing::new(token.to_owned())),
        Err(_) => Err(cannot_read(name, "it is no text")),
    }
}

fn cannot_read(name: &str, why: &str) -> Failure {
    Failure::failed(format!("cannot read a token from {name}: {why}"))
        .advise("name a file, '-' for standard input, or nothing for the session's token")
}

fn not_readable(why: NotReadable, origin: &str) -> Failure {
    let error = match why {
        NotReadable::Opaque => {
            format!("{origin} is opaque: it is no JWT, and only its issuer can tell what it says")
        }
        NotReadable::Encrypted => format!("{origin} is encrypted: only who it is for can read it"),
    };
    Failure::failed(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(bytes: &[u8]) -> Result<String, String> {
        let read = read(bytes, "standard input").map_err(|failure| failure.error);
        read.map(|token| token.to_string())
    }

    #[test]
    fn white_space_around_a_token_is_none_of_it() {
        assert_eq!(token(b" \n a.b.c\r\n"), Ok("a.b.c".into()));
    }

    #[test]
    fn a_token_is_no_name_of_a_file() {
        assert!(looks_like_a_token(Path::new("eyJhbGciOiJub25lIn0.e30.")));
        assert!(!looks_like_a_token(Path::new("token")) && !looks_like_a_token(Path::new("/tmp/eyJ.x")));
    }

    #[test]
    fn what_is_no_token_is_named_without_a_word_of_it() {
        for (bytes, why) in [
            (&b" \n"[..], "there is none"),
            (&[0xff], "it is no text"),
            (&[b'x'; MAX_TOKEN + 1], "it is too long for a token"),
        ] {
            assert_eq!(token(bytes), Err(format!("cannot read a token from standard input: {why}")));
        }
    }
}
