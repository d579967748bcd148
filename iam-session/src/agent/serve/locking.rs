//! The agent's part of `unlock` and of the host lock: it keeps and forgets keys, and closes when the time of an unlock
//! is over. Touches the agents' directory, the mint, and tokens that must go.

use std::time::Duration;

use super::AgentLoop;
use crate::agent::mint_process::JobOutcome;
use crate::clock::Now;
use crate::mint::job::{Job, JobResult, UnlockState};
use crate::runtime::accounts::AccountEntry;
use crate::runtime::answer::RuntimeView;
use crate::runtime::host_lock::{HostLock, unlock_is_over};
use crate::runtime::key_ids::KeyIds;
use crate::runtime::token_file;
use crate::store::Keyring;

impl AgentLoop {
    /// What a job did to the keys, and to the lock.
    pub(super) fn heed_keys(&mut self, outcome: &JobOutcome) {
        if let Ok(JobResult::Unlocked(Ok(unlock))) = outcome {
            self.keep(unlock.keys.duplicate(), unlock.opening);
        }
        self.heed_lock();
    }

    /// Whether this agent serves nothing until the host is unlocked.
    pub(super) fn is_shut(&self, now: Now) -> bool {
        HostLock::is_in_force(&self.own.runtime, now.boot)
    }

    /// Notes until when a lock is open.
    pub(super) fn heed_lock(&mut self) {
        let runtime = &self.own.runtime;
        let lock = HostLock::read(&runtime.agents);
        self.open_until = lock.and_then(|lock| lock.open_until(runtime.cache.boot_id()));
    }

    /// When something closes by itself.
    pub(super) fn closing_deadline(&self) -> Option<Duration> {
        self.own.held.until.into_iter().chain(self.open_until).min()
    }

    /// Closes what was open for a time.
    pub(super) fn close_in_time(&mut self, now: Now) {
        let is_over = |until: Option<Duration>| until.is_some_and(|until| until <= now.boot);
        if is_over(self.open_until) {
            self.heed_lock();
            if is_over(self.open_until.take()) {
                self.retire_tokens(|_| true, now);
                self.reschedule(now);
            }
        }
        if is_over(self.own.held.until) {
            let mut keys = self.link.keys().duplicate();
            keys.unlock(Vec::new());
            self.restrict(keys, now);
            // So that the accounts file says what is locked now.
            self.link.submit(Job::Look);
        }
    }

    /// Keeps keys, in memory alone, and lets the user's other agents know that it has them.
    fn keep(&mut self, keys: Keyring, opening: UnlockState) {
        self.own.held = KeyIds::of(&keys, opening.until);
        self.link.keep(keys, opening);
        self.tell_keys();
    }

    /// Keeps these keys alone, and parts with the mint that has more.
    fn restrict(&mut self, keys: Keyring, now: Now) {
        self.own.held = KeyIds::of(&keys, None);
        self.link.restrict(keys, &unlock_is_over());
        self.tell_keys();
        let held = self.own.runtime.keys_held();
        // Another agent of the user on this host may have them still.
        let is_closed =
            |entry: &AccountEntry| !entry.keys.is_empty() && !entry.keys.iter().any(|key| held.contains(key));
        self.retire_tokens(is_closed, now);
        self.reschedule(now);
    }

    fn tell_keys(&self) {
        if let Err(error) = self.own.presence.tell_keys(self.own.held.ids()) {
            self.own.log.error(&format!("cannot tell other agents which keys are here: {error}"));
        }
    }

    /// Removes the tokens of such accounts.
    fn retire_tokens(&self, which: impl Fn(&AccountEntry) -> bool, now: Now) {
        let runtime = &self.own.runtime;
        let book = RuntimeView::of(runtime, now).book;
        for entry in book.entries.iter().filter(|entry| which(entry)) {
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
