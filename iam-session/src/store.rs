//! The sealed store: records, the slots that open them, the files and the lock. Touches the store's directory.
//!
//! PROTOCOL.md, section 5, is the format; this directory is the only code that knows it. Only `agent mint`
//! opens a store.

mod crypto;
mod directory;
mod error;
mod format;
mod keys;
mod marker;
mod passphrase;
mod pending;
mod record;
mod session_token;
mod slot;
mod slots;
pub(crate) mod ticket;

pub use directory::{Lock, Store};
pub(crate) use directory::{account_of, record_name};
pub use error::StoreError;
pub(crate) use format::{MAGIC as RECORD_MAGIC, MAX_FILE as MAX_RECORD};
pub use keys::{KeyId, Keyring, SealingKey, UserKey};
#[cfg(feature = "fuzzing")]
pub use marker::fuzzing as marker_fuzzing;
pub use marker::{Marker, this_host};
pub use passphrase::{Derivation, PassphraseKey};
pub(crate) use pending::Pending;
#[cfg(feature = "fuzzing")]
pub use record::fuzzing;
pub use record::{Cover, Opened, Record};
pub use session_token::SessionToken;
pub use slots::{Change, Kind, SlotView};
