//! What the files of accounts are called. Pure; touches nothing.

use crate::account;

pub(super) const RECORD: &str = ".cred";

pub(crate) fn record_name(account: &str) -> String {
    format!("{account}{RECORD}")
}

/// Whose record a file is by its name, or was to become: `NAME.cred` and `.NAME.cred.RANDOM`.
pub(crate) fn account_of(name: &str) -> Option<&str> {
    in_place(name)?.strip_suffix(RECORD).filter(|account| account::validate(account).is_ok())
}

/// The name of a file, or that which one was to have that a mint did not finish: `NAME` and `.NAME.RANDOM`.
pub(super) fn in_place(name: &str) -> Option<&str> {
    match name.strip_prefix('.') {
        None => Some(name),
        Some(draft) => Some(draft.rsplit_once('.')?.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_what_was_to_become_one_are_known_by_their_names() {
        for (name, account) in [
            ("wlcg.cred", Some("wlcg")),
            (".wlcg.cred.0123abcd", Some("wlcg")),
            ("a.cred.b.cred", Some("a.cred.b")),
            (".a.cred.b.cred.0123", Some("a.cred.b")),
            ("wlcg.token", None),
            (".lock", None),
            (".cred", None),
            ("cred", None),
            (".wlcg.cred", None),
        ] {
            assert_eq!(account_of(name), account, "{name}");
        }
    }
}
