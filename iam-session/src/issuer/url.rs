//! Which URLs we send requests to, and which we show to people. Pure; touches nothing.

use url::Url;

use super::redact::{redact, shorten};

/// Longest URL we take from anybody; it has to fit a QR code and a line.
const MAX_URL: usize = 2048;
/// Below an issuer's URL, whose path is kept (OpenID Connect Discovery §4).
pub(super) const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// Longest URL in a message; a longer one says enough by its beginning.
const MAX_SHOWN: usize = 120;

/// Why a text is no URL that a credential may be sent to; reads on from "'TEXT' ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    #[error("is not an absolute URL")]
    NotAbsolute,
    #[error("does not begin with https://")]
    NotHttps,
    #[error("carries a user name or password")]
    Credentials,
    #[error("carries a fragment")]
    Fragment,
}

/// An https URL without user information and fragment (RFC 6749 §3.1 and §3.2 exclude both).
pub(super) fn endpoint(text: &str) -> Result<Url, UrlError> {
    if text.len() > MAX_URL || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UrlError::NotAbsolute);
    }
    let url = Url::parse(text).map_err(|_| UrlError::NotAbsolute)?;
    if url.scheme() != "https" {
        return Err(UrlError::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials);
    }
    if url.fragment().is_some() {
        return Err(UrlError::Fragment);
    }
    Ok(url)
}

/// Whether a person can be asked to open `text`: http or https, printable ASCII, no user information (which
/// makes a foreign host look like the issuer's).
pub(super) fn is_showable(text: &str) -> bool {
    let plain = text.len() <= MAX_URL && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain
        && Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
        })
}

/// `host` or `host:port`, for messages.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Where the document of `url` was not found: the issuer's URL, as far as it may be shown.
pub(super) fn issuer_of(url: &Url) -> String {
    let url = redact(url.as_str(), &[]);
    shorten(url.strip_suffix(WELL_KNOWN).unwrap_or(&url), MAX_SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_https_is_an_endpoint() {
        for (text, result) in [
            ("https://iam.example.org/token", Ok("iam.example.org")),
            ("https://iam.example.org:8443/token?realm=x", Ok("iam.example.org:8443")),
            ("https://[::1]:1/", Ok("[::1]:1")),
            ("http://iam.example.org/token", Err(UrlError::NotHttps)),
            ("ftp://iam.example.org/", Err(UrlError::NotHttps)),
            ("/token", Err(UrlError::NotAbsolute)),
            ("", Err(UrlError::NotAbsolute)),
            ("https://", Err(UrlError::NotAbsolute)),
            ("https://a\u{1b}[2J.example.org/", Err(UrlError::NotAbsolute)),
            ("https://a b.example.org/", Err(UrlError::NotAbsolute)),
            ("https://user:pw@iam.example.org/", Err(UrlError::Credentials)),
            ("https://iam.example.org@evil.example/", Err(UrlError::Credentials)),
            ("https://iam.example.org/#x", Err(UrlError::Fragment)),
        ] {
            let found = endpoint(text).map(|url| host(&url));
            assert_eq!(found.as_deref().map_err(|error| *error), result, "{text}");
        }
        assert!(endpoint(&format!("https://a/{}", "x".repeat(MAX_URL))).is_err());
    }

    #[test]
    fn people_are_shown_no_tricks() {
        assert!(is_showable("https://iam.example.org/device?user_code=ABCD-EFGH"));
        assert!(is_showable("http://localhost:8080/device"));
        for text in
            ["javascript:alert(1)", "https://iam.example.org@evil.example/", "https://a/\u{1b}[2J", "", "x"]
        {
            assert!(!is_showable(text), "{text:?}");
        }
    }
}
