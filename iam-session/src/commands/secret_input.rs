//! Reads a secret: the first line of a descriptor, a file or a command's output. Opens the descriptor.
//!
//! A secret is never an argument or in the environment, because other processes can read these.

use std::fs::File;
use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::protocol::Failure;
use crate::secret::Secret;

/// What `read` makes of descriptor `number`. It is opened anew by its name in /proc: a pipe, a file or a here-document
/// can be, a socket cannot.
pub(super) fn from_descriptor(
    number: u32,
    what: &str,
    option: &str,
    read: impl FnOnce(File) -> Result<Secret, String>,
) -> Result<Secret, Failure> {
    let file = File::open(format!("/proc/self/fd/{number}")).map_err(|error| error.to_string());
    file.and_then(read).map_err(|why| {
        Failure::usage(format!("cannot read {what} from descriptor {number}: {why}"))
            .advise(format!("in bash: {option} {number} {number}<file"))
    })
}

/// The first line, without its end. One that is longer than `limit` is cut at the byte after it, for the caller to see.
pub(super) fn first_line(mut source: impl Read, limit: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    // Allocated whole, so that growing leaves no copy behind.
    let mut line = Zeroizing::new(Vec::with_capacity(limit + 1));
    while line.len() <= limit {
        // One by one: what stands behind the line is for whoever reads next, and may never come.
        let mut byte = Zeroizing::new([0]);
        match source.read(&mut *byte) {
            Ok(0) => break,
            Ok(_) if *byte == *b"\n" => break,
            Ok(_) => line.extend(byte.iter()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn nothing_behind_the_line_is_waited_for_or_taken() {
        // Its writer stays: a reader that wants the end of it would hang.
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one\ntwo").unwrap();
        assert_eq!(**first_line(&mut reader, 10).unwrap(), *b"one");
        let mut rest = [0; 3];
        reader.read_exact(&mut rest).unwrap();
        assert_eq!(rest, *b"two");
    }

    #[test]
    fn a_line_that_is_too_long_is_seen_to_be() {
        for (input, length) in
            [("", 0), ("\nabc", 0), ("abc", 3), ("abc\n", 3), ("abcd", 4), ("abcdefgh\n", 4)]
        {
            assert_eq!(first_line(input.as_bytes(), 3).unwrap().len(), length, "{input:?}");
        }
    }
}
