//! What is wrong with a token file, and the note that the last of it leaves: it is mended within a second, and whoever
//! asks later is still to learn what was there. Touches the agents' directory.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::directory::{Directory, DirectoryError, Durability};
use crate::json::{self, wipe};

/// The note.
const NAME: &str = "damage.json";
const MAX_NOTE: usize = 4096;
/// Longer ago it explains nothing that a user sees today.
const TOLD_FOR: u64 = 24 * 60 * 60;

/// What another program, or a hand, has made of a token file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileDamage {
    /// Nothing is there, and we had put a token there.
    Missing,
    /// It is empty.
    Empty,
    /// JSON, and in it a refresh token in clear, as of dirac-login.
    RefreshToken,
    /// Other JSON.
    Json,
    /// Another program's JWT that has ended, or does not say when it ends.
    EndedToken,
    /// A device, a directory, somebody else's file, or far too much.
    Unreadable,
    /// Anything else. A token that is no JWT is among it: nobody could say whether that lives.
    NoToken,
}

/// When what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DamageNote {
    pub(crate) found: FileDamage,
    /// Seconds since the epoch.
    pub(crate) at: u64,
}

impl FileDamage {
    /// Of what is no JWT.
    pub(crate) fn of(text: &[u8]) -> Self {
        if text.trim_ascii().is_empty() {
            return Self::Empty;
        }
        let Some(fields) = json::object(text) else { return Self::NoToken };
        let mut fields = Value::Object(fields);
        let has_refresh_token = holds_refresh_token(&fields);
        wipe(&mut fields);
        if has_refresh_token { Self::RefreshToken } else { Self::Json }
    }

    /// For a person: what was found in the token file.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Missing => "the token file had been removed",
            Self::Empty => "the token file had been emptied",
            Self::RefreshToken => "another program had put a refresh token in clear into the token file",
            Self::Json => "another program had put JSON into the token file",
            Self::EndedToken => "another program's token in the token file had ended",
            Self::Unreadable => {
                "there was something in the place of the token file that cannot be read as one"
            }
            Self::NoToken => {
                "another program had put something into the token file that is no token that says its end"
            }
        }
    }
}

/// At any depth: a program may put a whole answer of an issuer into a field of its own. The reader of JSON bounds the
/// depth.
fn holds_refresh_token(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(key, value)| {
            (key == "refresh_token" && value.as_str().is_some_and(|text| !text.is_empty()))
                || holds_refresh_token(value)
        }),
        Value::Array(values) => values.iter().any(holds_refresh_token),
        _ => false,
    }
}

impl DamageNote {
    /// What was noted last, unless that is long ago. A time that is to come is one of before the clock was set right.
    pub(crate) fn read(agents: &Directory, now: u64) -> Option<Self> {
        let note: Self = serde_json::from_slice(&agents.read(NAME, MAX_NOTE).ok()??).ok()?;
        (now.saturating_sub(note.at) < TOLD_FOR).then_some(note)
    }

    pub(crate) fn write(&self, agents: &Directory) -> Result<(), DirectoryError> {
        agents.replace(NAME, &serde_json::to_vec(self).unwrap_or_default(), Durability::Volatile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_named() {
        for (text, found) in [
            ("", FileDamage::Empty),
            (" \n", FileDamage::Empty),
            ("{}", FileDamage::Json),
            (r#"{"access_token":"a","refresh_token":""}"#, FileDamage::Json),
            (r#"{"access_token":"a","refresh_token":null}"#, FileDamage::Json),
            (r#"{"access_token":"a","refresh_token":"r"}"#, FileDamage::RefreshToken),
            (r#" {"token":[{"refresh_token":"r"}]}"#, FileDamage::RefreshToken),
            ("nonsense", FileDamage::NoToken),
            ("[1]", FileDamage::NoToken),
        ] {
            assert_eq!(FileDamage::of(text.as_bytes()), found, "{text}");
        }
    }
}
