//! Why there was no answer, in words for people. Pure; touches nothing.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::call::{Call, failure};
use super::redact::redact;
use super::wire::{DEADLINE, ErrorClass, IssuerError, UNTRUSTED};

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

/// What is wrong with it, and who can see to it.
fn certificate(reason: &CertificateError) -> String {
    use CertificateError as Reason;
    let what = match reason {
        Reason::Expired | Reason::ExpiredContext { .. } => "has expired: tell its administrators".into(),
        Reason::NotValidYet | Reason::NotValidYetContext { .. } => {
            "is not valid yet (is this host's clock right?)".into()
        }
        Reason::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "names no host in its subjectAltName, and a common name does not count: tell its administrators".into()
        }
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => {
            "is for another name: check the URL, or tell its administrators".into()
        }
        Reason::UnknownIssuer => "was issued by a CA that is not trusted here, or by itself: name that CA with \
                                  'ca_file' or 'ca_dir' in the provider's file"
            .into(),
        Reason::Revoked => "has been revoked: tell its administrators".into(),
        Reason::BadSignature => "is not signed by the CA that it names: check 'ca_file' and 'ca_dir'".into(),
        Reason::UnsupportedSignatureAlgorithmContext { .. }
        | Reason::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "or one that vouches for it is signed by an algorithm that is too old, as SHA-1, or not known here: \
             tell its administrators"
                .into()
        }
        Reason::InvalidPurpose | Reason::InvalidPurposeContext { .. } => {
            "is not one for a server: tell its administrators".into()
        }
        Reason::UnhandledCriticalExtension => {
            "has a critical extension that is not known here: tell its administrators".into()
        }
        Reason::BadEncoding => "is damaged: tell its administrators".into(),
        // Of webpki, which has no words for it.
        Reason::Other(other) => format!("{}: tell its administrators", of_webpki(&format!("{other:?}"))),
        other => format!("is not acceptable ({other}): tell its administrators"),
    };
    format!("{UNTRUSTED} {what}")
}

fn of_webpki(name: &str) -> &'static str {
    let is = |part: &str| name.contains(part);
    if is("NameConstraint") {
        "has a name that its CA may not vouch for (a name constraint)"
    } else if is("CaUsedAsEndEntity") {
        "is that of a CA, as self-signed ones often are, and not one for a server"
    } else if is("EndEntityUsedAsCa") || is("PathLen") {
        "is signed by a certificate that may sign none"
    } else if is("SignatureAlgorithm") {
        "is signed by another algorithm than it says"
    } else if is("Maximum") {
        "comes with a chain that is too long to check"
    } else {
        "breaks the rules for certificates (RFC 5280)"
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
        assert_eq!(cause(&wrapped), "its certificate has expired: tell its administrators");
        assert_eq!(cause(&io::Error::other("connection reset")), "connection reset");
    }
    #[test]
    fn every_trouble_with_a_certificate_has_words() {
        use CertificateError as Reason;
        let old = Reason::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: Vec::new(),
            supported_algorithms: Vec::new(),
        };
        for (reason, words) in [(old, "SHA-1"), (Reason::InvalidPurpose, "not one for a server")] {
            let said = certificate(&reason);
            assert!(said.contains(words) && said.contains("administrators"), "{said}");
        }
        for name in
            ["NameConstraintViolation", "CaUsedAsEndEntity", "PathLenConstraintViolated", "EmptyEkuExtension"]
        {
            let said = of_webpki(name);
            assert!(!said.contains(name) && said.len() > 20, "{said}");
        }
    }
}
