//! The bytes of a record's file: parses and writes them, and opens nothing. Touches nothing.

use std::path::Path;

use super::crypto::{KEY, NONCE};
use super::error::StoreError;
use super::slot::{Owner, Slot};
use crate::bytes::{ByteReader, put_text};

/// What each record begins with.
pub(crate) const MAGIC: &[u8; 8] = b"IAMCRED\0";
const VERSION: u16 = 1;
/// XChaCha20-Poly1305 with HKDF-SHA256.
const SUITE: u16 = 1;
/// Each login tries them; a record has one a node key that may open it.
pub(crate) const MAX_SLOTS: usize = 8;
/// A record holds a refresh token, a client and a few URLs; what is larger is not ours. All of them fit, each as long as
/// it may be and every character of it doubled by JSON: what came of an issuer is never lost for its length.
pub(crate) const MAX_FILE: usize = 256 * 1024;

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
    /// What its slots are bound to.
    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner { record_id: &self.record_id, uid: self.uid }
    }

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

/// Takes a file apart. `path` is only named in errors.
pub(crate) fn parse<'a>(file: &'a [u8], path: &Path) -> Result<Parsed<'a>, StoreError> {
    let damaged = |what| StoreError::Damaged { path: path.to_owned(), what };
    let mut reader = ByteReader::new(file);
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

fn parse_header(reader: &mut ByteReader<'_>) -> Option<Header> {
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
