//! A JSON object from an issuer, read leniently and wiped after use. Pure; touches nothing.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::json::{self, whole, wipe};
use crate::scope::ScopeSet;

/// A client's metadata with the largest secrets fit, so that writing them leaves no copy behind.
const BODY_CAPACITY: usize = 64 * 1024;

/// What is wrong with an answer; reads on from "HOST answered the … with ".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("something that is not a JSON object")]
    NotAnObject,
    #[error("no '{0}'")]
    Missing(&'static str),
    #[error("more than anybody reads")]
    TooLong,
    #[error("a '{0}' that {1}")]
    Unusable(&'static str, &'static str),
    #[error("the issuer '{0}', which is another one")]
    AnotherIssuer(String),
}

/// A JSON object whose texts are wiped when it is dropped.
///
/// Issuers send numbers as strings, nulls for what they do not have, and lists where a specification has a
/// text. What cannot do harm is taken as it was meant; what has another type altogether counts as absent.
#[derive(Default)]
pub(super) struct Object(Map<String, Value>);

impl Object {
    /// Reads a whole body, whose length the transport has bounded.
    pub(super) fn parse(body: &[u8]) -> Result<Self, BodyError> {
        json::object(body).map(Self).ok_or(BodyError::NotAnObject)
    }

    /// Takes a text out; an empty one counts as absent.
    pub(super) fn take_text(&mut self, field: &str) -> Option<String> {
        match self.0.get_mut(field) {
            Some(Value::String(text)) if !text.is_empty() => Some(std::mem::take(text)),
            _ => None,
        }
    }

    /// Takes out the first text that is there.
    pub(super) fn take_first_text(&mut self, fields: &[&str]) -> Option<String> {
        fields.iter().find_map(|field| self.take_text(field))
    }

    /// Takes an object out.
    pub(super) fn take_object(&mut self, field: &str) -> Option<Self> {
        match self.0.get_mut(field) {
            Some(Value::Object(fields)) => Some(Self(std::mem::take(fields))),
            _ => None,
        }
    }

    /// A text; an empty one counts as absent.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Removes a field.
    pub(super) fn remove(&mut self, field: &str) {
        if let Some(mut value) = self.0.remove(field) {
            wipe(&mut value);
        }
    }

    /// Puts a text in the place of what was there.
    pub(super) fn set(&mut self, field: &str, text: &str) {
        self.remove(field);
        self.0.insert(field.to_owned(), text.into());
    }

    /// The object as it is sent back.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_CAPACITY));
        // A map of JSON values always is JSON.
        let _ = serde_json::to_writer(&mut *bytes, &self.0);
        bytes
    }

    /// Takes out a text that must be there.
    pub(super) fn require_text(&mut self, field: &'static str) -> Result<String, BodyError> {
        self.take_text(field).ok_or(BodyError::Missing(field))
    }

    /// Whether the field is there with a value of any type; null and an empty text are none.
    pub(super) fn has(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// A whole number, cut to the range of the type; also one written as a string or with a fraction.
    pub(super) fn number(&self, field: &str) -> Option<i64> {
        self.0.get(field).and_then(whole)
    }

    /// A space-separated text or a list of texts, as scopes.
    pub(super) fn scope(&self, field: &str) -> Option<ScopeSet> {
        self.0.get(field).and_then(scope_of)
    }

    /// What a claim says: one value or a list of them, as texts. What is neither text, number nor truth is left out.
    pub(super) fn values(&self, field: &str) -> Vec<String> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        };
        match self.0.get(field) {
            Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
            Some(value) => text(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The texts of a list.
    pub(super) fn texts(&self, field: &str) -> impl Iterator<Item = &str> {
        let list = self.0.get(field).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// A space-separated text or a list of texts, as scopes.
pub(super) fn scope_of(value: &Value) -> Option<ScopeSet> {
    let legal = |scope: &&str| is_scope_token(scope);
    match value {
        Value::String(text) => Some(text.split_whitespace().filter(legal).collect()),
        Value::Array(texts) => Some(texts.iter().filter_map(Value::as_str).filter(legal).collect()),
        _ => None,
    }
}

/// scope-token of RFC 6749 §3.3. Scopes are printed: nothing else may get through.
fn is_scope_token(scope: &str) -> bool {
    scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Whether `text` is visible ASCII without a space, and at most `limit` bytes: safe in a header, a line, a form.
pub(super) fn is_visible(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn scopes_are_a_text_or_a_list_and_never_a_control_sequence() {
        let plain = ScopeSet::parse("openid storage.read:/");
        assert_eq!(object(r#"{"s":" openid  storage.read:/ "}"#).scope("s"), Some(plain.clone()));
        assert_eq!(object(r#"{"s":["openid",1,"storage.read:/"]}"#).scope("s"), Some(plain.clone()));
        assert_eq!(object("{\"s\":\"openid storage.read:/ \\u001b[2J \\u202ex\"}").scope("s"), Some(plain));
        assert_eq!(object(r#"{"s":7}"#).scope("s"), None);
    }

    #[test]
    fn a_text_is_taken_once_and_an_empty_one_is_none() {
        let mut fields = object(r#"{"a":"x","b":"","c":null,"d":3}"#);
        assert_eq!(fields.take_text("a").as_deref(), Some("x"));
        assert_eq!(fields.take_text("a"), None);
        assert_eq!(fields.take_text("b"), None);
        assert!(!fields.has("c") && fields.has("d"));
        assert_eq!(fields.require_text("d"), Err(BodyError::Missing("d")));
    }
}
