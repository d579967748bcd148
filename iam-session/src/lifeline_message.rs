//! The lifeline message: PROTOCOL.md, section 1. Reads the one descriptor that it is given.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::bytes::{ByteReader, put_text};
use crate::store::{KeyId, Keyring, UserKey};

const MAGIC: &[u8; 8] = b"IAMLOGIN";
const VERSION: u16 = 1;
/// PIPE_BUF: the module writes it in one piece, or not at all.
const MAX_MESSAGE: usize = 4096;
/// Magic, version and length.
const HEAD: usize = 12;
/// Older node keys beyond this many unlock nothing any more.
const MAX_KEYS: u8 = 8;

/// How often the module prints a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HintPolicy {
    /// Not at all.
    Never,
    /// At most once a day.
    Daily,
    /// At each login.
    Always,
}

/// Who logged in, where, and what opens the store.
pub(crate) struct Message {
    pub(crate) session_id: [u8; 16],
    pub(crate) uid: u32,
    /// In milliseconds, as the module gave it.
    pub(crate) token_wait: u32,
    pub(crate) hints: HintPolicy,
    pub(crate) keys: Keyring,
    pub(crate) user: String,
    pub(crate) home: PathBuf,
    pub(crate) runtime: PathBuf,
}

impl Message {
    /// Reads one message and not a byte more.
    ///
    /// # Errors
    /// `UnexpectedEof` if the login ended first, `InvalidData` if it is not a message of this version.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = Zeroizing::new(vec![0; HEAD]);
        from.read_exact(&mut bytes)?;
        let length = message_length(&bytes).ok_or(io::ErrorKind::InvalidData)?;
        // Allocated whole, so that growing leaves no copy of the keys behind.
        let mut whole = Zeroizing::new(vec![0; length]);
        let (head, rest) = whole.split_at_mut(HEAD);
        head.copy_from_slice(&bytes);
        from.read_exact(rest)?;
        Self::parse(&whole).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The session id as it is written.
    pub(crate) fn session(&self) -> String {
        HEXLOWER.encode(&self.session_id)
    }

    /// The same message again, for the mint. Longer than a pipe takes in one piece it cannot be: it was one.
    pub(crate) fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_MESSAGE));
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.session_id);
        bytes.extend(self.uid.to_be_bytes());
        bytes.extend(self.token_wait.to_be_bytes());
        bytes.push(self.hints.to_byte());
        bytes.push(u8::try_from(self.keys.node().count()).ok()?);
        for key in self.keys.node() {
            bytes.extend(key.id.0);
            bytes.extend(key.key.iter());
        }
        for text in [self.user.as_str(), self.home.to_str()?, self.runtime.to_str()?] {
            put_text(&mut bytes, text)?;
        }
        let length = u16::try_from(bytes.len()).ok()?.to_be_bytes();
        bytes.get_mut(HEAD - length.len()..HEAD)?.copy_from_slice(&length);
        (bytes.len() <= MAX_MESSAGE).then_some(bytes)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = ByteReader::new(bytes.get(HEAD..)?);
        let (session_id, uid, token_wait) = (reader.array()?, reader.u32()?, reader.u32()?);
        let hints = HintPolicy::from_byte(reader.u8()?)?;
        let keys = parse_keys(&mut reader)?;
        let (user, home, runtime) = (text(&mut reader)?, text(&mut reader)?, text(&mut reader)?);
        let absolute = |path: &str| Path::new(path).is_absolute();
        (reader.left() == 0 && absolute(&home) && absolute(&runtime)).then(|| Self {
            session_id,
            uid,
            token_wait,
            hints,
            keys,
            user,
            home: home.into(),
            runtime: runtime.into(),
        })
    }
}

impl HintPolicy {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Never),
            1 => Some(Self::Daily),
            2 => Some(Self::Always),
            _ => None,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::Daily => 1,
            Self::Always => 2,
        }
    }
}

fn message_length(head: &[u8]) -> Option<usize> {
    let mut reader = ByteReader::new(head);
    let known = reader.array() == Some(*MAGIC) && reader.u16() == Some(VERSION);
    let length = usize::from(reader.u16()?);
    (known && (HEAD..=MAX_MESSAGE).contains(&length)).then_some(length)
}

fn parse_keys(reader: &mut ByteReader<'_>) -> Option<Keyring> {
    let count = reader.u8().filter(|count| *count <= MAX_KEYS)?;
    let mut keys = Vec::with_capacity(count.into());
    for _ in 0..count {
        keys.push(UserKey { id: KeyId(reader.array()?), key: Zeroizing::new(reader.array()?) });
    }
    Some(Keyring::new(keys))
}

fn text(reader: &mut ByteReader<'_>) -> Option<String> {
    let text = reader.text()?;
    (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;

    fn message() -> Message {
        Message {
            session_id: [0xab; 16],
            uid: 1000,
            token_wait: 2000,
            hints: HintPolicy::Daily,
            keys: Keyring::new(vec![UserKey { id: KeyId([1; 8]), key: Zeroizing::new([2; 32]) }]),
            user: "alice".into(),
            home: "/home/alice".into(),
            runtime: "/run/user/1000".into(),
        }
    }

    #[test]
    fn a_message_comes_back_and_what_follows_it_is_not_read() {
        let mut bytes = message().to_bytes().unwrap().to_vec();
        bytes.push(b'x');
        let mut from = bytes.as_slice();
        let read = Message::read(&mut from).unwrap();
        assert_eq!((read.session(), read.uid, read.token_wait), ("ab".repeat(16), 1000, 2000));
        assert_eq!((read.user.as_str(), read.home.to_str()), ("alice", Some("/home/alice")));
        assert_eq!(read.hints, HintPolicy::Daily);
        assert_eq!(read.keys.sealing().unwrap().user_key().key.as_slice(), [2; 32]);
        assert_eq!(from, b"x");
    }

    #[test]
    fn the_message_of_the_protocol_is_read_and_written() {
        let bytes = vectors::block("message");
        let read = Message::read(&mut bytes.as_slice()).unwrap();
        assert_eq!(read.session_id, *b"0123456789abcdef");
        assert_eq!((read.uid, read.token_wait, read.hints), (1000, 2000, HintPolicy::Daily));
        let keys: Vec<_> = read.keys.node().map(|key| (key.id.0, *key.key)).collect();
        assert_eq!(keys, [([0; 8], [0x80; 32]), ([1; 8], [0x81; 32])]);
        assert_eq!(read.user, "alice");
        assert_eq!(
            (read.home.to_str(), read.runtime.to_str()),
            (Some("/home/alice"), Some("/run/user/1000"))
        );
        assert_eq!(read.to_bytes().unwrap().as_slice(), bytes);
    }

    #[test]
    fn a_message_that_is_cut_short_is_the_end_of_the_login() {
        let bytes = message().to_bytes().unwrap();
        for length in 0..bytes.len() {
            let error = Message::read(&mut &bytes[..length]).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length}");
        }
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        for (at, value) in [(0, b'X'), (9, 2), (10, 0xff), (36, 3), (37, 9), (37, 0)] {
            let mut bytes = message().to_bytes().unwrap();
            bytes[at] = value;
            assert!(Message::read(&mut bytes.as_slice()).is_err(), "byte {at}");
        }
        for broken in
            [Message { home: "home".into(), ..message() }, Message { user: "a\0".into(), ..message() }]
        {
            assert!(Message::read(&mut broken.to_bytes().unwrap().as_slice()).is_err());
        }
    }
}
