//! What a user says of the variable of the token file: `export`. Pure; touches nothing.

use serde::{Deserialize, Serialize};

pub(super) const EXPORT: &str = "\"yes\" or \"no\"";

/// Whether a login sets the variable of the token file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportChoice {
    /// As the site's PAM line says.
    #[default]
    Yes,
    /// Never.
    No,
}

impl ExportChoice {
    pub(crate) fn is_yes(&self) -> bool {
        *self == Self::Yes
    }
}

pub(super) fn export(text: &str) -> Option<ExportChoice> {
    match text {
        "yes" => Some(ExportChoice::Yes),
        "no" => Some(ExportChoice::No),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn export_is_yes_or_no() {
        assert_eq!(export("no"), Some(ExportChoice::No));
        assert_eq!(export("yes"), Some(ExportChoice::Yes));
        assert!(export("No").is_none() && export("").is_none());
    }
}
