//! Derives keys from passphrases, one at a time. Touches a lock; fills memory.
//!
//! Only the mint does this. The agent must not be held up, and a debugger may look into the command line.

use std::thread;
use std::time::Duration;

use super::Mint;
use crate::clock;
use crate::protocol::{Failure, MIN_PASSPHRASE};
use crate::runtime::FileLock;
use crate::secret::Secret;
use crate::store::{Derivation, PassphraseKey};

/// Four of somebody else's derivations with the largest parameters there may be, and some.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

impl Mint {
    /// The key of a passphrase that is new. The caller derives no other meanwhile.
    pub(crate) fn choose(&self, passphrase: &Secret) -> Result<PassphraseKey, Failure> {
        if passphrase.expose().chars().count() < MIN_PASSPHRASE {
            return Err(Failure::usage("the passphrase is too short")
                .advise(format!("choose one of {MIN_PASSPHRASE} characters or more")));
        }
        Derivation::fresh().and_then(|derivation| derivation.derive(passphrase)).ok_or_else(no_memory)
    }

    /// Waits for the other derivations of this user: one alone may take a quarter of a GiB.
    pub(crate) fn lock_derivation(&self) -> Result<FileLock, Failure> {
        let deadline = clock::boot_time() + PATIENCE;
        loop {
            let lock = self
                .runtime
                .try_lock_derivation()
                .map_err(|error| Failure::failed(error.to_string()).advise("log in again"))?;
            match lock {
                Some(lock) => return Ok(lock),
                None if clock::boot_time() < deadline => thread::sleep(PAUSE),
                None => {
                    return Err(Failure::failed("another passphrase of yours is being tried")
                        .advise("try again in a moment"));
                }
            }
        }
    }
}

pub(crate) fn no_memory() -> Failure {
    Failure::failed("there is not enough memory to derive a key from the passphrase")
        .advise("free some, or raise the limit that 'ulimit -v' shows")
}
