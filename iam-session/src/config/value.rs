//! What single values may be. Touches nothing.

use crate::scope::ScopeSet;

/// Longer ones than any issuer makes.
const MAX_CLIENT_ID: usize = 1024;

pub(super) const ISSUER: &str = "an https:// URL without user, query or fragment";
pub(super) const ENDPOINT: &str = "an https:// URL without user or fragment";
pub(super) const SCOPE: &str = "scopes in one string, space-separated, e.g. \"openid storage.read:/\"";
pub(super) const ACCOUNT: &str =
    "a name of 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or a digit, not ending in a dot";
pub(super) const ABSOLUTE: &str = "an absolute path";
pub(super) const CLIENT_ID: &str = "a client_id: one word of visible ASCII";

/// Accepts an issuer's URL (OpenID Connect Discovery §3: https, no query, no fragment).
pub fn issuer_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://")?;
    let host = rest.split('/').next().unwrap_or_default();
    let clean = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>\\^`{|}".contains(&byte));
    (clean && is_authority(host)).then(|| text.to_owned())
}

/// Accepts the URL of an endpoint (RFC 8628 §3.1, RFC 6749 §3.2: https, no fragment); it may have a query.
pub(super) fn endpoint(text: &str) -> Option<String> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let clean = query.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte));
    (clean && issuer_url(path).is_some()).then(|| text.to_owned())
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    !host.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Whether two spellings name one issuer: they may differ by one trailing slash, as IAM's documents do, and by what
/// means nothing in a URL (RFC 3986 §6.2): the case of scheme and host, the default port.
pub fn same_issuer(a: &str, b: &str) -> bool {
    canonical(a) == canonical(b)
}

fn canonical(issuer: &str) -> (String, &str) {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    let host = issuer.find("://").map_or(0, |at| at + "://".len());
    let end = issuer.get(host..).and_then(|rest| rest.find('/')).map_or(issuer.len(), |at| host + at);
    let (origin, path) = issuer.split_at(end);
    let origin = origin.to_ascii_lowercase();
    (origin.strip_suffix(":443").map(str::to_owned).unwrap_or(origin), path)
}

/// Accepts at least one scope, each a scope-token (RFC 6749 §3.3).
pub(super) fn scopes(text: &str) -> Option<ScopeSet> {
    let legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e | b' ');
    let set = ScopeSet::parse(text);
    (text.bytes().all(legal) && !set.is_empty()).then_some(set)
}

pub(super) fn account(text: &str) -> Option<String> {
    crate::account::validate(text).is_ok().then(|| text.to_owned())
}

pub(super) fn absolute_path(text: &str) -> Option<String> {
    (text.starts_with('/') && !text.contains('\0')).then(|| text.to_owned())
}

/// Accepts what may stand in a header and a form (RFC 6749 §2.2 and appendix A.1, without the space).
pub fn client_id(text: &str) -> Option<String> {
    let clean = text.bytes().all(|byte| byte.is_ascii_graphic());
    (clean && (1..=MAX_CLIENT_ID).contains(&text.len())).then(|| text.to_owned())
}

/// Whether it may be a group's name, or its number: getent(1) must not take it for anything else.
pub(super) fn group(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.contains(|c: char| c.is_whitespace() || ":,/".contains(c))
}

/// A proxy is asked by plain HTTP (CONNECT); a password in its URL would be in a file that all can read.
pub(super) fn proxy(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://")?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let clean = authority.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@".contains(&byte));
    (clean && is_authority(authority)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_https_url() {
        for url in [
            "https://wlcg.cloud.cnaf.infn.it/",
            "https://localhost:8443",
            "https://[::1]:8443/a/b",
            "https://[::1]/",
        ] {
            assert_eq!(issuer_url(url).as_deref(), Some(url));
        }
        for text in [
            "",
            "wlcg",
            "http://a/",
            "https://",
            "https:///a",
            "https://u@a/",
            "https://a/?b",
            "https://a/#b",
            "https://a b/",
            "https://a:0/",
            "https://a:x/",
            "https://a/\u{1b}",
            "https://:8443/",
        ] {
            assert_eq!(issuer_url(text), None, "{text}");
        }
    }

    #[test]
    fn an_endpoint_may_have_a_query() {
        for url in ["https://a.example/device", "https://a.example/device?tenant=x&y"] {
            assert_eq!(endpoint(url).as_deref(), Some(url));
        }
        for text in ["http://a/", "https://u@a/?x", "https://a/?x#y", "https://a/? b", "https://?x"] {
            assert_eq!(endpoint(text), None, "{text}");
        }
    }

    #[test]
    fn one_trailing_slash_makes_no_other_issuer() {
        assert!(same_issuer("https://a/", "https://a"));
        assert!(!same_issuer("https://a//", "https://a"));
        assert!(!same_issuer("https://a/b", "https://a"));
        assert!(same_issuer("https://A.Example:443/Realm", "HTTPS://a.example/Realm/"));
        assert!(!same_issuer("https://a/Realm", "https://a/realm"));
        assert!(!same_issuer("https://a:8443", "https://a"));
    }

    #[test]
    fn scopes_are_scope_tokens() {
        assert_eq!(scopes("openid storage.read:/"), Some(ScopeSet::parse("openid storage.read:/")));
        for text in ["", "  ", "a\"b", "a\\b", "a\tb", "é"] {
            assert_eq!(scopes(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_proxy_is_host_and_port() {
        assert!(proxy("http://proxy.example:3128").is_some());
        for text in ["proxy:3128", "https://proxy", "http://u:p@proxy", "http://proxy/path", "http://"] {
            assert_eq!(proxy(text), None, "{text}");
        }
    }
}
