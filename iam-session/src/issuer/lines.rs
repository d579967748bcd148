//! Lines from a pipe, in a buffer that is wiped. Touches one reader.

use std::io::{self, Read};

use zeroize::{Zeroize, Zeroizing};

use super::wire::MAX_LINE;

/// Reads one line at a time; the buffer never moves, so that no copy of a request is left behind.
pub(super) struct Lines<R> {
    from: R,
    buffer: Zeroizing<Vec<u8>>,
    /// How much of the buffer has been read.
    filled: usize,
    /// How much of it the last line took.
    taken: usize,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: Zeroizing::new(vec![0; MAX_LINE]), filled: 0, taken: 0 }
    }

    /// The next line without its newline; `None` at end of file, also after half a line.
    ///
    /// # Errors
    /// Those of the reader, and `InvalidData` for a line above [`MAX_LINE`].
    pub(super) fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.forget_last();
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..self.filled].iter().position(|&byte| byte == b'\n') {
                let end = searched + at;
                self.taken = end + 1;
                return Ok(Some(&self.buffer[..end]));
            }
            searched = self.filled;
            if self.filled == self.buffer.len() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a request is longer than a line may be",
                ));
            }
            match self.from.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(None),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
    }

    fn forget_last(&mut self) {
        self.buffer.copy_within(self.taken..self.filled, 0);
        let left = self.filled - self.taken;
        self.buffer[left..self.filled].zeroize();
        self.filled = left;
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_by_one_and_are_wiped() {
        let mut lines = Lines::new(&b"one\n\ntwo\nhalf"[..]);
        for expected in ["one", "", "two"] {
            assert_eq!(lines.next_line().unwrap(), Some(expected.as_bytes()));
        }
        assert_eq!(lines.next_line().unwrap(), None);
        assert!(lines.buffer.starts_with(b"half\0"), "what came before is gone");
    }

    #[test]
    fn the_longest_line_passes_and_a_longer_one_does_not() {
        let longest = [vec![b'x'; MAX_LINE - 1], b"\n".to_vec()].concat();
        assert_eq!(Lines::new(&longest[..]).next_line().unwrap().map(<[u8]>::len), Some(MAX_LINE - 1));
        let longer = vec![b'x'; MAX_LINE + 1];
        assert_eq!(Lines::new(&longer[..]).next_line().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
