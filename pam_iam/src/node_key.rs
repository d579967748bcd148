//! The keys that open a user's store on this host: PROTOCOL.md, section 5. Touches /etc/iam-session/keys.d.
//!
//! A node key never leaves root. The key that goes down the pipe is derived from it for one uid.

use std::fmt;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::site::{Distrust, TrustedDir};

/// Its name in the site's directory.
const KEYS: &str = "keys.d";
/// Older keys beyond this many unlock nothing any more.
pub(crate) const MAX_KEYS: usize = 8;
/// Names looked at in one login, so that a directory of rubbish costs a bounded time and number of log lines.
const MAX_TRIED: usize = 16;
/// Entries listed in one login.
const MAX_LISTED: usize = 4096;
const KEY_SIZE: usize = 32;
const KEY_MODE: u32 = 0o400;
const ID_CONTEXT: &[u8] = b"iam-session/v1/key-id";
const USER_CONTEXT: &[u8] = b"iam-session/v1/user\0";

/// The first half of a name is a UTC time; the digits of it are `0`.
const NAME_FORM: &[u8] = b"00000000T000000-";
const NAME_END: &[u8] = b".key";

/// What one node key is for one user.
pub(crate) struct UserKey {
    pub(crate) id: [u8; 8],
    pub(crate) key: Zeroizing<[u8; KEY_SIZE]>,
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({})", hex(&self.id))
    }
}

/// Why a key, or all of them, are passed over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// There is none.
    NoKeys,
    /// The directory of keys cannot be used.
    Directory(Distrust),
    /// One key cannot.
    Key(String, Distrust),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys => {
                write!(f, "no usable node key in /etc/iam-session/{KEYS}: sealed enrolments stay locked")
            }
            Self::Directory(why) => write!(f, "/etc/iam-session/{KEYS} {why}: its keys are not used"),
            Self::Key(name, why) => write!(f, "/etc/iam-session/{KEYS}/{name} {why}: the key is not used"),
        }
    }
}

/// The keys of `uid`, the one that wraps first; what is wrong goes to `complain`, once each.
pub(crate) fn derive(
    site: Option<&TrustedDir>,
    uid: u32,
    mut complain: impl FnMut(KeyError),
) -> Vec<UserKey> {
    // Never grows, and each key is derived in its place: neither leaves a copy behind.
    let mut keys = Vec::with_capacity(MAX_KEYS);
    let dir = site.map_or(Ok(None), |site| site.directory(KEYS));
    let listed = dir.and_then(|dir| dir.map(|dir| Ok((dir.names(MAX_LISTED)?, dir))).transpose());
    match listed {
        Err(why) => complain(KeyError::Directory(why)),
        Ok(None) => {}
        Ok(Some((names, dir))) => {
            for (name, id) in greatest(&names) {
                if keys.len() == MAX_KEYS {
                    break;
                }
                if let Err(why) = read(&dir, name, id).map(|node| push(&mut keys, id, &node, uid)) {
                    complain(KeyError::Key(name.to_owned(), why));
                }
            }
        }
    }
    if keys.is_empty() {
        complain(KeyError::NoKeys);
    }
    keys
}

/// The names of the right form with their ids, greatest first.
fn greatest(names: &[String]) -> Vec<(&str, [u8; 8])> {
    let mut named: Vec<_> =
        names.iter().filter_map(|name| Some((name.as_str(), id_in_name(name)?))).collect();
    named.sort_unstable_by(|a, b| b.cmp(a));
    named.truncate(MAX_TRIED);
    named
}

/// The id in an exact `<yyyymmddThhmmss>-<id>.key`.
fn id_in_name(name: &str) -> Option<[u8; 8]> {
    let (time, rest) = name.as_bytes().split_at_checked(NAME_FORM.len())?;
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    let digits = rest.strip_suffix(NAME_END)?;
    let lower_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !time.iter().zip(NAME_FORM).all(fits) || digits.len() != 16 || !digits.iter().all(lower_hex) {
        return None;
    }
    Some(u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?.to_be_bytes())
}

fn read(dir: &TrustedDir, name: &str, id: [u8; 8]) -> Result<Zeroizing<Vec<u8>>, Distrust> {
    let mut file = dir.file(name)?.ok_or(Distrust::Not("there any more"))?;
    if file.mode() != KEY_MODE {
        return Err(Distrust::Not("of mode 0400"));
    }
    // Room for one byte more than a key has, which shows that it is one.
    let mut node = Zeroizing::new(vec![0; KEY_SIZE + 1]);
    if file.read_into(&mut node)? != KEY_SIZE {
        return Err(Distrust::Not("of 32 bytes"));
    }
    node.truncate(KEY_SIZE);
    if key_id(&node) == id { Ok(node) } else { Err(Distrust::Not("the key that its name says")) }
}

fn key_id(node: &[u8]) -> [u8; 8] {
    let mut hash: [u8; 32] = Sha256::new().chain_update(ID_CONTEXT).chain_update(node).finalize().into();
    let mut id = [0; 8];
    id.copy_from_slice(&hash[..8]);
    hash.zeroize();
    id
}

fn push(keys: &mut Vec<UserKey>, id: [u8; 8], node: &[u8], uid: u32) {
    keys.push(UserKey { id, key: Zeroizing::new([0; KEY_SIZE]) });
    let Some(last) = keys.last_mut() else { return };
    let info = [USER_CONTEXT, &id, &uid.to_be_bytes()];
    let (mut extracted, hkdf) = Hkdf::<Sha256>::extract(None, node);
    // Fails only for more than 255 hashes of output (RFC 5869, 2.3): never for one.
    let expanded = hkdf.expand_multi_info(&info, &mut last.key[..]);
    extracted.as_mut_slice().zeroize();
    if expanded.is_err() {
        keys.pop();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
