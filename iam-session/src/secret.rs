//! The one type that secrets live in: redacted when printed, wiped when dropped. Touches nothing.

use std::fmt;

use serde::{Deserialize, Deserializer, Serializer};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A token, password or client secret.
///
/// It has no `Clone`, no `Display` and no `Serialize`: whoever needs the text says so with
/// [`expose`](Secret::expose), and a field that must cross a pipe names [`expose_to`] in its serde attribute.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of `text`; the caller must not keep a copy.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that sends or seals it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// A second copy, where two owners are really needed.
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Whether the text is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// `#[serde(serialize_with = "expose_to")]`: writes the secret into a message for a process that needs it.
pub(crate) fn expose_to<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// As [`expose_to`], for a secret that may be absent.
pub(crate) fn expose_option_to<S: Serializer>(
    secret: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serializer.serialize_some(secret.expose()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_redacted_in_debug_output() {
        let secret = Secret::new("eyJhbGciOi".into());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(…) Some(Secret(…))");
    }
}
