//! Reads a token file, whatever has its name. Touches that file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use zeroize::Zeroizing;

use crate::config::LARGEST_TOKEN_FILE;

/// A regular file's beginning. Nothing else is opened: to open a pipe may wait, and a device do something.
pub(super) fn read_token_file(path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)> {
    // Not by File::options: to musl this flag is a mode of access, and the standard library takes those out.
    let found = File::from(open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?);
    let metadata = found.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // The one that was looked at, whatever has its name by now.
    let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
    let mut text = Zeroizing::new(Vec::with_capacity(2 * LARGEST_TOKEN_FILE));
    file.take(LARGEST_TOKEN_FILE as u64 + 1).read_to_end(&mut text)?;
    Ok((metadata, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_is_opened() {
        assert!(read_token_file(Path::new("/etc/passwd")).is_ok_and(|(_, text)| !text.is_empty()));
        // To open this one gives a new terminal (pts(4)).
        for other in ["/dev/ptmx", "/dev/zero", "/etc"] {
            assert_eq!(
                read_token_file(Path::new(other)).unwrap_err().to_string(),
                "it is not a regular file"
            );
        }
    }
}
