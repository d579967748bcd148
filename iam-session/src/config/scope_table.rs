//! A table of a provider's file that says which scopes a word stands for. Pure; touches nothing.

use std::collections::BTreeMap;

use super::ConfigError;
use super::document::ConfigEntry;
use super::value::{SCOPE, scopes};
use crate::scope::ScopeSet;

const TABLE: &str = "a table, each line WORD = \"SCOPE…\"";
const WORD: &str = "one word of visible ASCII";

/// Scopes by words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeTable(BTreeMap<String, ScopeSet>);

impl ScopeTable {
    /// What a word stands for.
    pub fn get(&self, word: &str) -> Option<&ScopeSet> {
        self.0.get(word)
    }

    /// All that any word stands for.
    pub fn all(&self) -> ScopeSet {
        self.0.values().fold(ScopeSet::default(), |all, scopes| all.union(scopes))
    }

    /// What those of `scope` stand for that are words of this table.
    pub fn expand(&self, scope: &ScopeSet) -> ScopeSet {
        let listed = scope.iter().filter_map(|word| self.get(word));
        listed.fold(ScopeSet::default(), |all, scopes| all.union(scopes))
    }

    /// `granted`, and those of `asked` of which it has a part: an issuer grants what a word stands for, and not the word.
    pub fn with_words(&self, asked: &ScopeSet, granted: &ScopeSet) -> ScopeSet {
        let has_part =
            |word: &&str| self.get(word).is_some_and(|scopes| !scopes.intersect(granted).is_empty());
        granted.union(&asked.iter().filter(has_part).collect())
    }

    /// `scope` as somebody asks for it: without what a word in it stands for.
    pub fn contracted(&self, scope: &ScopeSet) -> ScopeSet {
        let parts = self.expand(scope);
        scope.iter().filter(|one| self.get(one).is_some() || !parts.allows(one)).collect()
    }

    pub(super) fn read(&mut self, table: &ConfigEntry<'_>) -> Result<(), ConfigError> {
        for entry in table.entries(TABLE)? {
            let word = entry.key();
            if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(entry.wrong_name(WORD));
            }
            self.0.insert(word.to_owned(), entry.parsed(SCOPE, scopes)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;

    fn table(text: &str) -> Result<ScopeTable, String> {
        let mut table = ScopeTable::default();
        Document::of("p.toml", text).each(|entry| table.read(entry)).map_err(|error| error.to_string())?;
        Ok(table)
    }

    #[test]
    fn words_stand_for_scopes() {
        let table = table("[t]\na = \"x y\"\n\"https://b\" = \"z\"").unwrap();
        assert_eq!(table.all().to_string(), "x y z");
        assert_eq!(table.expand(&ScopeSet::parse("a c")).to_string(), "x y");
    }

    #[test]
    fn a_word_is_granted_with_a_part_of_what_it_stands_for() {
        let table = table("[t]\nset = \"storage.read:/d storage.create:/d\"").unwrap();
        let with_words = |asked: &str, granted: &str| {
            table.with_words(&ScopeSet::parse(asked), &ScopeSet::parse(granted)).to_string()
        };
        assert_eq!(with_words("set openid", "storage.create:/d/alice"), "set storage.create:/d/alice");
        assert_eq!(with_words("set", "storage.create:/other"), "storage.create:/other");
        assert_eq!(with_words("openid", "storage.read:/d"), "storage.read:/d");
    }

    #[test]
    fn what_is_asked_for_again_is_the_word() {
        let table = table("[t]\nset = \"storage.read:/d\"").unwrap();
        let contracted = |scope: &str| table.contracted(&ScopeSet::parse(scope)).to_string();
        assert_eq!(contracted("openid set storage.read:/d/alice"), "openid set");
        assert_eq!(contracted("openid storage.read:/d/alice"), "openid storage.read:/d/alice");
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, expected) in [
            ("t = 1", format!("p.toml:1: t is of type integer; accepted: {TABLE}")),
            ("[t]\n\"a b\" = \"x\"", format!("p.toml:2: 'a b' is wrong; accepted: {WORD}")),
            ("[t]\n\na = \"\"", format!("p.toml:3: a = '' is wrong; accepted: {SCOPE}")),
        ] {
            assert_eq!(table(text).unwrap_err(), expected);
        }
    }
}
