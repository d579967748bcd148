//! The child's descriptors: its two pipes, the session's record or /dev/null, and nothing else. Touches /dev/null and
//! /proc/self/fd.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{close, dup2_stderr, dup2_stdin, dup2_stdout};

use super::sys;
use super::{Ends, FIRST_FREE};

/// Room for a hundred entries at a time.
const BUFFER: usize = 4096;
/// struct linux_dirent64: where the length of an entry is, and where its name begins.
const LENGTH_AT: usize = 16;
const NAME_AT: usize = 19;

/// Makes the pipes standard input and output, and the record standard error. None of them is a standard descriptor yet
/// (`above_standard`).
pub(super) fn take_standard(ends: Ends<'_>) -> nix::Result<()> {
    dup2_stdin(ends.lifeline)?;
    dup2_stdout(ends.status)?;
    // Their numbers are free then for what follows, in a host that has no more to spare.
    close(ends.lifeline.as_raw_fd())?;
    close(ends.status.as_raw_fd())?;
    if let Some(record) = ends.record {
        return dup2_stderr(record.keep);
    }
    let null = open(c"/dev/null", OFlag::O_RDWR, Mode::empty())?;
    dup2_stderr(&null)?;
    if null.as_raw_fd() < FIRST_FREE {
        // It came as standard error itself: it stays.
        let _ = std::os::fd::IntoRawFd::into_raw_fd(null);
    }
    Ok(())
}

/// Closes all others. sshd leaks descriptors into what its modules start, and their numbers have no bound but
/// RLIMIT_NOFILE's. close_range(2) came with Linux 5.9; before that only /proc/self/fd knows them, and takes ten times as
/// long to read.
pub(super) fn close_others() -> nix::Result<()> {
    match sys::close_from(FIRST_FREE) {
        Ok(()) => Ok(()),
        // A seccomp filter that does not know the call may answer anything.
        Err(_) => close_listed(),
    }
}

fn close_listed() -> nix::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(c"/proc/self/fd", flags, Mode::empty())?;
    let mut buffer = [0; BUFFER];
    loop {
        let length = sys::directory_entries(&directory, &mut buffer)?;
        let entries = buffer.get(..length).ok_or(Errno::EINVAL)?;
        if entries.is_empty() {
            return Ok(());
        }
        close_entries(entries, &directory);
    }
}

/// Descriptors may be closed while the directory is read: the kernel goes through it by number.
fn close_entries(mut entries: &[u8], directory: &OwnedFd) {
    while let Some((name, rest)) = first_entry(entries) {
        if let Some(descriptor) = number(name)
            && descriptor >= FIRST_FREE
            && descriptor != directory.as_raw_fd()
        {
            // Linux frees the number whatever close(2) answers.
            let _ = close(descriptor);
        }
        entries = rest;
    }
}

/// The first name, up to its NUL, and the entries after it.
fn first_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let length: [u8; 2] = entries.get(LENGTH_AT..LENGTH_AT + 2)?.try_into().ok()?;
    let (entry, rest) = entries.split_at_checked(u16::from_ne_bytes(length).into())?;
    let name = entry.get(NAME_AT..)?.split(|byte| *byte == 0).next()?;
    Some((name, rest))
}

fn number(name: &[u8]) -> Option<RawFd> {
    name.first().filter(|byte| byte.is_ascii_digit()).and_then(|_| str::from_utf8(name).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8], length: u16) -> Vec<u8> {
        let mut entry = vec![0; usize::from(length)];
        entry[LENGTH_AT..LENGTH_AT + 2].copy_from_slice(&length.to_ne_bytes());
        entry[NAME_AT..NAME_AT + name.len()].copy_from_slice(name);
        entry
    }

    #[test]
    fn entries_are_taken_apart_one_after_the_other() {
        let entries = [entry(b".", 24), entry(b"0", 24), entry(b"1023", 32)].concat();
        let (first, rest) = first_entry(&entries).unwrap();
        let (second, rest) = first_entry(rest).unwrap();
        let (third, rest) = first_entry(rest).unwrap();
        assert_eq!([first, second, third].map(number), [None, Some(0), Some(1023)]);
        assert!(first_entry(rest).is_none());
    }

    #[test]
    fn a_broken_entry_ends_the_reading() {
        for broken in [vec![0; 10], entry(b"", 24)[..20].to_vec(), vec![0; 24]] {
            assert!(first_entry(&broken).is_none(), "{broken:?}");
        }
    }

    #[test]
    fn only_numbers_are_descriptors() {
        assert_eq!(
            [&b"7"[..], b"-7", b"+7", b"..", b"", b"99999999999"].map(number),
            [Some(7), None, None, None, None, None]
        );
    }
}
