//! The bytes of a record's file: parsed and written, not opened. Touches nothing.

use std::path::Path;

use super::crypto::{KEY, NONCE, TAG};
use super::error::StoreError;
use super::keys::KeyId;
use crate::bytes::{Reader, put_text};

const MAGIC: &[u8; 8] = b"IAMCRED\0";
const VERSION: u16 = 1;
/// XChaCha20-Poly1305 with HKDF-SHA256.
const SUITE: u16 = 1;
const SLOT_NODE: u8 = 1;
/// Each login tries them; a record has one a node key that may open it.
const MAX_SLOTS: usize = 8;
/// A record holds a refresh token, a client and a few URLs; what is larger is not ours.
pub(crate) const MAX_FILE: usize = 64 * 1024;
/// A sealed data key with its tag.
pub(crate) const WRAPPED: usize = KEY + TAG;

/// What stands in clear before the sealed record, and is bound to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) record_id: [u8; 16],
    pub(crate) uid: u32,
    pub(crate) generation: u64,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) slots: Vec<Slot>,
}

/// One way to the data key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Wrapped under a user key.
    Node(NodeSlot),
    /// Of a later version: kept as it is.
    Other { kind: u8, body: Vec<u8> },
}

/// A data key wrapped under a key that comes from a user key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NodeSlot {
    pub(crate) key_id: KeyId,
    pub(crate) salt: [u8; 32],
    pub(crate) nonce: [u8; NONCE],
    pub(crate) wrapped: [u8; WRAPPED],
}

/// A whole file, taken apart.
pub(crate) struct Parsed<'a> {
    pub(crate) header: Header,
    /// The header as stored: the associated data of the record.
    pub(crate) header_bytes: &'a [u8],
    pub(crate) commitment: [u8; KEY],
    pub(crate) nonce: [u8; NONCE],
    pub(crate) ciphertext: &'a [u8],
}

impl Header {
    /// From the magic to the end of the slots; `None` if a text or the slots are too long.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(SUITE.to_be_bytes());
        let length_at = bytes.len();
        bytes.extend([0; 4]);
        bytes.extend(self.record_id);
        bytes.extend(self.uid.to_be_bytes());
        bytes.extend(self.generation.to_be_bytes());
        put_text(&mut bytes, &self.issuer)?;
        put_text(&mut bytes, &self.client_id)?;
        bytes.push(u8::try_from(self.slots.len()).ok()?);
        for slot in &self.slots {
            slot.put(&mut bytes)?;
        }
        let length = u32::try_from(bytes.len()).ok()?.to_be_bytes();
        bytes.get_mut(length_at..length_at + length.len())?.copy_from_slice(&length);
        Some(bytes)
    }
}

impl Slot {
    fn put(&self, bytes: &mut Vec<u8>) -> Option<()> {
        let (kind, body) = match self {
            Self::Node(slot) => (SLOT_NODE, slot.to_body()),
            Self::Other { kind, body } => (*kind, body.clone()),
        };
        bytes.push(kind);
        bytes.extend(u16::try_from(body.len()).ok()?.to_be_bytes());
        bytes.extend(body);
        Some(())
    }

    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let kind = reader.u8()?;
        let length = reader.u16()?.into();
        let body = reader.take(length)?;
        if kind == SLOT_NODE {
            NodeSlot::parse(body).map(Self::Node)
        } else {
            Some(Self::Other { kind, body: body.to_owned() })
        }
    }
}

impl NodeSlot {
    /// What the wrapping is bound to besides the record: PROTOCOL.md, "slot".
    pub(crate) fn bound(key_id: KeyId, salt: &[u8; 32]) -> Vec<u8> {
        let mut bound = vec![SLOT_NODE];
        bound.extend(key_id.0);
        bound.extend(salt);
        bound
    }

    fn to_body(&self) -> Vec<u8> {
        [&self.key_id.0[..], &self.salt, &self.nonce, &self.wrapped].concat()
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let slot = Self {
            key_id: KeyId(reader.array()?),
            salt: reader.array()?,
            nonce: reader.array()?,
            wrapped: reader.array()?,
        };
        (reader.left() == 0).then_some(slot)
    }
}

/// Takes a file apart. `path` is only named in errors.
///
/// # Errors
/// [`StoreError::UnknownVersion`] or [`StoreError::Damaged`].
pub(crate) fn parse<'a>(file: &'a [u8], path: &Path) -> Result<Parsed<'a>, StoreError> {
    let damaged = |what| StoreError::Damaged { path: path.to_owned(), what };
    let mut reader = Reader::new(file);
    if reader.array() != Some(*MAGIC) {
        return Err(damaged("it does not begin as a record does"));
    }
    match (reader.u16(), reader.u16()) {
        (Some(VERSION), Some(SUITE)) => {}
        (Some(_), Some(_)) => return Err(StoreError::UnknownVersion { path: path.to_owned() }),
        _ => return Err(damaged("it is cut short")),
    }
    let length = reader.u32().and_then(|length| usize::try_from(length).ok());
    let header_bytes = length.and_then(|length| file.get(..length)).ok_or_else(|| damaged("its header"))?;
    let header = parse_header(&mut reader).ok_or_else(|| damaged("its header"))?;
    if file.len() - reader.left() != header_bytes.len() {
        return Err(damaged("its header's length"));
    }
    let mut body = || {
        let (commitment, nonce) = (reader.array()?, reader.array()?);
        let length = usize::try_from(reader.u32()?).ok()?;
        let ciphertext = reader.take(length)?;
        (reader.left() == 0).then_some((commitment, nonce, ciphertext))
    };
    let (commitment, nonce, ciphertext) = body().ok_or_else(|| damaged("it is cut short or too long"))?;
    Ok(Parsed { header, header_bytes, commitment, nonce, ciphertext })
}

fn parse_header(reader: &mut Reader<'_>) -> Option<Header> {
    let (record_id, uid, generation) = (reader.array()?, reader.u32()?, reader.u64()?);
    let (issuer, client_id) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    let count = usize::from(reader.u8()?);
    if !(1..=MAX_SLOTS).contains(&count) {
        return None;
    }
    let slots = (0..count).map(|_| Slot::parse(reader)).collect::<Option<Vec<_>>>()?;
    Some(Header { record_id, uid, generation, issuer, client_id, slots })
}

/// Puts a file together.
pub(crate) fn assemble(
    header: &[u8],
    commitment: &[u8; KEY],
    nonce: &[u8; NONCE],
    ciphertext: &[u8],
) -> Option<Vec<u8>> {
    let length = u32::try_from(ciphertext.len()).ok()?.to_be_bytes();
    let file = [header, commitment, nonce, &length, ciphertext].concat();
    (file.len() <= MAX_FILE).then_some(file)
}
