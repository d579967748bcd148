//! Writes `key=value` as a line of the log has it. Pure; touches nothing.

use crate::text::printable;

/// Of a value: rsyslog takes 8 KiB a line, journald and old daemons less.
const MAX_VALUE: usize = 512;

/// The fields in their order, one space between. A value of anything but letters, digits and a few signs is in double
/// quotes, with a backslash before a quote and a backslash: whatever an issuer says, it makes no second field.
pub(super) fn line(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
    fields.join(" ")
}

fn quoted(value: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@%+,~".contains(&byte);
    let value = shortened(value);
    if !value.is_empty() && value.bytes().all(bare) {
        return value;
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn shortened(value: &str) -> String {
    let value = printable(value);
    match value.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_bare_and_others_quoted() {
        assert_eq!(
            line(&[("event", "minted"), ("issuer", "https://a.example/"), ("scope", "a b"), ("jti", "")]),
            r#"event=minted issuer=https://a.example/ scope="a b" jti="""#
        );
    }

    #[test]
    fn no_value_makes_a_second_field_or_line() {
        assert_eq!(line(&[("subject", "x\" user=root")]), r#"subject="x\" user=root""#);
        assert_eq!(line(&[("subject", "x\nevent=minted")]), r#"subject="x\\x0aevent=minted""#);
        assert_eq!(line(&[("subject", "x\\")]), r#"subject="x\\""#);
    }

    #[test]
    fn a_long_value_is_cut() {
        let cut = quoted(&"ä".repeat(2 * MAX_VALUE));
        assert_eq!((cut.chars().count(), cut.ends_with("ä…\"")), (MAX_VALUE + 3, true));
    }
}
