//! What an account may be called. Touches nothing.

/// Longest name: with `.cred` and a temporary file's suffix it stays far below NAME_MAX (255).
const MAX_NAME: usize = 64;

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{}' is no account name: accepted are 1 to {MAX_NAME} of A-Z a-z 0-9 . _ -, beginning with a letter or a digit and not ending in a dot",
    crate::text::printable(.0)
)]
pub(crate) struct InvalidName(String);

/// Checks a name. It becomes a file name in the store, so nothing that means something to a shell or to the
/// file system gets through: no slash, no leading dot or hyphen.
///
/// # Errors
/// [`InvalidName`], which says what is accepted.
pub(crate) fn validate(name: &str) -> Result<(), InvalidName> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && name.len() <= MAX_NAME && name.bytes().all(is_accepted) && !name.ends_with('.') {
        Ok(())
    } else {
        Err(InvalidName(name.to_owned()))
    }
}

/// The name for an account of an issuer that no provider file lists: its host.
pub(crate) fn name_for_issuer(issuer: &str) -> Option<String> {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    let host = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
    let name: String =
        host.chars().filter(|c| u8::try_from(*c).is_ok_and(is_accepted)).take(MAX_NAME).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).trim_end_matches('.');
    validate(name).is_ok().then(|| name.to_owned())
}

fn is_accepted(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_safe_file_names_are_accepted() {
        for name in ["wlcg", "a", "9", "a.b", "CMS-prod_2", &"x".repeat(64)] {
            assert_eq!(validate(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_are_paths_options_or_hidden_files_are_refused() {
        for name in ["", ".", "..", ".a", "-a", "_a", "a.", "a/b", "a b", "a\n", "é", &"x".repeat(65)] {
            assert!(validate(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_refusal_shows_the_name_without_its_control_characters() {
        let error = validate("a\x1b[2J").map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err("'a\\x1b[2J' is no account name: accepted are 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a \
                 letter or a digit and not ending in a dot"
                .to_owned())
        );
    }

    #[test]
    fn an_unlisted_issuer_lends_its_host() {
        assert_eq!(
            name_for_issuer("https://wlcg.cloud.cnaf.infn.it/").as_deref(),
            Some("wlcg.cloud.cnaf.infn.it")
        );
        assert_eq!(name_for_issuer("https://localhost:8443/x").as_deref(), Some("localhost"));
        assert_eq!(name_for_issuer("https://[::1]:8443/x"), None);
        assert_eq!(name_for_issuer(&format!("https://{}.it/", "a".repeat(70))), Some("a".repeat(64)));
    }
}
