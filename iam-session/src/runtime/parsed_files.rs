//! Files that one process reads again and again: each is parsed only when it has changed. Touches the directory that it
//! is told to.

use std::cell::RefCell;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::directory::{Directory, FileVersion};

/// A program that asks for more tokens than these in turn has them read from their files.
const MOST: usize = 8;

/// What was parsed last.
///
/// One stat(2) tells whether it still holds. Only the user's own processes write these files, and a new one is renamed
/// into its place: its inode is another one. A program of the user's that writes into one can set its mtime back, and
/// not its ctime. A change within one tick of that clock may be missed, and concerns that user's own token.
#[derive(Debug)]
pub(super) struct ParsedFiles<T>(RefCell<Vec<ParsedFile<T>>>);

#[derive(Debug)]
struct ParsedFile<T> {
    name: String,
    version: FileVersion,
    value: Rc<T>,
}

impl<T> Default for ParsedFiles<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: DeserializeOwned> ParsedFiles<T> {
    /// What is in the file of this name, which is at most `limit` long, if it is what `is_it` says. Best effort: what
    /// cannot be read is not there.
    pub(super) fn read(
        &self,
        directory: &Directory,
        is_it: impl Fn(&T) -> bool,
        name: impl FnOnce() -> String,
        limit: usize,
    ) -> Option<Rc<T>> {
        let mut parsed = self.0.borrow_mut();
        if let Some(at) = parsed.iter().position(|file| is_it(&file.value)) {
            let file = parsed.remove(at);
            if directory.version(&file.name) == Some(file.version) {
                let value = Rc::clone(&file.value);
                parsed.push(file);
                return Some(value);
            }
        }
        let name = name();
        let (version, bytes) = directory.read_version(&name, limit).ok()??;
        let value: T = serde_json::from_slice(&Zeroizing::new(bytes)).ok()?;
        let value = Some(Rc::new(value)).filter(|value| is_it(value))?;
        if parsed.len() >= MOST {
            parsed.remove(0);
        }
        parsed.push(ParsedFile { name, version, value: Rc::clone(&value) });
        Some(value)
    }

    /// Keeps nothing of it.
    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}
