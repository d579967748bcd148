//! The last session token, sealed beside its record, so that logins in a row need no refresh each. Touches nothing.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::crypto;
use super::record::Opened;
use crate::bytes::ByteReader;
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_to};

const MAGIC: &[u8; 8] = b"IAMTOKN\0";
const VERSION: u16 = 1;

/// An access token with what must be known to serve it again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionToken {
    #[serde(serialize_with = "expose_to")]
    pub(crate) access_token: Secret,
    /// What was granted.
    pub(crate) scope: ScopeSet,
    /// What it was asked for with: hosts of one farm may have different policies. Earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<ScopeSet>,
    /// Seconds since the epoch.
    pub(crate) issued_at: u64,
    /// Seconds since the epoch.
    pub(crate) expires_at: u64,
    /// `jti`, for the audit line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
}

impl SessionToken {
    /// The bytes of `<account>.token`; `None` where they cannot be made: the file is best effort.
    pub(crate) fn seal(&self, record: &Opened) -> Option<Vec<u8>> {
        let head = head(record);
        let text = Zeroizing::new(serde_json::to_vec(self).ok()?);
        let nonce = crypto::random()?;
        let ciphertext = crypto::seal(&record.token_key(), &nonce, &text, &head)?;
        let length = u32::try_from(ciphertext.len()).ok()?.to_be_bytes();
        Some([&head[..], &nonce, &length, &ciphertext].concat())
    }

    /// What `file` holds, if it was sealed for this record and nothing is wrong with it.
    pub(crate) fn open(file: &[u8], record: &Opened) -> Option<Self> {
        let head = head(record);
        let mut reader = ByteReader::new(file);
        if reader.take(head.len())? != head {
            return None;
        }
        let nonce = reader.array()?;
        let length = usize::try_from(reader.u32()?).ok()?;
        let ciphertext = reader.take(length)?;
        if reader.left() > 0 {
            return None;
        }
        let text = crypto::open(&record.token_key(), &nonce, ciphertext, &head)?;
        serde_json::from_slice(&text).ok()
    }
}

fn head(record: &Opened) -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_be_bytes(), &record.id()].concat()
}
