//! What a lock of this host, and an unlock, do to the requests of clients. Touches two files in the agents' directory.

use std::time::Duration;

use super::{Answer, Means, Reply, Requests};
use crate::agent::guesses::Guesses;
use crate::agent::host_lock::HostLock;
use crate::agent::peer::PeerId;
use crate::agent::unlocking::Given;
use crate::protocol::{Failure, FailureKind, LockState, Request};
use crate::secret::Secret;
use crate::store::StoreError;

/// The longest that an unlock may be for. Who wants more unlocks again, or for good.
const LONGEST_UNLOCK: Duration = Duration::from_secs(24 * 60 * 60);

impl Means<'_> {
    pub(super) fn is_shut(&self) -> bool {
        self.held.is_shut_by(HostLock::read(&self.runtime.agents).as_ref(), self.now.boot)
    }

    pub(super) fn guesses(&self) -> Guesses {
        Guesses::read(&self.runtime.agents, self.runtime.cache.boot_id())
    }

    pub(super) fn lock_state(&self) -> LockState {
        let is_shut = self.is_shut();
        let until = self.held.opening.until.map(|until| until.saturating_sub(self.now.boot).as_secs());
        LockState {
            host_locked: is_shut,
            lock_kept: !is_shut && HostLock::read(&self.runtime.agents).is_some(),
            unlocked_until: until.map(|seconds| self.now.unix + seconds),
            wrong_passphrases: self.guesses().wrong,
        }
    }
}

impl Requests {
    /// Takes a passphrase.
    pub(super) fn unlock(
        &mut self,
        peer: PeerId,
        passphrase: Secret,
        span: Option<Duration>,
        now: Duration,
    ) -> Option<Reply> {
        if span.is_some_and(|span| span.is_zero() || span > LONGEST_UNLOCK) {
            return Some(Err(Failure {
                error: "that is no time to unlock for".into(),
                info: Some("from a second to 24 hours are accepted".into()),
                kind: FailureKind::Usage,
            }));
        }
        let refusal = self.unlocking.receive(peer, Given { passphrase, span }, now)?;
        Some(refusal.map(Answer::Unlocked))
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
            | R::Lift { .. }
            | R::Remove { .. }
            | R::Stay { .. }
            | R::Stop {}
            | R::End {}
    )
}

/// As the mint puts it, which the store tells.
pub(in crate::agent) fn host_locked() -> Failure {
    StoreError::HostLocked.into()
}
