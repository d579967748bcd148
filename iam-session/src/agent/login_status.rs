//! The state of a login, from what is known without a secret. Pure; touches nothing.

use super::status_lines::{Hint, StatusWord};
use crate::clock::Now;
use crate::protocol::FailureKind;
use crate::runtime::accounts::AccountBook;
use crate::runtime::last_failure::{LastFailure, RequestedBy, RetryWhen};

/// Time enough to find a browser.
const ENDS_SOON: u64 = 7 * 24 * 60 * 60;

/// What is said at login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoginStatus {
    pub(super) word: StatusWord,
    /// Worth saying; whether it is time to say it is another question.
    pub(super) hint: Option<Hint>,
    /// Whether a token may come in a moment: not while the issuer is spared.
    pub(super) is_worth_waiting: bool,
}

impl LoginStatus {
    /// The store cannot be read, or not in time.
    pub(super) const UNREAD: Self =
        Self { word: StatusWord::StoreUnavailable, hint: None, is_worth_waiting: false };
    /// The user's lock of this host stands.
    pub(super) const LOCKED: Self =
        Self { word: StatusWord::Locked, hint: Some(Hint::Unlock), is_worth_waiting: false };

    /// Judges the default account. `has_token`: a good one is in the file.
    pub(super) fn of(
        book: &AccountBook,
        has_token: bool,
        last_failure: Option<&LastFailure>,
        now: Now,
    ) -> Self {
        let finally = |word, hint| Self { word, hint, is_worth_waiting: false };
        if book.trouble.is_some() {
            return finally(StatusWord::StoreUnavailable, None);
        }
        let Some(entry) = book.find(None) else {
            return finally(StatusWord::NotEnrolled, book.invites.then_some(Hint::Enrol));
        };
        match &entry.trouble {
            Some(trouble) if trouble.kind == FailureKind::Locked => {
                return finally(StatusWord::Locked, Some(Hint::Unlock));
            }
            Some(_) => return finally(StatusWord::StoreUnavailable, None),
            None => {}
        }
        if has_token {
            let soon = entry.enrollment_ends_at.is_some_and(|end| end < now.unix + ENDS_SOON);
            return finally(StatusWord::Ready, soon.then_some(Hint::EndsSoon));
        }
        if last_failure.is_some_and(|last_failure| last_failure.outlook == RetryWhen::Lasting) {
            return finally(StatusWord::NotEnrolled, Some(Hint::Enrol));
        }
        let is_worth_waiting =
            !last_failure.is_some_and(|last_failure| last_failure.holds(RequestedBy::Agent, now.boot));
        Self { word: StatusWord::ReadyNoToken, hint: None, is_worth_waiting }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::Failure;
    use crate::runtime::accounts::tests::{book, entry};
    use crate::runtime::last_failure::RetryPause;

    const NOW: Now = Now { unix: 1_000_000, boot: Duration::from_secs(100) };

    fn failure(kind: FailureKind) -> Failure {
        Failure::new(kind, "e")
    }

    fn last_failure(outlook: RetryWhen) -> LastFailure {
        LastFailure::after(None, failure(FailureKind::Failed), outlook, RetryPause::Doubling, "boot", NOW)
    }

    fn said(
        book: &AccountBook,
        has_token: bool,
        last_failure: Option<&LastFailure>,
    ) -> (StatusWord, Option<Hint>, bool) {
        let verdict = LoginStatus::of(book, has_token, last_failure, NOW);
        (verdict.word, verdict.hint, verdict.is_worth_waiting)
    }

    #[test]
    fn without_an_account_the_hint_depends_on_the_site() {
        let mut book = AccountBook::default();
        assert_eq!(said(&book, false, None), (StatusWord::NotEnrolled, None, false));
        book.invites = true;
        assert_eq!(said(&book, false, None), (StatusWord::NotEnrolled, Some(Hint::Enrol), false));
    }

    #[test]
    fn a_record_that_does_not_open_is_locked_or_unavailable() {
        for (kind, expected) in [
            (FailureKind::Locked, (StatusWord::Locked, Some(Hint::Unlock), false)),
            (FailureKind::Failed, (StatusWord::StoreUnavailable, None, false)),
        ] {
            let mut entry = entry("wlcg");
            entry.trouble = Some(failure(kind));
            assert_eq!(said(&book(vec![entry]), false, None), expected);
        }
        let troubled = AccountBook { trouble: Some(failure(FailureKind::Failed)), ..AccountBook::default() };
        assert_eq!(said(&troubled, true, None), (StatusWord::StoreUnavailable, None, false));
    }

    #[test]
    fn a_token_in_the_file_is_ready_whatever_failed_since() {
        let book = book(vec![entry("wlcg")]);
        assert_eq!(
            said(&book, true, Some(&last_failure(RetryWhen::Passing))),
            (StatusWord::Ready, None, false)
        );
    }

    #[test]
    fn an_enrolment_that_ends_soon_is_told() {
        let mut entry = entry("wlcg");
        entry.enrollment_ends_at = Some(NOW.unix + ENDS_SOON - 1);
        assert_eq!(said(&book(vec![entry]), true, None), (StatusWord::Ready, Some(Hint::EndsSoon), false));
    }

    #[test]
    fn a_token_is_worth_waiting_for_unless_the_issuer_is_spared() {
        let book = book(vec![entry("wlcg")]);
        assert_eq!(said(&book, false, None), (StatusWord::ReadyNoToken, None, true));
        let passing = last_failure(RetryWhen::Passing);
        assert_eq!(said(&book, false, Some(&passing)), (StatusWord::ReadyNoToken, None, false));
    }

    #[test]
    fn an_enrolment_that_has_ended_is_none() {
        let lasting = last_failure(RetryWhen::Lasting);
        let book = book(vec![entry("wlcg")]);
        assert_eq!(said(&book, false, Some(&lasting)), (StatusWord::NotEnrolled, Some(Hint::Enrol), false));
    }
}
