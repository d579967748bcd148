//! The sealed store: records, the slots that open them, the files and the lock. Touches the store's directory.
//!
//! PROTOCOL.md, section 5, is the format, and only this folder knows it. `agent mint` reads and writes the store;
//! root's tool reads it when a user is revoked, or to see which keys open records.

mod crypto;
mod directory;
mod error;
mod file_names;
mod format;
mod keyring;
mod keys;
mod marker;
mod passphrase;
mod pending;
mod record;
mod session_token;
mod slot;
mod slots;
pub(crate) mod ticket;

pub(crate) use directory::{Lock, Store};
pub(crate) use error::StoreError;
pub(crate) use file_names::{account_of, record_name};
pub(crate) use format::{MAGIC as RECORD_MAGIC, MAX_FILE as MAX_RECORD};
pub(crate) use keyring::{Keyring, SealingKey};
pub(crate) use keys::{KeyId, UserKey};
#[cfg(feature = "fuzzing")]
pub use marker::fuzzing as marker_fuzzing;
pub(crate) use marker::{Marker, this_host};
pub(crate) use passphrase::{Derivation, PassphraseKey};
pub(crate) use pending::{Pending, flow_of};
#[cfg(feature = "fuzzing")]
pub use record::fuzzing;
pub(crate) use record::{Cover, Opened, Record};
pub(crate) use session_token::SessionToken;
pub(crate) use slot::SlotView;
pub(crate) use slots::Change;
