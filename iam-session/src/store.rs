//! The sealed store: records, the slots that open them, the files and the lock. Touches the store's directory.
//!
//! PROTOCOL.md, section 5, is the format, and only this folder knows it. `agent mint` reads and writes the store;
//! root's tool reads it when a user is revoked, or to see which keys open records.

mod crypto;
mod directory;
mod error;
mod format;
mod keys;
mod marker;
mod passphrase;
mod record;
mod session_token;
mod slot;
mod slots;

pub use directory::{Lock, Store};
pub(crate) use directory::{account_of, record_name};
pub use error::StoreError;
pub(crate) use format::{MAGIC as RECORD_MAGIC, MAX_FILE as MAX_RECORD};
pub use keys::{KeyId, Keyring, SealingKey, UserKey};
#[cfg(feature = "fuzzing")]
pub use marker::fuzzing as marker_fuzzing;
pub use marker::{Marker, this_host};
pub use passphrase::{Derivation, PassphraseKey};
#[cfg(feature = "fuzzing")]
pub use record::fuzzing;
pub use record::{Cover, Opened, Record};
pub use session_token::SessionToken;
pub use slots::{Change, Kind, SlotView};
