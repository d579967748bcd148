//! The helper's loop: a request a line on descriptor 0, a reply a line on descriptor 1. Touches both pipes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use zeroize::Zeroizing;

use super::call::failure;
use super::dispatch::perform;
use super::transport::Deadline;
use super::wire::{DEADLINE, ErrorClass, HelperAnswer, HelperReply, HelperRequest, IssuerError, MAX_LINE};
use crate::harden::{harden, outlive_the_session};
use crate::line::{LineError, Lines};

/// Kept back of [`DEADLINE`] for what happens before and after the network: CA files, start-up, the pipe.
const MARGIN: Duration = Duration::from_secs(1);
/// A reply with the largest tokens fits, so that writing one leaves no copy behind.
const REPLY_CAPACITY: usize = 64 * 1024;

/// The whole program: hardens itself, then serves until descriptor 0 ends.
pub fn main() -> ExitCode {
    match harden()
        .and_then(|()| outlive_the_session())
        .map_err(io::Error::from)
        .and_then(|()| serve_standard_streams())
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not eprintln, which panics where nobody reads any more.
            let _ = writeln!(io::stderr(), "helper: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Not through `io::stdin` and `io::stdout`: their buffers would keep requests and replies.
fn serve_standard_streams() -> io::Result<()> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Never dropped; transport.rs says why.
    let connections = Box::leak(Box::default());
    serve(input, output, |request| perform(connections, request, Deadline::after(DEADLINE - MARGIN)))
}

fn serve(
    mut input: impl Read,
    mut output: impl Write,
    mut answer: impl FnMut(&HelperRequest) -> Result<HelperAnswer, IssuerError>,
) -> io::Result<()> {
    let mut lines = Lines::new(MAX_LINE);
    loop {
        let reply = match lines.next_of_blocking(&mut input) {
            Ok(line) => match parse(&line).and_then(|request| answer(&request)) {
                Ok(answer) => HelperReply::Ok(answer),
                Err(error) => HelperReply::Error(error),
            },
            Err(LineError::Closed) => return Ok(()),
            Err(error @ LineError::TooLong(_)) => {
                // Where the next request begins is unknown: say so and end.
                write(&mut output, &HelperReply::Error(failure(ErrorClass::Refused, &error.to_string())))?;
                return Err(io::Error::other(error));
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        write(&mut output, &reply)?;
    }
}

/// serde's own message may quote what it could not read, so only the place is told.
fn parse(line: &[u8]) -> Result<HelperRequest, IssuerError> {
    serde_json::from_slice(line).map_err(|error| {
        let message = format!(
            "the helper was sent something that is no request of its version (column {})",
            error.column()
        );
        failure(ErrorClass::Refused, &message)
    })
}

/// One write, so that a reader never sees half a line of ours while we are alive.
fn write(output: &mut impl Write, reply: &HelperReply) -> io::Result<()> {
    let mut line = encode(reply)?;
    if line.len() > MAX_LINE {
        line = encode(&HelperReply::Error(failure(
            ErrorClass::Malformed,
            "the issuer's answer is too long to pass on",
        )))?;
    }
    output.write_all(&line)?;
    output.flush()
}

fn encode(reply: &HelperReply) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(REPLY_CAPACITY));
    serde_json::to_writer(&mut *line, reply)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    fn served(
        input: &[u8],
        answer: impl FnMut(&HelperRequest) -> Result<HelperAnswer, IssuerError>,
    ) -> (io::Result<()>, String) {
        let mut output = Vec::new();
        let result = serve(input, &mut output, answer);
        (result, String::from_utf8(output).unwrap())
    }

    const DISCOVER: &str = "{\"request\":\"discover\",\"issuer\":\"https://a.example\"}\n";

    #[test]
    fn each_line_has_its_reply_and_the_end_is_no_error() {
        let (result, output) = served(DISCOVER.repeat(2).as_bytes(), |_| Ok(HelperAnswer::Done));
        assert!(result.is_ok());
        assert_eq!(output, "{\"ok\":{\"answer\":\"done\"}}\n".repeat(2));
    }

    #[test]
    fn a_bad_line_is_refused_without_being_quoted_and_the_next_is_served() {
        for bad in [
            "",
            "CANARY",
            "{\"request\":\"CANARY\"}",
            "{\"request\":\"discover\",\"issuer\":[\"CANARY\"]}",
            "{\"request\":\"discover\",\"issuer\":\"CANARY\"} CANARY",
            "{\"request\":\"revoke\",\"endpoint\":\"https://a\",\"client\":{\"client_id\":\"a\"},\"refresh_token\":{\"CANARY\":1}}",
            "{\"request\":\"discover\",\"issuer\":\"a\",\"transport\":{\"CANARY\":\"CANARY\"}}",
        ] {
            let (result, output) =
                served(format!("{bad}\n{DISCOVER}").as_bytes(), |_| Ok(HelperAnswer::Done));
            assert!(result.is_ok());
            let replies: Vec<_> = output.lines().collect();
            assert_eq!(replies.len(), 2, "{bad}");
            assert!(replies[0].starts_with("{\"error\":{\"class\":\"refused\""), "{output}");
            assert!(!output.contains("CANARY"), "{output}");
        }
    }

    #[test]
    fn an_endless_line_ends_the_helper_with_a_reply() {
        let (result, output) = served(&vec![b'x'; MAX_LINE + 5], |_| Ok(HelperAnswer::Done));
        assert!(result.is_err());
        assert!(
            output.starts_with("{\"error\":{\"class\":\"refused\"") && output.ends_with('\n'),
            "{output}"
        );
    }

    #[test]
    fn an_answer_above_the_limit_becomes_an_error() {
        let scope = ScopeSet::parse(&"x".repeat(MAX_LINE));
        let (_, output) = served(DISCOVER.as_bytes(), |_| {
            Ok(HelperAnswer::Discovered {
                userinfo: None,
                issuer: String::new(),
                endpoints: super::super::wire::Endpoints {
                    token: String::new(),
                    device_authorization: None,
                    registration: None,
                    revocation: None,
                },
                scopes_supported: scope.clone(),
                auth_methods: Vec::new(),
            })
        });
        assert!(output.starts_with("{\"error\":{\"class\":\"malformed\""), "{output:.80}");
    }
}
