//! Lines that come in pieces: none is lost, joined, or longer than it may be.

use std::io::{self, Read};

use iam_session::line::Lines;

const LIMIT: usize = 64;

/// Gives so many bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(into.len());
        self.0.by_ref().take(length as u64).read(into)
    }
}

pub(crate) fn check(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    let mut from = Pieces(data, usize::from(*size).max(1));
    let mut lines = Lines::new(LIMIT);
    let mut expected = data.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    while lines.fill(&mut from).is_ok() {
        loop {
            match lines.take() {
                Ok(Some(line)) => {
                    assert!(line.len() < LIMIT);
                    assert_eq!(expected.next(), Some(&[&line[..], b"\n"].concat()[..]));
                }
                Ok(None) => break,
                // One line is: whoever sent it is closed, and nothing after it is read.
                Err(_) => {
                    let rest = expected.next();
                    assert!(rest.is_none_or(|line| line.len() > LIMIT));
                    return;
                }
            }
        }
    }
    assert_eq!(expected.next(), None);
}
