//! One derivation at a time, and slower after each passphrase that was wrong. Touches a lock and the count of wrong
//! passphrases; fills memory.
//!
//! Keys are derived in the mint and nowhere else: not in the agent, which must not be held up, and not in the command
//! line, which a debugger may look into.

use std::thread;
use std::time::Duration;

use super::Mint;
use crate::agent::guesses::Guesses;
use crate::agent::runtime::FileLock;
use crate::clock;
use crate::protocol::{Failure, FailureKind, MIN_PASSPHRASE};
use crate::secret::Secret;
use crate::store::{Derivation, PassphraseKey};

/// Four of somebody else's derivations with the largest parameters there may be, and some.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

impl Mint {
    /// Tries a passphrase, alone among the user's mints on this host; a failure of kind `locked` is a wrong one.
    pub(super) fn guess<T>(&self, attempt: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let _alone = self.lock_derivation()?;
        let (directory, boot_id) = (&self.runtime.agents, self.runtime.cache.boot_id());
        let (guesses, now) = (Guesses::read(directory, boot_id), clock::boot_time());
        let pause = guesses.not_before(now).saturating_sub(now);
        if !pause.is_zero() {
            return Err(too_soon(pause));
        }
        let outcome = attempt();
        match &outcome {
            Ok(_) => self.note(Guesses::clear(directory)),
            Err(failure) if failure.kind == FailureKind::Locked => {
                self.note(guesses.add(directory, boot_id, clock::boot_time()));
            }
            Err(_) => {}
        }
        outcome
    }

    /// The key of a passphrase that is new. The caller derives no other meanwhile.
    pub(super) fn choose(&self, passphrase: &Secret) -> Result<PassphraseKey, Failure> {
        if passphrase.expose().chars().count() < MIN_PASSPHRASE {
            return Err(Failure {
                error: "the passphrase is too short".into(),
                info: Some(format!("choose one of {MIN_PASSPHRASE} characters or more")),
                kind: FailureKind::Usage,
            });
        }
        Derivation::fresh().and_then(|derivation| derivation.derive(passphrase)).ok_or_else(no_memory)
    }

    /// Waits for the other derivations of this user: one alone may take a quarter of a GiB.
    pub(super) fn lock_derivation(&self) -> Result<FileLock, Failure> {
        let deadline = clock::boot_time() + PATIENCE;
        loop {
            let lock = self.runtime.try_lock_derivation().map_err(|error| Failure {
                error: error.to_string(),
                info: Some("log in again".into()),
                kind: FailureKind::Failed,
            })?;
            match lock {
                Some(lock) => return Ok(lock),
                None if clock::boot_time() < deadline => thread::sleep(PAUSE),
                None => {
                    return Err(Failure {
                        error: "another passphrase of yours is being tried".into(),
                        info: Some("try again in a moment".into()),
                        kind: FailureKind::Failed,
                    });
                }
            }
        }
    }
}

fn too_soon(pause: Duration) -> Failure {
    Failure {
        error: "a wrong passphrase was given to another agent of yours a moment ago".into(),
        info: Some(format!("try again in {} s", pause.as_secs() + 1)),
        kind: FailureKind::Failed,
    }
}

pub(super) fn no_memory() -> Failure {
    Failure {
        error: "there is not enough memory to derive a key from the passphrase".into(),
        info: Some("free some, or raise the limit that 'ulimit -v' shows".into()),
        kind: FailureKind::Failed,
    }
}
