//! The output of a process that is still running. Reads a pipe, in a thread.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::output::pieces;
use crate::wait;

/// A process may leave others behind that hold its output open; what it wrote itself has been read by then, even with
/// hundreds of readers on two cores.
const AFTER_EXIT: Duration = Duration::from_secs(5);

/// Bytes as they come.
pub(crate) struct Stream {
    pieces: Receiver<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(reader: impl Read + Send + 'static) -> Self {
        Self { pieces: pieces(reader), buffer: Vec::new() }
    }

    /// Everything before `mark`, which is left out and done with.
    ///
    /// # Panics
    /// It does not come, by end of file or within [`wait::deadline`].
    pub(crate) fn until(&mut self, mark: &str) -> String {
        self.until_any(&[mark]).1
    }

    /// Which of these marks comes first, and everything before it.
    ///
    /// # Panics
    /// None does, by end of file or within [`wait::deadline`].
    pub(crate) fn until_any(&mut self, marks: &[&str]) -> (usize, String) {
        let deadline = wait::now() + wait::deadline();
        loop {
            let found = marks.iter().enumerate();
            let found = found.filter_map(|(which, mark)| Some((find(&self.buffer, mark.as_bytes())?, which)));
            if let Some((at, which)) = found.min() {
                let before = self.buffer.drain(..at + marks[which].len()).take(at).collect::<Vec<_>>();
                return (which, String::from_utf8_lossy(&before).into_owned());
            }
            match self.pieces.recv_timeout(deadline.saturating_duration_since(wait::now())) {
                Ok(piece) => self.buffer.extend(piece),
                Err(why) => panic!("{why:?} before {marks:?}; so far: {:?}", self.text()),
            }
        }
    }

    /// The next line without its end, or `None` at end of file.
    ///
    /// # Panics
    /// Neither comes within [`wait::deadline`].
    pub(crate) fn line(&mut self) -> Option<String> {
        let deadline = wait::now() + wait::deadline();
        while !self.buffer.contains(&b'\n') {
            match self.pieces.recv_timeout(deadline.saturating_duration_since(wait::now())) {
                Ok(piece) => self.buffer.extend(piece),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no line; so far: {:?}", self.text()),
            }
        }
        Some(self.until("\n"))
    }

    /// All that comes until end of file, after the process has ended.
    pub(crate) fn rest(&mut self) -> String {
        loop {
            match self.pieces.recv_timeout(AFTER_EXIT) {
                Ok(piece) => self.buffer.extend(piece),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return self.text(),
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}
