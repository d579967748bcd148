//! Reads JSON that others have written, leniently, and wipes it after use. Pure; touches nothing.

use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroize;

/// The fields of a JSON object; `None` for anything else. serde_json stops at 128 levels of nesting; the caller bounds
/// the length.
pub(crate) fn object(json: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(fields)) => Some(fields),
        Ok(mut other) => {
            wipe(&mut other);
            None
        }
        Err(_) => None,
    }
}

/// A variant without fields, as serde spells it.
pub(crate) fn spelled(variant: &impl Serialize) -> String {
    serde_json::to_string(variant).map(|text| text.trim_matches('"').to_owned()).unwrap_or_default()
}

/// Overwrites every text.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

/// A whole number, cut to the range of the type; also one written as a text or with a fraction.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(saturate)),
        Value::String(digits) => digits.trim().parse::<f64>().ok().and_then(saturate),
        _ => None,
    }
}

/// NaN and infinity are no numbers; `as` saturates for the rest.
#[allow(clippy::cast_possible_truncation)]
fn saturate(number: f64) -> Option<i64> {
    number.is_finite().then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_has_fields() {
        let deep = "[".repeat(100_000);
        for body in ["", "null", "[]", "\"text\"", "<html></html>", "{\"a\":1", "{} {}", "\u{feff}{}", &deep]
        {
            assert_eq!(object(body.as_bytes()), None, "{body:.20}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), None);
        assert_eq!(object(b" {\"a\":1}\n").unwrap()["a"], 1);
    }

    #[test]
    fn numbers_come_in_many_shapes() {
        for (json, number) in [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("\" 60 \"", Some(60)),
            ("3599.9", Some(3599)),
            ("-1", Some(-1)),
            ("9223372036854775808", Some(i64::MAX)),
            ("1e300", Some(i64::MAX)),
            ("\"inf\"", None),
            ("\"nan\"", None),
            ("\"soon\"", None),
            ("null", None),
            ("true", None),
            ("[1]", None),
        ] {
            assert_eq!(whole(&serde_json::from_str(json).unwrap()), number, "{json}");
        }
    }

    #[test]
    fn every_text_is_wiped() {
        let mut value = serde_json::json!({"a": "secret", "b": [1, {"c": "secret"}]});
        wipe(&mut value);
        assert_eq!(value, serde_json::json!({"a": "", "b": [1, {"c": ""}]}));
    }
}
