//! What the fuzzers check of a marker. Touches nothing.

use super::*;

const UID: u32 = 1000;

fn path() -> &'static Path {
    Path::new("login1.locked")
}

/// A file of anybody's: what is read of it is what would be written; of version 1, without the keys.
pub fn file(data: &[u8]) {
    match Marker::parse(data, path(), UID) {
        Ok(marker) => {
            let written = marker.to_bytes();
            if data.get(8..10) == Some(&VERSION.to_be_bytes()) {
                assert_eq!(written, data);
            }
            assert!(Marker::parse(&written, path(), UID).is_ok_and(|again| again == marker));
            assert_eq!(marker.uid, UID);
            assert!(marker.id().bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        Err(error) => assert!(!error.to_string().contains(|c: char| c.is_control()), "{error}"),
    }
}
