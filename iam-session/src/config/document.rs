//! One TOML file: its keys, their values and the lines they stand on. Reads files.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::ConfigError;

/// A configuration is a page of text; more is a mistake, or somebody's device file.
const MAX_FILE: u64 = 256 * 1024;

/// The text of one file.
pub(super) struct Document {
    path: PathBuf,
    text: String,
}

/// One `key = value` with the place it stands at.
pub(super) struct ConfigEntry<'a> {
    document: &'a Document,
    key: &'a str,
    value: &'a Spanned<DeValue<'a>>,
}

impl Document {
    /// Reads `path`; `None` if there is no such file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, ConfigError> {
        Ok(text_of(path)?.map(|text| Self { path: path.to_owned(), text }))
    }

    #[cfg(test)]
    pub(super) fn of(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives each entry of the top level to `set`, in the order of the file.
    pub(super) fn each(
        &self,
        mut set: impl FnMut(&ConfigEntry<'_>) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            self.mistake(span, error.message().replace('\n', ", "), "TOML")
        })?;
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            set(&ConfigEntry { document: self, key: key.get_ref(), value })?;
        }
        Ok(())
    }

    /// A mistake of the file as a whole.
    pub(super) fn lacks(&self, what: &str, accepted: &str) -> ConfigError {
        self.mistake(0..0, what.to_owned(), accepted)
    }

    fn mistake(&self, span: Range<usize>, what: String, accepted: &str) -> ConfigError {
        let line = self.line_at(span.start);
        ConfigError::Mistake { path: self.path.clone(), line, what, accepted: accepted.to_owned() }
    }

    fn line_at(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }
}

impl ConfigEntry<'_> {
    /// The file and the line it stands on.
    pub(super) fn place(&self) -> String {
        let document = self.document;
        format!("{}:{}", document.path.display(), document.line_at(self.value.span().start))
    }

    pub(super) fn key(&self) -> &str {
        self.key
    }

    /// The value as a string.
    pub(super) fn string(&self, accepted: &str) -> Result<String, ConfigError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            other => Err(self.wrong_type(other, accepted)),
        }
    }

    /// The value as a whole number, in decimal.
    pub(super) fn number(&self, accepted: &str) -> Result<usize, ConfigError> {
        match self.value.get_ref() {
            DeValue::Integer(number) => {
                number.as_str().parse().map_err(|_| self.wrong(number.as_str(), accepted))
            }
            other => Err(self.wrong_type(other, accepted)),
        }
    }

    /// The value as an array of strings.
    pub(super) fn strings(&self, accepted: &str) -> Result<Vec<String>, ConfigError> {
        let DeValue::Array(items) = self.value.get_ref() else {
            return Err(self.wrong_type(self.value.get_ref(), accepted));
        };
        let item = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            other => Err(self.wrong_type(other, accepted)),
        };
        items.iter().map(item).collect()
    }

    /// The entries of a table, in the order of the file.
    pub(super) fn entries(&self, accepted: &str) -> Result<Vec<ConfigEntry<'_>>, ConfigError> {
        let DeValue::Table(table) = self.value.get_ref() else {
            return Err(self.wrong_type(self.value.get_ref(), accepted));
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value)| ConfigEntry { document: self.document, key: name(key), value };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// The key itself, which somebody has made up, is not what may stand here.
    pub(super) fn wrong_name(&self, accepted: &str) -> ConfigError {
        self.mistake(format!("'{}' is wrong", self.key), accepted)
    }

    /// The string, if `parse` takes it.
    pub(super) fn parsed<T>(
        &self,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let text = self.string(accepted)?;
        parse(&text).ok_or_else(|| self.wrong(&text, accepted))
    }

    /// `text` is not what this key takes.
    pub(super) fn wrong(&self, text: &str, accepted: &str) -> ConfigError {
        self.mistake(format!("{} = '{text}' is wrong", self.key), accepted)
    }

    /// The key is not one of `accepted`.
    pub(super) fn unknown(&self, accepted: &[&str]) -> ConfigError {
        self.mistake(format!("unknown key '{}'", self.key), &accepted.join(", "))
    }

    /// The key is right, and another one speaks against it.
    pub(super) fn surplus(&self, what: &str, accepted: &str) -> ConfigError {
        self.mistake(what.to_owned(), accepted)
    }

    /// The key exists, and not here.
    pub(super) fn misplaced(&self, owner: &str, accepted: &[&str]) -> ConfigError {
        self.mistake(format!("'{}' is for {owner} to set", self.key), &accepted.join(", "))
    }

    fn wrong_type(&self, value: &DeValue<'_>, accepted: &str) -> ConfigError {
        self.mistake(format!("{} is of type {}", self.key, value.type_str()), accepted)
    }

    fn mistake(&self, what: String, accepted: &str) -> ConfigError {
        self.document.mistake(self.value.span(), what, accepted)
    }
}

/// What a file holds; `None` if there is none.
pub(super) fn text_of(path: &Path) -> Result<Option<String>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    match open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text)) {
        Ok(read) if read as u64 > MAX_FILE => Err(unreadable(io::Error::from(ErrorKind::FileTooLarge))),
        Ok(_) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(unreadable(error)),
    }
}

fn name<'a>(key: &'a Spanned<DeString<'_>>) -> &'a str {
    key.get_ref()
}

/// Opens a regular file, and nothing that could make us wait: the agent's mint reads the user's file too.
fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// The `*.toml` of a directory, sorted by name; none if there is no such directory. Hidden files, as editors
/// and package managers leave them, do not count.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
