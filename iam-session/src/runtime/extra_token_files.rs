//! The accounts that have a token file of their own besides the session's. All agents of the user see the same list.
//! Touches the agents' directory.

use super::RuntimeDirectory;
use crate::account;
use crate::directory::{Directory, DirectoryError, Durability};

const NAME: &str = "kept.json";
const MAX_FILE: usize = 16 * 1024;
/// Each costs the issuer a refresh for every life of a token, for as long as the user is logged in.
pub(crate) const MAX_KEPT: usize = 16;

/// Their names, in the order in which they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExtraTokenFiles(Vec<String>);

impl ExtraTokenFiles {
    /// What was written last. Best effort: what cannot be read is not kept.
    pub(crate) fn read(directory: &Directory) -> Self {
        let read =
            || -> Option<Vec<String>> { serde_json::from_slice(&directory.read(NAME, MAX_FILE).ok()??).ok() };
        // They become file names.
        let names = read().unwrap_or_default().into_iter();
        Self(names.filter(|name| account::validate(name).is_ok()).take(MAX_KEPT).collect())
    }

    /// Replaces it. The caller holds the mint lock.
    pub(crate) fn write(&self, directory: &Directory) -> Result<(), DirectoryError> {
        directory.replace(NAME, &serde_json::to_vec(&self.0).unwrap_or_default(), Durability::Volatile)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(crate) fn contains(&self, account: &str) -> bool {
        self.iter().any(|name| name == account)
    }

    /// Adds an account; `None` where there is room for no more.
    pub(crate) fn with(mut self, account: &str) -> Option<Self> {
        if !self.contains(account) {
            self.0.push(account.to_owned());
        }
        (self.0.len() <= MAX_KEPT).then_some(self)
    }

    pub(crate) fn without(mut self, account: &str) -> Self {
        self.0.retain(|name| name != account);
        self
    }
}

/// The names of all extra token files in the runtime directory, also of those that nobody remembers.
pub(crate) fn files(runtime: &RuntimeDirectory) -> Result<Vec<String>, DirectoryError> {
    let prefix = runtime.places.kept_file_name("");
    let is_kept =
        |name: &String| name.strip_prefix(&prefix).is_some_and(|rest| account::validate(rest).is_ok());
    Ok(runtime.top.names()?.into_iter().filter(is_kept).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_some() {
        let mut kept = ExtraTokenFiles::default();
        for number in 0..MAX_KEPT {
            kept = kept.with(&format!("a{number}")).unwrap();
        }
        assert_eq!(kept.clone().with("a3"), Some(kept.clone()));
        assert_eq!(kept.clone().with("b"), None);
        assert!(!kept.without("a3").contains("a3"));
    }
}
