//! `[roles.NAME]`: names for scopes and audiences that belong together. Pure; touches nothing.
//!
//! A role grants nothing: it is short for what a user could ask for by hand, and the issuer decides as ever.

use std::collections::BTreeMap;

use super::ConfigError;
use super::document::ConfigEntry;
use super::value::{ACCOUNT, SCOPE, account, scopes};
use crate::scope::ScopeSet;

const TABLES: &str = "tables [roles.NAME] with scope and, if wanted, audience";
const AUDIENCE: &str = "audiences in one string, space-separated, e.g. \"https://se.example.org\"";
const KEYS: [&str; 2] = ["scope", "audience"];

/// What a role stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleDefinition {
    /// The scopes.
    pub scope: ScopeSet,
    /// The audiences, space-separated; empty for the issuer's default.
    pub audience: String,
}

/// Roles by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, RoleDefinition>);

impl Roles {
    /// The role of that name.
    pub fn get(&self, name: &str) -> Option<&RoleDefinition> {
        self.0.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// These and those of `other`; where both have one, this one's stays.
    pub fn or(mut self, other: Self) -> Self {
        for (name, role) in other.0 {
            self.0.entry(name).or_insert(role);
        }
        self
    }

    /// Adds those of the table; a later one replaces an earlier one of its name.
    pub(super) fn read(&mut self, table: &ConfigEntry<'_>) -> Result<(), ConfigError> {
        for entry in table.entries(TABLES)? {
            let name = account(entry.key()).ok_or_else(|| entry.wrong_name(ACCOUNT))?;
            self.0.insert(name, role(&entry)?);
        }
        Ok(())
    }
}

fn role(table: &ConfigEntry<'_>) -> Result<RoleDefinition, ConfigError> {
    let mut role = RoleDefinition::default();
    for entry in table.entries(TABLES)? {
        match entry.key() {
            "scope" => role.scope = entry.parsed(SCOPE, scopes)?,
            "audience" => role.audience = entry.parsed(AUDIENCE, audiences)?,
            _ => return Err(entry.unknown(&KEYS)),
        }
    }
    if role.scope.is_empty() { Err(table.wrong_name("a table with 'scope'")) } else { Ok(role) }
}

fn audiences(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let clean = words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_graphic()));
    (clean && !words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;

    fn parse(text: &str) -> Result<Roles, String> {
        let mut roles = Roles::default();
        let document = Document::of("c.toml", text);
        document.each(|entry| roles.read(entry)).map_err(|error| error.to_string())?;
        Ok(roles)
    }

    #[test]
    fn a_role_has_scopes_and_may_have_audiences() {
        let roles = parse("[roles.stage-out]\nscope = \"storage.create:/cms openid\"\naudience = \" https://a  b \"\n[roles.read]\nscope = \"storage.read:/\"").unwrap();
        assert_eq!(roles.names().collect::<Vec<_>>(), ["read", "stage-out"]);
        let role = roles.get("stage-out").unwrap();
        assert_eq!(
            (&role.scope, role.audience.as_str()),
            (&ScopeSet::parse("openid storage.create:/cms"), "https://a b")
        );
        assert_eq!(roles.get("read").unwrap().audience, "");
    }

    #[test]
    fn of_two_with_one_name_the_first_ones_stays() {
        let site = parse("[roles.a]\nscope = \"x\"").unwrap();
        let user = parse("[roles.a]\nscope = \"y\"\n[roles.b]\nscope = \"z\"").unwrap();
        let both = site.or(user);
        assert_eq!(both.get("a").unwrap().scope, ScopeSet::parse("x"));
        assert_eq!(both.get("b").unwrap().scope, ScopeSet::parse("z"));
    }

    #[test]
    fn a_mistake_is_one_line_with_its_place() {
        for (text, expected) in [
            ("roles = 1", format!("c.toml:1: roles is of type integer; accepted: {TABLES}")),
            ("[roles]\nx = \"y\"", format!("c.toml:2: x is of type string; accepted: {TABLES}")),
            ("[roles.\"../x\"]\nscope = \"y\"", format!("c.toml:1: '../x' is wrong; accepted: {ACCOUNT}")),
            (
                "[roles.x]\naudience = \"y\"",
                "c.toml:1: 'x' is wrong; accepted: a table with 'scope'".to_owned(),
            ),
            (
                "[roles.x]\nscope = \"y\"\nscopes = \"z\"",
                "c.toml:3: unknown key 'scopes'; accepted: scope, audience".to_owned(),
            ),
            ("[roles.x]\nscope = \"\"", format!("c.toml:2: scope = '' is wrong; accepted: {SCOPE}")),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }
}
