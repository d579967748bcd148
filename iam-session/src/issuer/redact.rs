//! Makes an issuer's free text fit for a terminal and a log. Pure; touches nothing.
//!
//! IAM answers a dead refresh token with a description that quotes the token; others may quote what they
//! like. What is left is one line of printable text without anything that we sent or that looks like a secret.

use std::collections::HashSet;

/// What stands where something was taken out.
const REDACTED: &str = "[redacted]";
/// Longest text that is looked at; a description is a sentence.
const MAX_INPUT: usize = 4096;
/// A stretch of this many bytes that also occurs in a secret is taken for a part of it.
const FRAGMENT: usize = 8;
/// A run of this many token characters is no word.
const TOKEN_LIKE: usize = 20;
/// As in `OIDCClient`: no name has more capitals in a row.
const MAX_CAPITALS: usize = 5;
/// As in `oauth2`: no name ends with more digits.
const MAX_NUMBER: usize = 2;

/// The text of an issuer without `secrets`, without what looks like a secret, and without control characters.
pub(super) fn redact(text: &str, secrets: &[&str]) -> String {
    redact_but(text, secrets, "")
}

/// The same, but for a name that looks like a secret and is none: a client's, which its administrators search for.
pub(super) fn redact_but(text: &str, secrets: &[&str], name: &str) -> String {
    let text = printable(text);
    let text = without(&text, secrets);
    without_token_like(&text, name)
}

/// `text` cut to `limit` characters.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// One line: white space becomes a space, and nothing stays that a terminal acts upon or a reader cannot see.
fn printable(text: &str) -> String {
    let clean: String = text
        .chars()
        .take(MAX_INPUT)
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|&c| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric())
        .collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Takes out every part of at least [`FRAGMENT`] bytes that a secret also has, and short secrets as a whole.
fn without(text: &str, secrets: &[&str]) -> String {
    let mut hidden = vec![false; text.len()];
    let fragments: HashSet<&[u8]> =
        secrets.iter().flat_map(|secret| secret.as_bytes().windows(FRAGMENT)).collect();
    for (start, window) in text.as_bytes().windows(FRAGMENT).enumerate() {
        if fragments.contains(window) {
            hidden[start..start + FRAGMENT].fill(true);
        }
    }
    for secret in secrets.iter().filter(|secret| !secret.is_empty() && secret.len() < FRAGMENT) {
        for (start, found) in text.match_indices(secret) {
            hidden[start..start + found.len()].fill(true);
        }
    }
    let mut kept = String::with_capacity(text.len());
    let mut inside = false;
    for (at, c) in text.char_indices() {
        if !hidden[at] {
            kept.push(c);
        } else if !inside {
            kept.push_str(REDACTED);
        }
        inside = hidden[at];
    }
    kept
}

/// Takes out every JWT, and every run that is too long and too mixed to be a word, and not of `name`.
fn without_token_like(text: &str, name: &str) -> String {
    let is_known = |run: &str| name.split(|c| !is_token_char(c)).any(|part| part == run);
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_token_char) {
        kept.push_str(&rest[..start]);
        rest = &rest[start..];
        let run = &rest[..rest.find(|c| !is_token_char(c)).unwrap_or(rest.len())];
        let jwt =
            rest.starts_with("eyJ").then(|| &rest[..rest.find(|c| !is_jwt_char(c)).unwrap_or(rest.len())]);
        let taken = jwt.unwrap_or(run);
        kept.push_str(if jwt.is_some() || (is_token_like(run) && !is_known(run)) { REDACTED } else { run });
        rest = &rest[taken.len()..];
    }
    kept.push_str(rest);
    kept
}

/// base64 of either alphabet without `/`, percent-encoding; a path or a host name is not one run.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=' | '%' | '~')
}

fn is_jwt_char(c: char) -> bool {
    is_token_char(c) || c == '.'
}

/// `registration_access_token` is a word and so is `OIDCClientRepresentation`; `Xw3k9…` is not.
fn is_token_like(run: &str) -> bool {
    run.len() >= TOKEN_LIKE
        && run.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && !run.split(['-', '_']).all(is_name)
}

/// Words written together: few capitals and at least two small letters in a row, and a short number at the end.
fn is_name(part: &str) -> bool {
    let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut small = letters.split(|c: char| c.is_ascii_uppercase()).filter(|run| !run.is_empty());
    let mut capitals = letters.split(|c: char| c.is_ascii_lowercase());
    part.len() - letters.len() <= MAX_NUMBER
        && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
        && small.all(|run| run.len() >= 2)
        && capitals.all(|run| run.len() <= MAX_CAPITALS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "CANARY-ab0-refresh-token-of-alice-4711";

    #[test]
    fn a_secret_is_taken_out_whole_in_part_and_repeated() {
        for text in [
            CANARY.to_owned(),
            format!("Invalid refresh token: {CANARY}"),
            format!("{CANARY}{CANARY} twice"),
            format!("starts with {}", &CANARY[..12]),
            format!("ends with '{}'", &CANARY[20..]),
            format!("split {}\u{0}\u{1b}{}", &CANARY[..9], &CANARY[9..]),
            format!("<b>{CANARY}</b>"),
        ] {
            let clean = redact(&text, &[CANARY]);
            assert!(clean.contains(REDACTED), "{clean}");
            for part in CANARY.as_bytes().windows(FRAGMENT) {
                assert!(!clean.as_bytes().windows(FRAGMENT).any(|window| window == part), "{clean}");
            }
        }
    }

    #[test]
    fn a_short_secret_is_taken_out_too() {
        assert_eq!(redact("bad password s3cr!", &["s3cr!", ""]), "bad password [redacted]");
    }

    #[test]
    fn what_looks_like_a_secret_is_taken_out() {
        for (text, clean) in [
            ("token eyJhbGciOiJub25lIn0.eyJqdGkiOiJ4In0. is bad", "token [redacted] is bad"),
            ("at eyJ", "at [redacted]"),
            ("code 8b6a8a9e-1f5c-4b57-9f52-2f3f4e0e6a01.", "code [redacted]."),
            ("no 'registration_access_token' here", "no 'registration_access_token' here"),
            ("token aB3dE6fG9hJ2kL5mN8pQ is bad", "token [redacted] is bad"),
            ("token aBdEfGhJkLmNpQrStUvW is bad", "token [redacted] is bad"),
            ("token AbcDefGHIjklMNOPQRSTuvw is bad", "token [redacted] is bad"),
            ("(class org.x.OIDCClientRepresentation)", "(class org.x.OIDCClientRepresentation)"),
            (
                "UserNotAuthorizedException: Token-Exchange-V2-Required",
                "UserNotAuthorizedException: Token-Exchange-V2-Required",
            ),
            ("oauth2_device_authorization", "oauth2_device_authorization"),
            (
                "see https://iam-t1.cloud.example.org/aup/sign?x=1",
                "see https://iam-t1.cloud.example.org/aup/sign?x=1",
            ),
            ("urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:device_code"),
        ] {
            assert_eq!(redact(text, &[]), clean);
        }
    }

    #[test]
    fn terminals_see_one_plain_line() {
        assert_eq!(redact("a\r\n\tb\u{1b}[31mc\u{7}\u{202e}d\u{200b}e\u{9b}f", &[]), "a b[31mcdef");
        assert_eq!(redact("Zugriff für Jürgen verweigert", &[]), "Zugriff für Jürgen verweigert");
    }

    #[test]
    fn endless_text_is_cut() {
        assert!(redact(&"ä ".repeat(1_000_000), &[CANARY]).chars().count() <= MAX_INPUT);
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("äbcd", 4), "äbcd");
    }
}
