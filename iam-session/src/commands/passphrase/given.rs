//! A passphrase that is not typed: a line of a descriptor, of a private file, or of what a command prints. Touches that
//! descriptor or file; starts the command.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use nix::libc;
use nix::unistd::geteuid;

use super::purpose::Purpose;
use crate::commands::secret_input;
use crate::protocol::Failure;
use crate::secret::Secret;

/// Far beyond what anybody types, and what a source may hold of it.
const MAX: usize = 1024;
/// What a command may print after its first line; password managers print a few lines of notes.
const MAX_REST: u64 = 64 * 1024;
/// Group and others may do nothing with a file that holds a passphrase.
const OTHERS: u32 = 0o077;

/// Where a passphrase is, if it is not to be asked for.
#[derive(Debug, Default, Args)]
#[group(multiple = false)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from the first line of this descriptor
    #[arg(long, value_name = "N")]
    passphrase_fd: Option<u32>,
    /// Read it from the first line of this file, which only you may be able to read
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Run this with sh -c, and take the first line that it prints
    #[arg(long, value_name = "COMMAND")]
    passphrase_command: Option<String>,
}

impl PassphraseArgs {
    /// The passphrase, where these say where it is.
    pub(crate) fn read(&self) -> Result<Option<Secret>, Failure> {
        match self {
            Self { passphrase_fd: Some(number), .. } => of_descriptor(*number).map(Some),
            Self { passphrase_file: Some(path), .. } => of_file(path).map(Some),
            Self { passphrase_command: Some(command), .. } => of_command(command).map(Some),
            _ => Ok(None),
        }
    }
}

fn of_descriptor(number: u32) -> Result<Secret, Failure> {
    read_line_of(number, Purpose::Passphrase.name(), "--passphrase-fd")
}

/// The first line of descriptor `number`, without its end.
pub(crate) fn read_line_of(number: u32, what: &str, option: &str) -> Result<Secret, Failure> {
    secret_input::from_descriptor(number, &format!("a {what}"), option, first_line)
}

fn of_file(path: &Path) -> Result<Secret, Failure> {
    let failed = |why: String| {
        Failure::usage(format!("cannot read a passphrase from {}: {why}", path.display()))
            .advise("it must be a file of yours with mode 0600 or 0400")
    };
    // Neither a FIFO nor a terminal that lies there may hold us up.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| failed(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
    let reason = match () {
        () if !metadata.is_file() => Some("it is no regular file"),
        () if metadata.uid() != geteuid().as_raw() => Some("it belongs to somebody else"),
        () if metadata.mode() & OTHERS != 0 => Some("others may read or write it"),
        () => None,
    };
    match reason {
        Some(reason) => Err(failed(reason.to_owned())),
        None => first_line(file).map_err(failed),
    }
}

/// What the command says of itself goes to standard error, and what it asks is asked where we were started.
fn of_command(command: &str) -> Result<Secret, Failure> {
    // Its text is not repeated: somebody may have written a secret into it.
    let failed = |why: String| {
        Failure::failed(format!("the passphrase command failed: {why}")).advise("try it by itself")
    };
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut output = child.stdout.take().ok_or_else(|| failed("it has no output".into()))?;
    let line = first_line(&mut output);
    // A command whose reader is gone would look as if it had failed.
    let _ = io::copy(&mut output.take(MAX_REST), &mut io::sink());
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    line.map_err(failed)
}

fn first_line(source: impl Read) -> Result<Secret, String> {
    text(&secret_input::first_line(source, MAX)?).ok_or_else(|| "it is too long, or no UTF-8".to_owned())
}

/// A line as it was given, without a carriage return at its end.
pub(super) fn text(line: &[u8]) -> Option<Secret> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).ok().filter(|text| text.len() <= MAX)?;
    Some(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::scratch::Scratch;

    fn shown(read: Result<Secret, Failure>) -> Result<String, String> {
        read.map(|secret| secret.expose().to_owned()).map_err(|failure| failure.error)
    }

    fn read(input: &[u8]) -> Result<String, String> {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(input).unwrap();
        drop(writer);
        let number = u32::try_from(reader.as_raw_fd()).unwrap();
        shown(of_descriptor(number))
    }

    #[test]
    fn a_passphrase_is_the_first_line_of_a_descriptor() {
        for (input, passphrase) in [
            ("one two\nmore\n", "one two"),
            ("no end", "no end"),
            ("\n", ""),
            ("", ""),
            ("dos\r\n", "dos"),
            (" é ", " é "),
        ] {
            assert_eq!(read(input.as_bytes()).as_deref(), Ok(passphrase), "{input:?}");
        }
    }

    #[test]
    fn what_cannot_be_one_is_refused_without_a_word_of_it() {
        for input in [&[0xff, 0xfe, b'\n'][..], &[b'x'; MAX + 1]] {
            let error = read(input).unwrap_err();
            assert!(error.ends_with("it is too long, or no UTF-8"), "{error}");
        }
        assert!(of_descriptor(1_000_000).is_err());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.write("given", "one two\nmore");
        let read = |mode| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            shown(of_file(&path))
        };
        assert_eq!(read(0o600).as_deref(), Ok("one two"));
        assert_eq!(read(0o400).as_deref(), Ok("one two"));
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
            assert!(read(mode).unwrap_err().ends_with("others may read or write it"), "{mode:o}");
        }
        fs::remove_file(&path).unwrap();
        assert!(shown(of_file(&path)).unwrap_err().contains("No such file"));
        for (path, reason) in [("/", "no regular file"), ("/dev/tty", ""), ("/dev/null", "no regular file")] {
            assert!(shown(of_file(Path::new(path))).unwrap_err().contains(reason), "{path}");
        }
    }

    #[test]
    fn a_command_gives_its_first_line_and_must_succeed() {
        let run = |command: &str| shown(of_command(command));
        assert_eq!(run("echo one two; echo more").as_deref(), Ok("one two"));
        assert_eq!(run("head -c 60000 /dev/zero | tr '\\0' '\\n'").as_deref(), Ok(""));
        let error = run("echo secret; exit 3").unwrap_err();
        assert_eq!(error, "the passphrase command failed: exit status: 3");
        assert!(run("exec head -c 5000 /dev/zero").unwrap_err().ends_with("too long, or no UTF-8"));
    }
}
