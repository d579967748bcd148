//! A record: seals it, opens it, seals it again at the next generation. Touches nothing.

use std::path::Path;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::crypto::{self, SecretKey};
use super::error::StoreError;
use super::format::{self, Header, Parsed};
use super::keyring::{Keyring, SealingKey};
use super::keys::KeyId;
use super::passphrase::Derivation;
use super::slot::{KeyOrigin, KeySlot, Owner, Slot, SlotView};
use crate::issuer::wire::{AudienceMode, Client, Endpoints, Transport};
use crate::scope::ScopeSet;
use crate::secret::{Secret, expose_to};

const LABEL_COMMITMENT: &[u8] = b"iam-session/v1/commitment";
const LABEL_RECORD: &[u8] = b"iam-session/v1/record";
const LABEL_TOKEN: &[u8] = b"iam-session/v1/token";

/// What is sealed: PROTOCOL.md, section 5, "the plaintext".
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The issuer as it spells itself.
    pub(crate) issuer: String,
    /// Pinned at enrolment.
    pub(crate) endpoints: Endpoints,
    /// The client that the refresh token belongs to; never mixed with another record's.
    pub(crate) client: Client,
    #[serde(serialize_with = "expose_to")]
    pub(crate) refresh_token: Secret,
    /// Seconds since the epoch, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token_expires_at: Option<u64>,
    /// What was granted.
    pub(crate) scope: ScopeSet,
    /// Whether the issuer says what it grants.
    #[serde(default)]
    pub(crate) states_scope: bool,
    /// `sub`, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// How this issuer takes an audience.
    #[serde(default)]
    pub(crate) audience_mode: AudienceMode,
    /// How the issuer is reached.
    #[serde(default)]
    pub(crate) transport: Transport,
    /// What the client may ask for, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registered_scope: Option<ScopeSet>,
    /// What the client is called on the consent page, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_name: Option<String>,
    /// Seconds since the epoch.
    pub(crate) enrolled_at: u64,
    /// Whether this issuer has been seen to send a new refresh token.
    #[serde(default)]
    pub(crate) rotates: bool,
}

impl Record {
    /// An issuer, of which there is neither a client nor a grant yet.
    pub(crate) fn without_client(issuer: String, endpoints: Endpoints, transport: Transport) -> Self {
        Self {
            issuer,
            endpoints,
            client: Client::default(),
            refresh_token: Secret::default(),
            refresh_token_expires_at: None,
            scope: ScopeSet::default(),
            states_scope: false,
            subject: None,
            audience_mode: AudienceMode::default(),
            transport,
            registered_scope: None,
            client_name: None,
            enrolled_at: 0,
            rotates: false,
        }
    }
}

/// What a record's file says of itself in clear. It is bound to the record, which tells only once that is open.
pub(crate) struct Cover {
    /// The record's id, made at enrolment.
    pub(crate) id: [u8; 16],
    /// Whose it is, as the record says in clear.
    pub(crate) issuer: String,
    /// The client that it belongs to.
    pub(crate) client_id: String,
    /// The keys of which each opens it.
    pub(crate) keys: Vec<KeyId>,
    /// All slots, in order.
    pub(crate) slots: Vec<SlotView>,
    /// How those of them are derived that come from a passphrase.
    pub(crate) derivations: Vec<Derivation>,
}

impl Cover {
    /// Reads the cover of `file`. `path` is only named in errors.
    ///
    /// # Errors
    /// [`StoreError`]: of another user, damaged, of a later version.
    pub(crate) fn read(file: &[u8], path: &Path, uid: u32) -> Result<Self, StoreError> {
        Ok(Self::of(&own(format::parse(file, path)?, path, uid)?.header))
    }

    fn of(header: &Header) -> Self {
        let origins = || header.slots.iter().filter_map(Slot::known).map(|slot| slot.origin);
        let derivations = origins().filter_map(|origin| match origin {
            KeyOrigin::Node(_) => None,
            KeyOrigin::Passphrase(derivation) => Some(derivation),
        });
        Self {
            id: header.record_id,
            issuer: header.issuer.clone(),
            client_id: header.client_id.clone(),
            keys: origins().map(KeyOrigin::key_id).collect(),
            slots: header.slots.iter().map(Slot::view).collect(),
            derivations: derivations.collect(),
        }
    }
}

/// Refuses a record of another user.
fn own<'a>(parsed: Parsed<'a>, path: &Path, uid: u32) -> Result<Parsed<'a>, StoreError> {
    if parsed.header.uid == uid {
        return Ok(parsed);
    }
    Err(StoreError::ForeignUser { path: path.to_owned(), uid: parsed.header.uid })
}

/// An opened record with what it takes to seal it again.
pub(crate) struct Opened {
    /// What was sealed.
    pub(crate) record: Record,
    header: Header,
    data_key: SecretKey,
}

impl Opened {
    /// A new record for `uid`, with one slot under `key`, at generation 0: the first [`seal`](Self::seal) makes it 1.
    ///
    /// # Errors
    /// [`StoreError::NoSealingKey`] also stands for a kernel without randomness.
    pub(crate) fn create(record: Record, uid: u32, key: SealingKey<'_>) -> Result<Self, StoreError> {
        let fresh = || -> Option<Self> {
            let data_key: SecretKey = Zeroizing::new(crypto::random()?);
            let record_id = crypto::random()?;
            let slot = KeySlot::wrap(&data_key, Owner { record_id: &record_id, uid }, key)?;
            let header = Header {
                record_id,
                uid,
                generation: 0,
                issuer: record.issuer.clone(),
                client_id: record.client.client_id.clone(),
                slots: vec![Slot::Key(slot)],
            };
            Some(Self { record, header, data_key })
        };
        fresh().ok_or(StoreError::NoSealingKey)
    }

    /// Takes another data key, with one slot under `key`, so that nobody reads what is sealed from now on with what was
    /// known of the record before. A slot can be copied: who has once learned a data key can make a record around it
    /// that looks like any other.
    ///
    /// # Errors
    /// [`StoreError::NoSealingKey`] stands for a kernel without randomness.
    pub(crate) fn rekey(&mut self, key: SealingKey<'_>) -> Result<(), StoreError> {
        let fresh = || -> Option<(SecretKey, KeySlot)> {
            let data_key: SecretKey = Zeroizing::new(crypto::random()?);
            let slot = KeySlot::wrap(&data_key, self.header.owner(), key)?;
            Some((data_key, slot))
        };
        let (data_key, slot) = fresh().ok_or(StoreError::NoSealingKey)?;
        self.header.slots = vec![Slot::Key(slot)];
        self.data_key = data_key;
        Ok(())
    }

    /// Opens `file` for `uid`. `path` is only named in errors.
    ///
    /// # Errors
    /// [`StoreError`]: of another user, no key for it, damaged, of a later version.
    pub(crate) fn open(file: &[u8], path: &Path, uid: u32, keys: &Keyring) -> Result<Self, StoreError> {
        let parsed = own(format::parse(file, path)?, path, uid)?;
        let data_key = unwrap_any(&parsed.header, keys).ok_or_else(|| closed(&parsed.header, path))?;
        let damaged = |what| StoreError::Damaged { path: path.to_owned(), what };
        let record = decrypt(&parsed, &data_key).ok_or_else(|| damaged("its sealed part"))?;
        Ok(Self { record, header: parsed.header, data_key })
    }

    /// The file's next generation.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the record does not fit the format.
    pub(crate) fn seal(&mut self, path: &Path) -> Result<Vec<u8>, StoreError> {
        self.header.generation += 1;
        self.header.issuer.clone_from(&self.record.issuer);
        self.header.client_id.clone_from(&self.record.client.client_id);
        let sealed = self.sealed().or_else(|| {
            // It is as good without these, and an issuer may name any number of scopes.
            (self.record.registered_scope, self.record.client_name) = (None, None);
            self.sealed()
        });
        sealed.ok_or_else(|| StoreError::Damaged { path: path.to_owned(), what: "it would be too large" })
    }

    fn sealed(&self) -> Option<Vec<u8>> {
        let header = self.header.to_bytes()?;
        let text = Zeroizing::new(serde_json::to_vec(&self.record).ok()?);
        let nonce = crypto::random()?;
        let ciphertext = crypto::seal(&self.derive(LABEL_RECORD), &nonce, &text, &header)?;
        format::assemble(&header, &self.derive(LABEL_COMMITMENT), &nonce, &ciphertext)
    }

    /// The record's id, made at enrolment.
    pub(crate) fn id(&self) -> [u8; 16] {
        self.header.record_id
    }

    /// What its file says of it in clear.
    pub(crate) fn cover(&self) -> Cover {
        Cover::of(&self.header)
    }

    /// Its slots, in order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = SlotView> {
        self.header.slots.iter().map(Slot::view)
    }

    pub(super) fn key_slots(&self) -> impl Iterator<Item = &KeySlot> {
        self.header.slots.iter().filter_map(Slot::known)
    }

    /// Puts `slot` in the place of those that are not wanted.
    pub(super) fn replace_slots(&mut self, unwanted: impl Fn(SlotView) -> bool, slot: KeySlot) {
        self.header.slots.retain(|slot| !unwanted(slot.view()));
        self.header.slots.push(Slot::Key(slot));
    }

    pub(super) fn owner(&self) -> Owner<'_> {
        self.header.owner()
    }

    pub(super) fn data_key(&self) -> &SecretKey {
        &self.data_key
    }

    /// How often it was written.
    pub(crate) fn generation(&self) -> u64 {
        self.header.generation
    }

    /// The key of the session token beside the record.
    pub(crate) fn token_key(&self) -> SecretKey {
        self.derive(LABEL_TOKEN)
    }

    fn derive(&self, label: &[u8]) -> SecretKey {
        crypto::derive(&self.data_key, Some(&self.header.record_id), &[label])
    }
}

/// Why none of the keys opens it.
fn closed(header: &Header, path: &Path) -> StoreError {
    let path = path.to_owned();
    let Cover { keys, derivations, .. } = Cover::of(header);
    match (keys.is_empty(), derivations.is_empty()) {
        (true, _) => StoreError::UnknownVersion { path },
        (false, true) => StoreError::NoKey { path },
        (false, false) => StoreError::Locked { path },
    }
}

fn unwrap_any(header: &Header, keys: &Keyring) -> Option<SecretKey> {
    let known = header.slots.iter().filter_map(Slot::known);
    let mut given = known.filter_map(|slot| Some((slot, keys.find(slot.origin.key_id())?)));
    given.find_map(|(slot, key)| slot.unwrap(header.owner(), key))
}

fn decrypt(parsed: &Parsed<'_>, data_key: &SecretKey) -> Option<Record> {
    let derive = |label| crypto::derive(data_key, Some(&parsed.header.record_id), &[label]);
    // Not a secret: it is stored in clear, so comparing it in constant time would protect nothing.
    if derive(LABEL_COMMITMENT).as_slice() != parsed.commitment {
        return None;
    }
    let text = crypto::open(&derive(LABEL_RECORD), &parsed.nonce, parsed.ciphertext, parsed.header_bytes)?;
    serde_json::from_slice(&text).ok()
}

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(test)]
impl Opened {
    pub(super) fn add_slot_of_later_version(&mut self) {
        self.header.slots.push(Slot::Other { kind: 200, body: vec![1, 2, 3] });
    }
}

#[cfg(test)]
pub(super) mod tests;
