//! Why there was no answer, in words for people. Pure; touches nothing.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::call::{Call, failure};
use super::redact::redact;
use super::wire::{DEADLINE, ErrorClass, IssuerError};

/// Nothing, or only a part of an answer, came.
pub(super) fn unreachable(call: &Call<'_>, error: &(dyn Error + 'static)) -> IssuerError {
    let host = call.host();
    let message = if is_timeout(error) {
        format!("{host} did not answer {} within {} s", call.exchange, DEADLINE.as_secs())
    } else {
        format!("cannot reach {host} for {}: {}", call.exchange, redact(&cause(error), &[]))
    };
    failure(ErrorClass::Unreachable, &message)
}

/// Not for a failed connection, whose own limit is shorter.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        error.downcast_ref::<reqwest::Error>().is_some_and(|error| error.is_timeout() && !error.is_connect())
    })
}

/// The innermost error says what happened; TLS errors are put into words.
fn cause(error: &(dyn Error + 'static)) -> String {
    let tls = chain(error).find_map(|error| error.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(reason)) => certificate(reason),
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS".to_owned(),
        Some(other) => other.to_string(),
        None => chain(error).last().map(ToString::to_string).unwrap_or_default(),
    }
}

fn certificate(reason: &CertificateError) -> String {
    use CertificateError as Reason;
    match reason {
        Reason::Expired | Reason::ExpiredContext { .. } => "its certificate has expired".into(),
        Reason::NotValidYet | Reason::NotValidYetContext { .. } => {
            "its certificate is not valid yet (is this host's clock right?)".into()
        }
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => {
            "its certificate is for another name".into()
        }
        Reason::UnknownIssuer => "its certificate was issued by a CA that is not trusted here".into(),
        Reason::Revoked => "its certificate has been revoked".into(),
        other => format!("its certificate is not acceptable ({other})"),
    }
}

/// `error` and what it came from. An `io::Error` hides the error that it wraps from `source()`.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_error_is_told() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let wrapped = io::Error::other(io::Error::other(tls));
        assert_eq!(cause(&wrapped), "its certificate has expired");
        assert_eq!(cause(&io::Error::other("connection reset")), "connection reset");
    }
}
