//! The user's lock of this host: made, respected, lifted. Touches the store, the agents' directory and the token file.
//!
//! The marker in the store is what counts: it lies where the records do, so that who cannot read it can open none of
//! them either. Nothing is given up before it is on the disk.

use super::Mint;
use super::derive::no_memory;
use super::policy::Policy;
use crate::agent::host_lock::HostLock;
use crate::clock;
use crate::log::Level;
use crate::protocol::{Failure, FailureKind};
use crate::secret::Secret;
use crate::store::{Keyring, Marker, Store, StoreError, this_host};

impl Mint {
    /// Refuses where a lock stands that this mint was not let past.
    pub(super) fn serves(&self, store: &Store) -> Result<(), StoreError> {
        match store.read_marker()? {
            Some(marker) if !self.opening.lets_past(&marker.id(), clock::boot_time()) => {
                Err(StoreError::HostLocked)
            }
            _ => Ok(()),
        }
    }

    /// Refuses to make known what came after the time of an unlock.
    pub(super) fn in_time(&self) -> Result<(), Failure> {
        match self.opening.is_over(clock::boot_time()) {
            true => Err(Failure {
                error: "the time of the last unlock is over".into(),
                info: Some("run 'iam-session unlock'".into()),
                kind: FailureKind::Locked,
            }),
            false => Ok(()),
        }
    }

    /// Lets the user's agents know which lock stands; where that cannot be read now, what they know stays known. The
    /// caller holds the mint lock.
    pub(super) fn mirror_lock(&self, policy: &Policy) {
        let marker = match self.store(policy) {
            Ok(Some(store)) => store.read_marker(),
            Ok(None) => Ok(None),
            Err(_) => return,
        };
        if let Ok(marker) = marker {
            self.note(HostLock::mirror(&self.runtime.agents, marker.as_ref()));
        }
    }

    /// Takes the keys into the marker, and what was minted with them away. It waits for whoever mints, so that a request
    /// on its way to the issuer comes to its end.
    pub(super) fn lock_host(&mut self, passphrase: Option<&Secret>) -> Result<(), Failure> {
        let policy = Policy::load(&self.message)?;
        let store = self.store(&policy)?.ok_or_else(nothing_to_lock)?;
        let locks = self.lock(&store, &self.patience())?;
        let locked = self.lock_under_lock(&store, passphrase);
        self.release(locks);
        locked
    }

    fn lock_under_lock(&mut self, store: &Store, passphrase: Option<&Secret>) -> Result<(), Failure> {
        let marker = match store.read_marker()? {
            // Without a passphrase a lock is put in force again; what was typed since can be typed again.
            Some(marker) if passphrase.is_none() || marker.covers(&self.message.keys) => marker,
            Some(marker) => {
                let keys = self.more_keys(&marker, required(passphrase)?)?;
                self.write_marker(store, keys)?
            }
            None => {
                let key = {
                    let _alone = self.lock_derivation()?;
                    self.choose(required(passphrase)?)?
                };
                let marker = Marker::create(self.message.uid, &self.message.keys, &key);
                self.write_marker(store, marker.ok_or_else(too_many)?)?
            }
        };
        self.note(HostLock::mirror(&self.runtime.agents, Some(&marker)));
        self.note(self.runtime.cache.clear());
        self.empty_files();
        self.log.event(Level::Info, "locked", &[("host", &this_host())]);
        Ok(())
    }

    fn write_marker(&self, store: &Store, marker: Marker) -> Result<Marker, Failure> {
        store.write_marker(&marker)?;
        Ok(marker)
    }

    /// This mint has keys that the marker would not give back.
    fn more_keys(&self, marker: &Marker, passphrase: &Secret) -> Result<Marker, Failure> {
        self.guess(|| {
            let key = marker.derivation().derive(passphrase).ok_or_else(no_memory)?;
            let mut keys = marker.open(&key).ok_or_else(|| Failure {
                error: "this host is locked already, under another passphrase".into(),
                info: Some("unlock it first".into()),
                kind: FailureKind::Locked,
            })?;
            keys.join(self.message.keys.duplicate());
            marker.extended(&keys, &key).ok_or_else(too_many)
        })
    }

    /// The keys that a lock gives back, and those that this mint has besides.
    pub(super) fn open_marker(&self, marker: &Marker, passphrase: &Secret) -> Result<Keyring, Failure> {
        self.guess(|| {
            let key = marker.derivation().derive(passphrase).ok_or_else(no_memory)?;
            let mut keys = marker.open(&key).ok_or_else(wrong)?;
            keys.join(self.message.keys.duplicate());
            Ok(keys)
        })
    }

    /// Ends a lock for good. Who was not let past it cannot.
    pub(super) fn lift(&mut self, lock: &str) -> Result<(), Failure> {
        let policy = Policy::load(&self.message)?;
        let Some(store) = self.store(&policy)? else { return Ok(()) };
        let locks = self.lock(&store, &self.patience())?;
        let lifted = self.lift_under_lock(&store, lock);
        self.release(locks);
        lifted
    }

    fn lift_under_lock(&self, store: &Store, lock: &str) -> Result<(), Failure> {
        let marker = store.read_marker()?.filter(|marker| marker.id() == lock);
        // Locked anew since, or gone already.
        if marker.is_none() {
            return Ok(());
        }
        self.serves(store)?;
        store.remove_marker()?;
        self.note(HostLock::mirror(&self.runtime.agents, None));
        self.log.event(Level::Info, "unlocked", &[("host", &this_host())]);
        Ok(())
    }
}

fn wrong() -> Failure {
    Failure {
        error: "the passphrase is wrong: it does not open this host".into(),
        info: Some(
            "run 'iam-session unlock' to try again; iam-session-lock(1) says what is left if it is forgotten"
                .into(),
        ),
        kind: FailureKind::Locked,
    }
}

fn required(passphrase: Option<&Secret>) -> Result<&Secret, Failure> {
    passphrase.ok_or_else(|| Failure {
        error: "a lock needs a passphrase".into(),
        info: Some("run 'iam-session lock' on a terminal, or with --passphrase-fd".into()),
        kind: FailureKind::Usage,
    })
}

fn nothing_to_lock() -> Failure {
    Failure {
        error: "there is nothing to lock: you have not enrolled on this host".into(),
        info: Some("run 'iam-session enroll'".into()),
        kind: FailureKind::NotEnrolled,
    }
}

fn too_many() -> Failure {
    Failure {
        error: "your agents have more keys than a lock can hold".into(),
        info: Some("log out of old sessions, then try again".into()),
        kind: FailureKind::Failed,
    }
}
