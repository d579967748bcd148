//! What the fuzzers hold a lock's marker to. Touches nothing.

use super::*;

const UID: u32 = 1000;

fn path() -> &'static Path {
    Path::new("login1.locked")
}

/// A file of anybody's: what is read of it is what would be written, and no more keys than a lock can have.
pub fn file(data: &[u8]) {
    match Marker::parse(data, path(), UID) {
        Ok(marker) => {
            assert_eq!(marker.to_bytes(), data);
            assert_eq!(marker.head.uid, UID);
            assert!(marker.keys().count() <= MAX_KEYS);
            assert!(marker.id().bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        Err(error) => assert!(!error.to_string().contains(|c: char| c.is_control()), "{error}"),
    }
}
