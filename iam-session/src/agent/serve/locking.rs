//! The keys of an agent that come and go: with an unlock, with the end of its time, with the user's lock of this host.
//! Touches the agents' directory, the mint, and tokens that nobody can mint any more.

use std::time::Duration;

use super::Agent;
use crate::agent::answer::View;
use crate::agent::held::Held;
use crate::agent::host_lock::HostLock;
use crate::agent::job::{Done, Job, Opening};
use crate::agent::link::Outcome;
use crate::agent::requests::host_locked;
use crate::agent::token_file;
use crate::clock::Now;
use crate::protocol::{Failure, FailureKind};
use crate::store::Keyring;

/// Who locks a host tells each agent, so that keys which the lock does not have yet can be put into it. An agent that is
/// not told within this time lets go of them all the same.
const GRACE: Duration = Duration::from_secs(10);

impl Agent {
    /// What a job did to the keys.
    pub(super) fn heed_keys(&mut self, outcome: &Outcome, now: Now) {
        match outcome {
            Ok(Done::Unlocked(Ok(unlock))) => self.keep(unlock.keys.duplicate(), unlock.opening.clone()),
            Ok(Done::Sealed(Ok(seal))) => {
                self.keep(seal.keys.duplicate(), self.own.held.opening.clone());
            }
            Ok(Done::Locked(Ok(()))) => self.restrict(Keyring::default(), &host_locked(), now),
            _ => {}
        }
        self.heed_lock(now);
    }

    /// Whether this agent serves nothing until it is unlocked.
    pub(super) fn is_shut(&self, now: Now) -> bool {
        let lock = HostLock::read(&self.own.runtime.agents);
        self.own.held.is_shut_by(lock.as_ref(), now.boot)
    }

    /// Lets go of the keys where the user has locked this host.
    pub(super) fn heed_lock(&mut self, now: Now) {
        let lock = HostLock::read(&self.own.runtime.agents);
        let lock = lock.filter(|lock| self.own.held.is_shut_by(Some(lock), now.boot));
        let Some(lock) = lock.filter(|_| !self.own.held.is_empty()) else {
            self.wipe_at = None;
            return;
        };
        let wipe_at = *self.wipe_at.get_or_insert(now.boot + GRACE);
        // The mint's own news come before its answer.
        let is_covered = self.own.held.is_covered_by(&lock) && !self.link.is_locking();
        if is_covered || wipe_at <= now.boot {
            self.restrict(Keyring::default(), &host_locked(), now);
        }
    }

    /// When keys go by themselves.
    pub(super) fn keys_deadline(&self) -> Option<Duration> {
        self.own.held.opening.until.into_iter().chain(self.wipe_at).min()
    }

    /// Lets go of keys whose time is over.
    pub(super) fn let_go_in_time(&mut self, now: Now) {
        if self.wipe_at.is_some_and(|at| at <= now.boot) {
            self.heed_lock(now);
        }
        if !self.own.held.opening.is_over(now.boot) {
            return;
        }
        if self.own.held.opening.lock.is_some() {
            return self.restrict(Keyring::default(), &host_locked(), now);
        }
        let mut keys = self.link.keys().duplicate();
        keys.unlock(Vec::new());
        self.restrict(keys, &closed_again(), now);
        // So that the book says what is locked now.
        self.link.submit(Job::Look);
    }

    /// Keeps keys, in memory alone, and lets the user's other agents know that it has them.
    fn keep(&mut self, keys: Keyring, opening: Opening) {
        self.own.held = Held::of(&keys, opening.clone());
        self.link.keep(keys, opening);
        self.tell_keys();
    }

    /// Keeps these keys alone, and parts with the mint that has more.
    fn restrict(&mut self, keys: Keyring, why: &Failure, now: Now) {
        self.wipe_at = None;
        self.own.held = Held::of(&keys, Opening::default());
        self.link.restrict(keys, now.boot, why);
        self.tell_keys();
        self.retire_tokens(now);
        self.reschedule(now);
    }

    fn tell_keys(&self) {
        if let Err(error) = self.own.presence.tell_keys(self.own.held.ids()) {
            self.own.log.error(&format!("cannot tell other agents which keys are here: {error}"));
        }
    }

    /// Removes tokens of accounts that no agent of the user on this host can open any more.
    fn retire_tokens(&self, now: Now) {
        let runtime = &self.own.runtime;
        let held = runtime.keys_held();
        let book = View::of(runtime, now).book;
        for entry in &book.entries {
            if entry.keys.is_empty() || entry.keys.iter().any(|key| held.contains(key)) {
                continue;
            }
            let forgotten = runtime.cache.forget(&entry.record_id).and_then(|()| {
                let wanted = entry.session_token();
                if book.default_account.as_ref() == Some(&entry.name) {
                    let file = runtime.places.token_file_name();
                    token_file::retract(runtime, &file, Some(&wanted), now)?;
                }
                token_file::retract(runtime, &runtime.places.kept_file_name(&entry.name), Some(&wanted), now)
            });
            if let Err(error) = forgotten {
                self.own.log.error(&error.to_string());
            }
        }
    }
}

fn closed_again() -> Failure {
    Failure {
        error: "the time of the last unlock is over".into(),
        info: Some("run 'iam-session unlock'".into()),
        kind: FailureKind::Locked,
    }
}
