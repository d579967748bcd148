//! What an issuer refused, beside the record in the store. Touches store and host directory.
//!
//! The runtime directory may be gone with the last login. A refusal of the issuer's holds on every host that shares the
//! store. What failed on this host alone, such as a name that it does not find, stays on it.

use super::Mint;
use super::policy::Policy;
use super::token::RefreshAttempt;
use crate::clock::Now;
use crate::helper::HelperError;
use crate::issuer::wire::ErrorClass;
use crate::protocol::Failure;
use crate::runtime::accounts::AccountEntry;
use crate::runtime::last_failure::{FailureScope, LastFailure, LastFailures, RetryPause, RetryWhen};
use crate::store::Store;

/// Whether it was the issuer that refused. What cannot be understood may be of a proxy's on the way from this host.
pub(crate) fn is_issuers(error: &HelperError) -> bool {
    matches!(error, HelperError::Issuer(error)
        if !matches!(error.class, ErrorClass::Unreachable | ErrorClass::Malformed))
}

impl Mint {
    /// Has this host know what the store knows of an issuer's refusals, before an agent acts.
    pub(crate) fn take_over_refusals(&self, store: &Store, policy: &Policy, entry: &AccountEntry) {
        let now = Now::read();
        let here = self.last_failures(&entry.record_id);
        let asked = Some(policy.session_request(entry));
        for against in [FailureScope::Record, FailureScope::Session] {
            let known = here.find(against);
            let stored = self.refusals(store, &entry.record_id).find_of_any_boot(against);
            let stored = stored.filter(|stored| stored.asked == asked);
            let stored = stored.and_then(|stored| stored.rebased(here.boot_id, now));
            match (known, stored) {
                (Some(known), Some(stored)) if known.at == stored.at || known.rank() > stored.rank() => {}
                (_, Some(stored)) => {
                    self.note(here.note(against, &LastFailure { in_store: true, ..stored }));
                }
                (Some(known), None) if known.in_store => self.note(here.clear(against)),
                (_, None) => {}
            }
        }
    }

    /// Notes what an issuer refused. A store that cannot be written leaves it to this host to know.
    pub(crate) fn note_refused(
        &self,
        store: &Store,
        attempt: &RefreshAttempt<'_>,
        against: FailureScope,
        failure: Failure,
        outlook: RetryWhen,
        pause: RetryPause,
    ) {
        let wanted = &attempt.wanted;
        let refusal = LastFailure {
            asked: Some(attempt.session_request.clone()),
            ..self.next_failure(wanted, against, failure, outlook, pause)
        };
        let in_store = self.refusals(store, &wanted.record_id).note(against, &refusal).is_ok();
        let refusal = LastFailure { in_store, ..refusal };
        self.note(self.last_failures(&wanted.record_id).note(against, &refusal));
    }

    /// All is well again, or the record is no more.
    pub(crate) fn clear_failure(&self, store: &Store, record_id: &str, against: FailureScope) {
        self.note(self.last_failures(record_id).clear(against));
        // Best effort: what stays holds nobody up for longer than its pause.
        let _ = self.refusals(store, record_id).clear(against);
    }

    fn refusals<'a>(&'a self, store: &'a Store, record_id: &'a str) -> LastFailures<'a> {
        LastFailures { directory: store.directory(), record_id, boot_id: self.runtime.cache.boot_id() }
    }
}
