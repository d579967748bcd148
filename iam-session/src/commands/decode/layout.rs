//! A token as a person reads it. Pure; touches nothing.

use serde_json::{Map, Value};

use crate::jwt::{Jwt, numeric_date};
use crate::text::{duration, printable, utc};

/// Between the longest name and its value.
const GAP: usize = 2;
/// A name that is longer pushes its own value aside, and nobody else's.
const WIDEST: usize = 24;
/// NumericDates (RFC 7519 §4.1; OpenID Connect Core §2), in seconds since the epoch.
const TIMES: [&str; 5] = ["exp", "iat", "nbf", "auth_time", "updated_at"];

pub(super) fn render(origin: &str, jwt: &Jwt, now: u64) -> String {
    let names = jwt.header().keys().chain(jwt.claims().keys());
    let width = names.map(|name| printable(name).chars().count()).max().unwrap_or(0).min(WIDEST) + GAP;
    format!(
        "{origin}. Not verified: anybody can write such a token.\n\nheader\n{}\nclaims\n{}",
        lines(jwt.header(), width, now),
        lines(jwt.claims(), width, now),
    )
}

fn lines(fields: &Map<String, Value>, width: usize, now: u64) -> String {
    let line = |(name, value): (&String, &Value)| {
        let shown = shown(name, value, now);
        format!("  {:width$}{}\n", printable(name), printable(&shown))
    };
    fields.iter().map(line).collect()
}

fn shown(name: &str, value: &Value, now: u64) -> String {
    // What is before the epoch, or no number, is shown as it is.
    match numeric_date(value).filter(|_| TIMES.contains(&name)) {
        Some(time) => format!("{}, {}", utc(time), relative(time, now)),
        None => plain(value),
    }
}

fn relative(time: u64, now: u64) -> String {
    match time.checked_sub(now) {
        Some(0) => "now".to_owned(),
        Some(left) => format!("in {}", duration(left)),
        None => format!("{} ago", duration(now - time)),
    }
}

/// A text is itself, a list of texts its texts, anything else JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if !values.is_empty() && values.iter().all(Value::is_string) => {
            values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::tests::jwt_of;

    fn rendered(claims: &str, now: u64) -> String {
        let jwt = Jwt::read(jwt_of(r#"{"alg":"RS256","typ":"at+jwt"}"#, claims, "c2lnbmF0dXJl").as_bytes())
            .ok()
            .unwrap();
        render("The token in x", &jwt, now)
    }

    #[test]
    fn claims_are_lines_with_times_in_words() {
        let claims =
            r#"{"iat":1795480000,"exp":1795483411.5,"aud":["a","b"],"wlcg.ver":"1.0","n":{"x":[1]}}"#;
        assert_eq!(
            rendered(claims, 1_795_483_000),
            "The token in x. Not verified: anybody can write such a token.\n\
             \n\
             header\n  alg       RS256\n  typ       at+jwt\n\
             \n\
             claims\n  aud       a b\n  exp       2026-11-24T01:23:31Z, in 6 min\n  \
             iat       2026-11-24T00:26:40Z, 50 min ago\n  n         {\"x\":[1]}\n  wlcg.ver  1.0\n"
        );
    }

    #[test]
    fn no_claim_drives_the_terminal() {
        let shown = rendered("{\"sub\":\"\\u001b[2J\\u202ex\",\"a\\nb\":1,\"exp\":\"soon\",\"iat\":-5}", 9);
        assert!(shown.contains("\\x1b[2J\\u{202e}x") && shown.contains("a\\x0ab"), "{shown}");
        assert!(shown.contains("exp     soon") && shown.contains("iat     -5"), "{shown}");
    }

    #[test]
    fn the_signature_is_not_shown() {
        assert!(!rendered("{}", 0).contains("c2ln") && !rendered("{}", 0).contains("signature"));
    }

    #[test]
    fn a_far_time_is_a_time() {
        assert!(
            rendered(r#"{"exp":18446744073709551615,"nbf":1e300}"#, 5).contains("in 106751991167300 days")
        );
    }
}
