//! The message to the agent: PROTOCOL.md, section 1. Pure.

use std::ffi::CStr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::node_key::UserKey;
use crate::options::HintPolicy;

const MAGIC: &[u8; 8] = b"IAMLOGIN";
const VERSION: u16 = 1;
/// PIPE_BUF: written in one piece into an empty pipe, or not at all.
pub(crate) const MAX_MESSAGE: usize = 4096;
/// Where the length stands, after magic and version.
const LENGTH_AT: std::ops::Range<usize> = 10..12;

/// Who logs in, where, and what opens the store.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) session_id: [u8; 16],
    pub(crate) uid: u32,
    pub(crate) token_wait: Duration,
    pub(crate) hint: HintPolicy,
    pub(crate) keys: &'a [UserKey],
    pub(crate) user: &'a CStr,
    pub(crate) home: &'a CStr,
    pub(crate) runtime: &'a str,
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The name service says something that the agent could not use: what.
    Text(&'static str),
    /// More than a pipe takes in one piece.
    TooLong,
}

impl Message<'_> {
    /// The bytes, in a buffer that never grew: growing would leave copies of the keys behind.
    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Unfit> {
        let user = text(self.user)
            .filter(|user| !user.is_empty())
            .ok_or(Unfit::Text("the user name is not UTF-8"))?;
        let home = text(self.home)
            .filter(|home| home.starts_with('/'))
            .ok_or(Unfit::Text("the home directory is not an absolute path in UTF-8"))?;
        let mut out = Writer(Zeroizing::new(Vec::with_capacity(MAX_MESSAGE)));
        out.put(MAGIC)?;
        out.put(&VERSION.to_be_bytes())?;
        out.put(&[0; 2])?;
        out.put(&self.session_id)?;
        out.put(&self.uid.to_be_bytes())?;
        out.put(&u32::try_from(self.token_wait.as_millis()).unwrap_or(u32::MAX).to_be_bytes())?;
        out.put(&[self.hint.to_byte(), u8::try_from(self.keys.len()).map_err(|_| Unfit::TooLong)?])?;
        for key in self.keys {
            out.put(&key.id)?;
            out.put(&key.key[..])?;
        }
        for text in [user, home, self.runtime] {
            out.put(&u16::try_from(text.len()).map_err(|_| Unfit::TooLong)?.to_be_bytes())?;
            out.put(text.as_bytes())?;
        }
        let mut bytes = out.0;
        let length = u16::try_from(bytes.len()).map_err(|_| Unfit::TooLong)?;
        bytes[LENGTH_AT].copy_from_slice(&length.to_be_bytes());
        Ok(bytes)
    }
}

impl HintPolicy {
    fn to_byte(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::Daily => 1,
            Self::Always => 2,
        }
    }
}

fn text(text: &CStr) -> Option<&str> {
    text.to_str().ok()
}

/// Bytes up to [`MAX_MESSAGE`].
struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        if self.0.len() + bytes.len() > MAX_MESSAGE {
            return Err(Unfit::TooLong);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: u8) -> Vec<UserKey> {
        (0..count).map(|n| UserKey { id: [n; 8], key: Zeroizing::new([0x80 | n; 32]) }).collect()
    }

    fn message(keys: &[UserKey]) -> Message<'_> {
        Message {
            session_id: *b"0123456789abcdef",
            uid: 1000,
            token_wait: Duration::from_secs(2),
            hint: HintPolicy::Daily,
            keys,
            user: c"alice",
            home: c"/home/alice",
            runtime: "/run/user/1000",
        }
    }

    /// Written by hand from the table in PROTOCOL.md.
    #[test]
    fn the_bytes_are_those_of_the_protocol() {
        let expected = [
            &b"IAMLOGIN"[..],
            &[0, 1],             // version
            &[0, 154],           // length: 38 + 2 * 40 + 7 + 13 + 16
            b"0123456789abcdef", // session id
            &[0, 0, 0x03, 0xe8], // uid
            &[0, 0, 0x07, 0xd0], // token_wait, in milliseconds
            &[1],                // hints daily
            &[2],                // keys
            &[0; 8],
            &[0x80; 32],
            &[1; 8],
            &[0x81; 32],
            b"\0\x05alice",
            b"\0\x0b/home/alice",
            b"\0\x0e/run/user/1000",
        ]
        .concat();
        assert_eq!(message(&keys(2)).to_bytes().unwrap().as_slice(), expected);
    }

    #[test]
    fn without_keys_the_texts_follow_at_once() {
        let bytes = message(&[]).to_bytes().unwrap();
        assert_eq!((bytes[37], &bytes[38..45], bytes[11]), (0, &b"\0\x05alice"[..], 74));
    }

    #[test]
    fn the_longest_message_fits_a_pipe_and_a_longer_one_is_refused() {
        let keys = keys(8);
        let rest = message(&keys).to_bytes().unwrap().len() - "/home/alice".len();
        let home = |length: usize| std::ffi::CString::new("/".repeat(length)).unwrap();
        let longest = home(MAX_MESSAGE - rest);
        let bytes = Message { home: &longest, ..message(&keys) }.to_bytes().unwrap();
        assert_eq!(
            (bytes.len(), &bytes[LENGTH_AT], bytes.capacity()),
            (MAX_MESSAGE, &[0x10, 0][..], MAX_MESSAGE)
        );
        for too_long in [home(MAX_MESSAGE - rest + 1), home(70_000)] {
            assert_eq!(Message { home: &too_long, ..message(&keys) }.to_bytes().unwrap_err(), Unfit::TooLong);
        }
    }

    #[test]
    fn what_the_agent_would_refuse_is_not_sent() {
        for message in [
            Message { user: c"", ..message(&[]) },
            Message { user: c"\xff", ..message(&[]) },
            Message { home: c"", ..message(&[]) },
            Message { home: c"home", ..message(&[]) },
            Message { home: c"/\xff", ..message(&[]) },
        ] {
            assert!(matches!(message.to_bytes(), Err(Unfit::Text(_))), "{message:?}");
        }
    }
}
