//! The order and the words of a revocation.

use super::*;
use crate::protocol::FailureKind;

#[test]
fn the_log_says_of_each_account_what_was_done_and_what_was_not() {
    let mut report = Report::default();
    let steps = vec![
        ForgetStep { step: ForgetAction::Revoke, error: Some("down".into()) },
        ForgetStep { step: ForgetAction::Remove, error: None },
    ];
    let logged = tell_steps("a", Ok(steps), &mut report);
    let (not, done) =
        ("account 'a': is still good at the issuer: down", "account 'a': removed from the user's store");
    assert_eq!(logged, [not, done]);
    assert_eq!((report.warnings, report.done), (vec![not.to_owned()], vec![done.to_owned()]));
    let mut report = Report::default();
    let logged = tell_steps("a", Err("no key".into()), &mut report);
    assert_eq!(logged, ["account 'a' stays as it is: no key"]);
    assert!(matches!(report.tell(), Ok(Exit::With(FailureKind::Failed))));
}
