//! Whether two URLs belong to one server. Touches nothing.

/// Scheme, host and port; `None` for what is not plainly one of https. Stricter than a URL's grammar: no two readers of
/// what passes here can differ on where its host ends.
fn origin(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let is_named = !authority.is_empty() && authority.bytes().all(is_plain);
    is_named.then(|| authority.strip_suffix(":443").map(str::to_owned).unwrap_or(authority))
}

/// Whether `url` is of the server that `other` is of.
pub(crate) fn is_of_same_server(url: &str, other: &str) -> bool {
    origin(url).is_some_and(|one| origin(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart() {
        let ours = "https://iam.example/register";
        for same in ["https://iam.example/register/1?x#y", "https://IAM.example:443", "https://iam.example?a"]
        {
            assert!(is_of_same_server(same, ours), "{same}");
        }
        for other in [
            "http://iam.example/register/1",
            "https://iam.example:8443/",
            "https://iam.example@evil.example/",
            "https://iam.example\\@evil.example/",
            "https://iam.example.evil.example/",
            "https://evil.example/iam.example",
            "https:///iam.example",
            "https://",
            "HTTPS://iam.example/",
            "",
        ] {
            assert!(!is_of_same_server(other, ours), "{other}");
        }
        assert!(!is_of_same_server("", ""));
    }
}
