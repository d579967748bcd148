//! What an issuer wants to see, from whoever has it: one word, the first line of a file, of standard input or of a
//! descriptor. Reads what it is given.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use crate::protocol::Failure;
use crate::secret::Secret;

/// Longer than any token or client secret.
const MAX: usize = 16 * 1024;
/// Stands for standard input in place of a file.
const STDIN: &str = "-";

/// From a file, or `-`.
pub(in crate::commands) fn from_file(path: &Path, what: &str) -> Result<Secret, Failure> {
    if path.as_os_str() == STDIN {
        return from_stdin(what);
    }
    let failed = |why: &str| unreadable(what, &format!("from {}", path.display()), why);
    let file = File::open(path).map_err(|error| failed(&error.to_string()))?;
    word(file).map_err(|why| failed(&why))
}

fn from_stdin(what: &str) -> Result<Secret, Failure> {
    let failed = |why: &str| unreadable(what, "from standard input", why);
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(failed("it is a terminal, which would show it"));
    }
    let stdin = stdin.as_fd().try_clone_to_owned().map_err(|error| failed(&error.to_string()))?;
    word(File::from(stdin)).map_err(|why| failed(&why))
}

/// From a descriptor.
pub(in crate::commands) fn from_descriptor(number: u32, what: &str, option: &str) -> Result<Secret, Failure> {
    super::from_descriptor(number, what, option, word)
}

fn word(file: File) -> Result<Secret, String> {
    let line = super::first_line(file, MAX)?;
    let line = line.trim_ascii();
    let text = std::str::from_utf8(line).ok().filter(|text| is_word(text));
    match text {
        Some(text) => Ok(Secret::new(text.to_owned())),
        None if line.is_empty() => Err("its first line is empty".into()),
        None => Err("its first line is not one word of visible ASCII, or is too long".into()),
    }
}

/// Whether it can stand in a header and in a form.
pub(in crate::commands) fn is_word(text: &str) -> bool {
    (1..=MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn unreadable(what: &str, place: &str, why: &str) -> Failure {
    Failure::usage(format!("cannot read {what} {place}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    use super::*;
    use crate::protocol::FailureKind;

    fn read(input: &[u8]) -> Result<String, String> {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(input).unwrap();
        drop(writer);
        let number = u32::try_from(reader.as_raw_fd()).unwrap();
        let secret = from_descriptor(number, "a refresh token", "--refresh-token-fd");
        secret.map(|secret| secret.expose().to_owned()).map_err(|failure| failure.error)
    }

    #[test]
    fn a_secret_is_the_first_line_without_what_surrounds_it() {
        for (input, secret) in [("eyJ.a.b", "eyJ.a.b"), ("s3cret\nmore\n", "s3cret"), (" dos \r\n", "dos")] {
            assert_eq!(read(input.as_bytes()).as_deref(), Ok(secret), "{input:?}");
        }
    }

    #[test]
    fn what_cannot_be_one_is_refused_without_a_word_of_it() {
        for input in ["", "\nsecret\n", "two words\n", "é\n", &"x".repeat(MAX + 1)] {
            let error = read(input.as_bytes()).unwrap_err();
            assert!(error.starts_with("cannot read a refresh token from descriptor "), "{error}");
            assert!(!error.contains("secret") && !error.contains("words"), "{error}");
        }
        let missing = from_file(Path::new("/nonexistent"), "the client's secret").unwrap_err();
        assert_eq!(
            (missing.error.as_str(), missing.kind),
            (
                "cannot read the client's secret from /nonexistent: No such file or directory (os error 2)",
                FailureKind::Usage
            )
        );
    }
}
