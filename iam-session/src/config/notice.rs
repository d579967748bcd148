//! `notice` and `notice_file`: what a site has its users read before they enrol. Reads that file.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::document::text_of;
use crate::text::printable;

/// Where the text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// In the provider's file.
    Text(String),
    /// In a file of its own.
    File(PathBuf),
}

impl Notice {
    /// The text, safe to print, in lines.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`]: a site that has its users read something does not want it left out.
    pub fn read(&self) -> Result<String, ConfigError> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::File(path) => file(path)?,
        };
        let lines: Vec<_> =
            text.trim_end().lines().map(|line| printable(&line.replace('\t', "    "))).collect();
        Ok(lines.join("\n"))
    }
}

fn file(path: &Path) -> Result<String, ConfigError> {
    let absent = || std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such file");
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    text_of(path)?.ok_or_else(|| unreadable(absent()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn lines_stay_and_control_sequences_do_not() {
        let notice = Notice::Text("One\n\n  two\x1b[2J\tthree\r\n\n".into());
        assert_eq!(notice.read().unwrap(), "One\n\n  two\\x1b[2J    three");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let scratch = Scratch::new();
        let path = scratch.join("notice");
        let notice = Notice::File(path.clone());
        let error = notice.read().unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot read {}: ", path.display())), "{error}");
        scratch.write("notice", "Acceptable use\n");
        assert_eq!(notice.read().unwrap(), "Acceptable use");
    }
}
