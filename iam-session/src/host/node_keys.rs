//! The node keys, as root's tool reads them: PROTOCOL.md, section 5. Touches /etc/iam-session/keys.d.
//!
//! Three pieces of code derive the same keys: this one, the module's, and the store's. They share no crate. The test
//! vectors of PROTOCOL.md keep them in step.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use hkdf::Hkdf;
use nix::fcntl::OFlag;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::directory::Directory;
use crate::protocol::Failure;
use crate::store::{KeyId, Keyring, UserKey};
use crate::text;

pub(crate) const DIRECTORY: &str = "/etc/iam-session/keys.d";
/// The module uses no more.
pub(crate) const MAX_USED: usize = 8;
const ROOT: u32 = 0;
const KEY: usize = 32;
const MODE: u32 = 0o400;
const ID_CONTEXT: &[u8] = b"iam-session/v1/key-id";
const USER_CONTEXT: &[u8] = b"iam-session/v1/user\0";
/// The first half of a name is a UTC time; the digits of it are `0`.
const NAME_FORM: &[u8] = b"00000000T000000-";

/// The file of a node key, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyFile {
    pub(crate) name: String,
}

/// What of a file that is named like a key is not in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable(&'static str);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl KeyFile {
    pub(crate) fn of(name: String) -> Option<Self> {
        let (time, rest) = name.as_bytes().split_at_checked(NAME_FORM.len())?;
        let fits =
            |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
        let id = rest.strip_suffix(b".key")?;
        let is_id = id.len() == 16 && HEXLOWER.decode(id).is_ok();
        (time.iter().zip(NAME_FORM).all(fits) && is_id).then_some(Self { name })
    }

    /// In hexadecimal.
    pub(crate) fn id(&self) -> &str {
        self.name.get(NAME_FORM.len()..NAME_FORM.len() + 16).unwrap_or_default()
    }

    /// `yyyymmddThhmmss`, UTC.
    pub(crate) fn made(&self) -> &str {
        self.name.get(..NAME_FORM.len() - 1).unwrap_or_default()
    }

    fn named(made: u64, id: &str) -> Self {
        let time = text::utc(made).replace(['-', ':', 'Z'], "");
        Self { name: format!("{time}-{id}.key") }
    }

    /// The same key by a name that is greater than all others, of `now` or a second after the greatest one.
    pub(crate) fn promoted(&self, greatest: Option<&Self>, now: u64) -> Self {
        let after = greatest.and_then(|greatest| greatest.made_at().ok()).map_or(0, |made| made + 1);
        Self::named(now.max(after), self.id())
    }

    /// Seconds since the epoch.
    fn made_at(&self) -> Result<u64, Unusable> {
        let part = |from: usize, to: usize| -> Option<u64> { self.name.get(from..to)?.parse().ok() };
        let read =
            || Some((part(0, 4)?, part(4, 6)?, part(6, 8)?, part(9, 11)?, part(11, 13)?, part(13, 15)?));
        let (year, month, day, hour, minute, second) = read().ok_or(Unusable("has no time in its name"))?;
        let date = text::days(year, month, day).ok_or(Unusable("has no time in its name"))?;
        Ok(date * 86_400 + hour * 3600 + minute * 60 + second)
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(DIRECTORY).join(&self.name)
    }

    /// The key, if the module would use it.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, Unusable> {
        self.read_at(&self.path())
    }

    /// The same where the file is at `path`.
    pub(crate) fn read_at(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Unusable> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
        let file = opened.map_err(|_| Unusable("cannot be opened, or is a link"))?;
        read_checked(file, self.id())
    }
}

fn read_checked(file: File, id: &str) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let metadata = file.metadata().map_err(|_| Unusable("cannot be looked at"))?;
    if !metadata.is_file() || metadata.uid() != ROOT || metadata.mode() & 0o7777 != MODE {
        return Err(Unusable("is not a regular file of root with mode 0400"));
    }
    // Allocated whole: growing would leave a copy behind. One byte more than a key has shows that it is one.
    let mut key = Zeroizing::new(Vec::with_capacity(KEY + 1));
    file.take(KEY as u64 + 1).read_to_end(&mut key).map_err(|_| Unusable("cannot be read"))?;
    if key.len() != KEY {
        return Err(Unusable("is not of 32 bytes"));
    }
    if key_id(&key) == id { Ok(key) } else { Err(Unusable("is not the key that its name says")) }
}

/// All files that are named like keys, the one that wraps new records first.
pub(crate) fn files() -> Result<Vec<KeyFile>, Failure> {
    let directory =
        Directory::open(DIRECTORY.as_ref(), ROOT).map_err(|error| Failure::failed(error.to_string()))?;
    let names = directory.map(|directory| directory.names()).transpose();
    let names = names.map_err(|error| Failure::failed(error.to_string()))?.unwrap_or_default();
    let mut files: Vec<KeyFile> = names.into_iter().filter_map(KeyFile::of).collect();
    files.sort_by(|one, other| other.cmp(one));
    Ok(files)
}

/// What the node keys are for `uid`, as a login has them.
pub(crate) fn keyring(uid: u32) -> Keyring {
    let mut keys = Vec::with_capacity(MAX_USED);
    for file in files().unwrap_or_default() {
        let key = file.read().ok().and_then(|node| user_key(&file, &node, uid));
        keys.extend(key);
        if keys.len() == MAX_USED {
            break;
        }
    }
    Keyring::new(keys)
}

fn user_key(file: &KeyFile, node: &[u8], uid: u32) -> Option<UserKey> {
    let id: [u8; 8] = HEXLOWER.decode(file.id().as_bytes()).ok()?.try_into().ok()?;
    derive(id, node, uid)
}

fn derive(id: [u8; 8], node: &[u8], uid: u32) -> Option<UserKey> {
    let mut key = Zeroizing::new([0; KEY]);
    let info = [USER_CONTEXT, &id, &uid.to_be_bytes()];
    let (mut extracted, hkdf) = Hkdf::<Sha256>::extract(None, node);
    let expanded = hkdf.expand_multi_info(&info, &mut key[..]);
    extracted.as_mut_slice().zeroize();
    expanded.ok()?;
    Some(UserKey { id: KeyId(id), key })
}

fn key_id(node: &[u8]) -> String {
    let hash = Sha256::new().chain_update(ID_CONTEXT).chain_update(node).finalize();
    HEXLOWER.encode(hash.get(..8).unwrap_or_default())
}

/// Makes a new key: just below the one that seals, so that it opens only; the first one seals.
pub(crate) fn make(sealing: Option<&KeyFile>, now: u64) -> Result<KeyFile, Failure> {
    let refused = |error: io::Error| {
        Failure::failed(format!("cannot make a key in {DIRECTORY}: {error}"))
            .advise("is the package installed completely?")
    };
    match DirBuilder::new().mode(0o700).create(DIRECTORY) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(refused(error)),
        _ => {}
    }
    let mut key = Zeroizing::new([0; KEY]);
    getrandom::fill(&mut key[..]).map_err(|error| refused(io::Error::other(error)))?;
    let made = sealing.map_or(Ok(now), |sealing| sealing.made_at().map(|made| made.min(now) - 1));
    let made = made.map_err(|why| {
        Failure::failed(format!("{} {why}", sealing.map_or_else(PathBuf::new, KeyFile::path).display()))
    })?;
    let file = KeyFile::named(made, &key_id(&key[..]));
    // By a name that the module does not read until it is whole.
    let draft = PathBuf::from(DIRECTORY).join(format!(".{}", file.name));
    let written = (|| {
        let mut new = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&draft)?;
        new.write_all(&key[..])?;
        new.sync_all()?;
        std::fs::rename(&draft, file.path())?;
        File::open(DIRECTORY)?.sync_all()
    })();
    if let Err(error) = written {
        let _ = std::fs::remove_file(&draft);
        return Err(refused(error));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;

    #[test]
    fn only_exact_names_are_keys() {
        let file = KeyFile::of("20260101T000000-aada221d6a508794.key".into()).unwrap();
        assert_eq!((file.id(), file.made()), ("aada221d6a508794", "20260101T000000"));
        for name in [
            "20260101T000000-aada221d6a508794.key~",
            ".20260101T000000-aada221d6a508794.key",
            "20260101t000000-aada221d6a508794.key",
            "20260101T000000-AADA221D6A508794.key",
            "20260101T000000-aada221d6a50879.key",
            "new",
            "retired",
        ] {
            assert_eq!(KeyFile::of(name.into()), None, "{name}");
        }
    }

    #[test]
    fn a_new_key_is_below_the_sealing_one_and_promoted_above_all() {
        let now = 1_795_483_411; // 2026-11-24T01:23:31Z
        let sealing = KeyFile::named(now, "aada221d6a508794");
        assert_eq!((sealing.made(), sealing.made_at()), ("20261124T012331", Ok(now)));
        let staged = KeyFile::named(now - 1, "ffffffffffffffff");
        assert!(staged < sealing);
        for at in [now - 100, now, now + 100] {
            let promoted = staged.promoted(Some(&sealing), at);
            assert!(promoted > sealing && promoted.id() == staged.id(), "{promoted:?}");
        }
        let odd = KeyFile::of("20269999T000000-aada221d6a508794.key".into()).unwrap();
        assert!(odd.made_at().is_err());
    }

    #[test]
    fn the_derivation_is_that_of_the_protocol() {
        let row = |name| vectors::row("keys", name);
        assert_eq!(key_id(&row("node key")), HEXLOWER.encode(&row("key id")));
        let id: [u8; 8] = row("key id").try_into().unwrap();
        let key = derive(id, &row("node key"), 1000).unwrap();
        assert_eq!((key.id.0.to_vec(), key.key.to_vec()), (row("key id"), row("user key")));
    }
}
