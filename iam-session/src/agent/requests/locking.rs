//! How a host lock changes the answers to clients. Touches one file in the agents' directory.

use std::time::Duration;

use super::RequestContext;
use crate::mint::job::Job;
use crate::protocol::{Ending, Failure, LockState, Request};
use crate::secret::Secret;
use crate::store::StoreError;

/// The longest that an unlock may be for. Who wants more unlocks again, or for good.
const LONGEST_UNLOCK: Duration = Duration::from_secs(24 * 60 * 60);

impl RequestContext<'_> {
    pub(super) fn is_shut(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.is_closed(self.runtime.cache.boot_id(), self.now.boot))
    }

    pub(super) fn lock_state(&self) -> LockState {
        let (boot_id, now) = (self.runtime.cache.boot_id(), self.now.boot);
        let host_locked = self.is_shut();
        let lock_kept = self.lock.as_ref().filter(|_| !host_locked);
        let until = lock_kept.and_then(|lock| lock.open_until(boot_id)).or(self.held.until);
        LockState {
            host_locked,
            lock_kept: lock_kept.is_some(),
            unlocked_until: until.map(|until| self.now.unix + until.saturating_sub(now).as_secs()),
            wrong_passphrases: None,
        }
    }

    pub(super) fn unlock(&self, passphrase: Secret, seconds: Option<u64>) -> Result<Job, Failure> {
        let span = seconds.map(Duration::from_secs);
        if span.is_some_and(|span| span.is_zero() || span > LONGEST_UNLOCK) {
            return Err(Failure::usage("invalid duration").advise("from a second to 24 hours are accepted"));
        }
        Ok(Job::Open { passphrase, until: span.map(|span| self.now.boot + span) })
    }
}

/// What is answered whether or not the user has locked this host.
pub(super) fn is_for_all(request: &Request) -> bool {
    use Request as R;
    matches!(
        request,
        R::Status {}
            | R::Unlock { .. }
            | R::Lock { .. }
            | R::EndAccount { mode: Ending::Remove, .. }
            | R::Stay { .. }
            | R::Stop { .. }
    )
}

/// As the mint puts it, which the store tells.
pub(in crate::agent) fn host_locked() -> Failure {
    StoreError::HostLocked.into()
}
