//! Sets of scopes, and whether one scope contains another. Pure; touches nothing.

use std::collections::BTreeSet;
use std::fmt;

/// A set of scopes, sorted, as `scope` fields carry them (RFC 6749 §3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(BTreeSet<String>);

impl ScopeSet {
    /// Splits a `scope` field at white space.
    pub fn parse(field: &str) -> Self {
        Self(field.split_whitespace().map(str::to_owned).collect())
    }

    /// The scopes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one scope.
    #[cfg(feature = "answers")]
    pub(crate) fn insert(&mut self, scope: &str) {
        self.0.insert(scope.to_owned());
    }

    /// All but `scope` itself.
    pub(crate) fn without(&self, scope: &str) -> Self {
        self.iter().filter(|other| *other != scope).collect()
    }

    /// Those of both sets.
    pub(crate) fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// Whether `scope` itself, or one that contains it, is in the set.
    pub fn allows(&self, scope: &str) -> bool {
        self.iter().any(|granted| contains(granted, scope))
    }

    /// What of `wanted` this set does not allow, in `wanted`'s order.
    pub fn missing(&self, wanted: &Self) -> Vec<String> {
        wanted.iter().filter(|scope| !self.allows(scope)).map(str::to_owned).collect()
    }

    /// What both sets allow, by path-component containment, the narrower of two kept.
    pub fn intersect(&self, other: &Self) -> Self {
        let narrower = |a: &Self, b: &Self| -> BTreeSet<String> {
            a.iter().filter(|scope| b.allows(scope)).map(str::to_owned).collect()
        };
        Self(narrower(self, other).union(&narrower(other, self)).cloned().collect())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

impl<S: AsRef<str>> FromIterator<S> for ScopeSet {
    /// Each item may itself hold several scopes.
    fn from_iter<I: IntoIterator<Item = S>>(items: I) -> Self {
        let mut set = BTreeSet::new();
        for item in items {
            set.extend(item.as_ref().split_whitespace().map(str::to_owned));
        }
        Self(set)
    }
}

impl serde::Serialize for ScopeSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ScopeSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|field| Self::parse(&field))
    }
}

/// Whether `scope` is one of OpenID Connect's own (Core §3.1.2.1, §5.4): it says who somebody is, and opens no storage.
pub(crate) fn is_identity(scope: &str) -> bool {
    matches!(scope, "openid" | "profile" | "email" | "address" | "phone")
}

/// Whether a grant of `outer` includes `inner`.
///
/// `name:/path` contains `name:/path/below` by whole path components (WLCG profile 1.3, "Capability-based
/// authorization": `/foo` does not contain `/foobar`). A name without a path contains the same name with any
/// path, as `wlcg.groups` does. A path with a `..` component is contained in nothing but itself.
pub fn contains(outer: &str, inner: &str) -> bool {
    if outer == inner {
        return true;
    }
    let (outer_name, outer_path) = split(outer);
    let (inner_name, inner_path) = split(inner);
    if outer_name != inner_name {
        return false;
    }
    match (outer_path, inner_path) {
        (None, Some(path)) => !climbs(path),
        (Some(outer), Some(inner)) => !climbs(inner) && !climbs(outer) && is_below(outer, inner),
        _ => false,
    }
}

fn split(scope: &str) -> (&str, Option<&str>) {
    match scope.split_once(":/") {
        Some((name, path)) => (name, Some(path)),
        None => (scope, None),
    }
}

/// Also where a path holds a percent sign: who decodes it before comparing may find `..` behind it.
fn climbs(path: &str) -> bool {
    path.contains('%') || components(path).any(|component| component == "..")
}

fn is_below(outer: &str, inner: &str) -> bool {
    let mut inner = components(inner);
    components(outer).all(|component| inner.next() == Some(component))
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty() && *component != ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_contains_what_lies_below_it() {
        for (outer, inner) in [
            ("storage.read:/", "storage.read:/"),
            ("storage.read:/", "storage.read:/a/b"),
            ("storage.read:/a", "storage.read:/a/b"),
            ("storage.read:/a/", "storage.read:/a"),
            ("storage.read:/a", "storage.read://a/./b"),
            ("wlcg.groups", "wlcg.groups:/cms"),
            ("openid", "openid"),
        ] {
            assert!(contains(outer, inner), "{outer} should contain {inner}");
        }
    }

    #[test]
    fn a_path_contains_nothing_beside_or_above_it() {
        for (outer, inner) in [
            ("storage.read:/foo", "storage.read:/foobar"),
            ("storage.read:/a/b", "storage.read:/a"),
            ("storage.read:/a", "storage.modify:/a"),
            ("storage.read:/a", "storage.read:/a/../b"),
            ("storage.read:/a", "storage.read:/a/%2e%2e/b"),
            ("storage.read:/", "storage.read:/../etc"),
            ("storage.read:/a", "storage.read"),
            ("wlcg.groups:/cms", "wlcg.groups"),
            ("openid", "openid2"),
        ] {
            assert!(!contains(outer, inner), "{outer} should not contain {inner}");
        }
    }

    #[test]
    fn an_intersection_keeps_the_narrower_scope() {
        let site = ScopeSet::parse("openid storage.read:/ storage.modify:/home wlcg");
        let granted = ScopeSet::parse("openid offline_access storage.read:/cms storage.modify:/ iam:admin");
        let both = ScopeSet::parse("openid storage.read:/cms storage.modify:/home");
        assert_eq!(site.intersect(&granted), both);
        assert_eq!(granted.intersect(&site), both);
    }

    #[test]
    fn what_is_missing_is_named() {
        let granted = ScopeSet::parse("openid storage.read:/cms");
        let asked = ScopeSet::parse("storage.read:/cms/a storage.read:/atlas openid");
        assert_eq!(granted.missing(&asked), ["storage.read:/atlas"]);
    }
}
