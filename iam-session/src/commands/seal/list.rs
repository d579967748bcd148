//! The slots of the accounts, as a person reads them. Pure; touches nothing.

use crate::protocol::{SealedAccount, SlotKind, SlotReport};
use crate::text::printable;

/// An account a paragraph.
pub(super) fn render(accounts: &[SealedAccount]) -> String {
    match accounts.is_empty() {
        true => "nothing is enrolled here\n".to_owned(),
        false => accounts.iter().map(paragraph).collect::<Vec<_>>().join("\n"),
    }
}

fn paragraph(account: &SealedAccount) -> String {
    let mut text = format!("{}\n", printable(&account.name));
    account.slots.iter().for_each(|slot| text.push_str(&line(slot)));
    if let Some(trouble) = &account.trouble {
        text.push_str(&format!("  {}\n", printable(&trouble.error)));
    } else if !account.slots.iter().any(|slot| slot.opens_at_login) {
        text.push_str("  no login here opens it: each starts locked\n");
    }
    text
}

fn line(slot: &SlotReport) -> String {
    let kind = match slot.kind {
        SlotKind::Node => "node key",
        SlotKind::Passphrase => "passphrase",
        SlotKind::Other => "something that a later version knows",
    };
    let opens = match (slot.opens_now, slot.opens_at_login) {
        (_, true) => "opens at each login",
        (true, false) => "opens now",
        (false, false) => "does not open now",
    };
    match &slot.key {
        Some(key) => format!("  {kind} {}: {opens}\n", printable(key)),
        None => format!("  {kind}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Failure;

    fn slot(kind: SlotKind, key: &str, opens_now: bool, opens_at_login: bool) -> SlotReport {
        let key = (!key.is_empty()).then(|| key.to_owned());
        SlotReport { kind, key, opens_now, opens_at_login }
    }

    #[test]
    fn an_account_a_paragraph() {
        let both = SealedAccount {
            name: "wlcg".into(),
            changed: false,
            slots: vec![
                slot(SlotKind::Node, "aada", true, true),
                slot(SlotKind::Passphrase, "6997", false, false),
                slot(SlotKind::Other, "", false, false),
            ],
            trouble: None,
        };
        let typed = SealedAccount {
            name: "cms".into(),
            slots: vec![slot(SlotKind::Passphrase, "6997", true, false)],
            ..both.clone()
        };
        let trouble = Failure::failed("it is\x1b damaged");
        let damaged =
            SealedAccount { name: "x".into(), slots: vec![], trouble: Some(trouble), ..both.clone() };
        assert_eq!(
            render(&[both, typed, damaged]),
            "wlcg\n\
             \x20 node key aada: opens at each login\n\
             \x20 passphrase 6997: does not open now\n\
             \x20 something that a later version knows\n\
             \n\
             cms\n\
             \x20 passphrase 6997: opens now\n\
             \x20 no login here opens it: each starts locked\n\
             \n\
             x\n\
             \x20 it is\\x1b damaged\n"
        );
        assert_eq!(render(&[]), "nothing is enrolled here\n");
    }
}
