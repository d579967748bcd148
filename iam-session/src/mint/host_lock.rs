//! The host lock: writes it, obeys it, opens it. Touches the store, the agents' directory and the token files.
//!
//! The marker in the store counts. It is where the records are, so a mint that cannot read it can open no record
//! either. It holds no key and gives none: it only verifies a passphrase.

use std::time::Duration;

use super::Mint;
use super::derive::no_memory;
use super::policy::Policy;
use crate::clock;
use crate::log::Level;
use crate::protocol::Failure;
use crate::runtime::host_lock::{HostLock, unlock_is_over};
use crate::secret::Secret;
use crate::store::{Marker, Store, StoreError, this_host};

impl Mint {
    /// Refuses where a lock is in force.
    pub(crate) fn serves(&self, store: &Store) -> Result<(), StoreError> {
        let Some(marker) = store.read_marker()? else { return Ok(()) };
        let (boot_id, now) = (self.runtime.cache.boot_id(), clock::boot_time());
        let known = HostLock::read(&self.runtime.agents).filter(|lock| lock.id == marker.id());
        match known.is_some_and(|lock| !lock.is_closed(boot_id, now)) {
            true => Ok(()),
            false => Err(StoreError::HostLocked),
        }
    }

    /// Refuses to make known what came after the time of an unlock.
    pub(crate) fn in_time(&self) -> Result<(), Failure> {
        let now = clock::boot_time();
        if HostLock::is_in_force(&self.runtime, now) {
            return Err(StoreError::HostLocked.into());
        }
        if self.opening.until.is_some_and(|until| until <= now) { Err(unlock_is_over()) } else { Ok(()) }
    }

    /// Lets the user's agents know which lock there is; where that cannot be read now, what they know stays known. The
    /// caller holds the mint lock.
    pub(crate) fn mirror_lock(&self, policy: &Policy) {
        let marker = match self.store(policy) {
            Ok(Some(store)) => store.read_marker(),
            Ok(None) => Ok(None),
            Err(_) => return,
        };
        let Ok(marker) = marker else { return };
        let known = HostLock::read(&self.runtime.agents).map(|lock| lock.id);
        self.note(HostLock::mirror(&self.runtime.agents, marker.as_ref()));
        // The mint that locked died before it came to this.
        if marker.is_some_and(|marker| known != Some(marker.id())) {
            self.take_tokens_away();
        }
    }

    fn take_tokens_away(&self) {
        self.note(self.runtime.cache.clear());
        self.empty_files();
    }

    /// Writes the marker, or puts the lock that there is in force again, and takes away what was minted. It waits for
    /// another mint's work, so that a request on its way to the issuer comes to its end.
    pub(crate) fn lock_host(&mut self, passphrase: Option<&Secret>) -> Result<(), Failure> {
        let policy = Policy::load(&self.message)?;
        let store = self.store(&policy)?.ok_or_else(nothing_to_lock)?;
        self.under_locks(&store, |mint| mint.lock_under_lock(&store, passphrase))
    }

    fn lock_under_lock(&self, store: &Store, passphrase: Option<&Secret>) -> Result<(), Failure> {
        let marker = match store.read_marker()? {
            Some(marker) => marker,
            None => self.new_marker(passphrase.ok_or_else(|| {
                Failure::usage("a lock needs a passphrase")
                    .advise("run 'iam-session lock' on a terminal, or with --passphrase-fd")
            })?)?,
        };
        // One of an earlier version had keys in it, and has none when it is written again.
        store.write_marker(&marker)?;
        self.note(HostLock::close(&self.runtime.agents, &marker));
        self.take_tokens_away();
        self.log.event(Level::Info, "locked", &[("host", &this_host())]);
        Ok(())
    }

    fn new_marker(&self, passphrase: &Secret) -> Result<Marker, Failure> {
        let _alone = self.lock_derivation()?;
        let key = self.choose(passphrase)?;
        Marker::create(self.message.uid, &key).ok_or_else(no_memory)
    }

    /// Removes the marker for its passphrase; with `until`, on CLOCK_BOOTTIME, it stays, and is open till then.
    pub(crate) fn open_host(
        &mut self,
        store: &Store,
        marker: &Marker,
        passphrase: &Secret,
        until: Option<Duration>,
    ) -> Result<(), Failure> {
        let alone = self.lock_derivation()?;
        let key = marker.derivation().derive(passphrase).ok_or_else(no_memory)?;
        drop(alone);
        if !marker.is_opened_by(&key) {
            return Err(wrong());
        }
        self.under_locks(store, |mint| mint.open_under_lock(store, marker, until))
    }

    fn open_under_lock(
        &self,
        store: &Store,
        marker: &Marker,
        until: Option<Duration>,
    ) -> Result<(), Failure> {
        match store.read_marker()? {
            // Locked anew since, under another passphrase.
            Some(other) if other != *marker => return Err(StoreError::HostLocked.into()),
            _ => {}
        }
        let told = match until {
            None => {
                store.remove_marker()?;
                HostLock::mirror(&self.runtime.agents, None)
            }
            Some(until) => HostLock::open(&self.runtime, marker, until),
        };
        told.map_err(StoreError::from)?;
        self.log.event(Level::Info, "unlocked", &[("host", &this_host())]);
        Ok(())
    }
}

fn wrong() -> Failure {
    Failure::locked("the passphrase is wrong: it does not open this host").advise(
        "run 'iam-session unlock' to try again; iam-session-lock(1) says what is left if it is forgotten",
    )
}

fn nothing_to_lock() -> Failure {
    Failure::not_enrolled("there is nothing to lock: you have not enrolled on this host")
        .advise("run 'iam-session enroll'")
}
