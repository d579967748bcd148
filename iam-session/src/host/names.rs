//! Names of users and groups, as the host's name services know them. Starts getent(1).
//!
//! Agent and command line are static programs, and ask no name service themselves (LDAP, sssd). getent does it, in a
//! process that can be given up when a directory server hangs.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::unistd::{getegid, getgroups};

use crate::line::{LineError, Wait};

const GETENT: &str = "/usr/bin/getent";
/// A group's line names its members, and large groups have tens of thousands. A list of everybody is as long.
const MAX_OUTPUT: usize = 8 * 1024 * 1024;

/// Whether this process is in one of these groups, each a name or a gid in decimal.
///
/// # Errors
/// The names could not be looked up in time, and no gid says it.
pub(crate) fn is_in_one_of(groups: &[String], patience: Duration) -> io::Result<bool> {
    let mut own: Vec<u32> = getgroups()?.into_iter().map(nix::unistd::Gid::as_raw).collect();
    own.push(getegid().as_raw());
    let (numbers, names): (Vec<&String>, Vec<&String>) =
        groups.iter().partition(|group| group.parse::<u32>().is_ok());
    if numbers.iter().any(|gid| gid.parse().is_ok_and(|gid| own.contains(&gid))) {
        return Ok(true);
    }
    if names.is_empty() {
        return Ok(false);
    }
    // Asked by their names: the other way round, each of the user's own groups would have to be looked up.
    let found = getent("group", &names, patience)?;
    Ok(numbers_in(&found).any(|gid| own.contains(&gid)))
}

/// A user as the name service spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownUser {
    pub(crate) name: String,
    pub(crate) uid: u32,
}

/// The user that a login name stands for, if it stands for one. A name service may know a user by more than one name:
/// in capitals, with or without a domain, by a mail address. It spells its answer in one way.
///
/// # Errors
/// It could not be looked up in time.
pub(crate) fn user_called(name: &str, patience: Duration) -> io::Result<Option<KnownUser>> {
    if is_number(name) {
        return Ok(None);
    }
    let found = getent("passwd", &[name], patience)?;
    let name = found.split(':').next().unwrap_or_default().to_owned();
    Ok(numbers_in(&found).next().map(|uid| KnownUser { name, uid }))
}

/// Whether getent would take a name for a uid: by strtoul(3), which knows signs.
pub(crate) fn is_number(name: &str) -> bool {
    let digits = name.strip_prefix(['+', '-']).unwrap_or(name);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The third field of each line: group(5) and passwd(5) have the number there.
fn numbers_in(lines: &str) -> impl Iterator<Item = u32> {
    lines.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok())
}

/// The entries of these keys in a database, one a line; all that it lists where there is no key.
///
/// # Errors
/// They could not be looked up in time, or are too many.
pub(crate) fn getent<K: AsRef<OsStr>>(database: &str, keys: &[K], patience: Duration) -> io::Result<String> {
    let mut child = Command::new(GETENT)
        .args([database, "--"])
        .args(keys)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{GETENT}: {error}")))?;
    let output = child.stdout.take().map(|stdout| read(stdout, patience));
    // It has said all it knows, or is given up.
    let _ = child.kill();
    let _ = child.wait();
    output.unwrap_or_else(|| Ok(Vec::new())).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn read(mut stdout: ChildStdout, patience: Duration) -> io::Result<Vec<u8>> {
    let wait = Wait::at_most(patience);
    let mut bytes = Vec::new();
    loop {
        match wait.sleep(stdout.as_fd()) {
            Err(LineError::Interrupted) => {}
            Ok(()) => return Err(io::Error::new(ErrorKind::TimedOut, "the name service does not answer")),
            Err(error) => return Err(io::Error::other(error)),
        }
        let mut piece = [0; 4096];
        match stdout.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(read) => bytes.extend(piece.iter().take(read)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if bytes.len() > MAX_OUTPUT {
            return Err(io::Error::from(ErrorKind::FileTooLarge));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn member(groups: &[&str]) -> bool {
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        is_in_one_of(&groups, PATIENCE).unwrap()
    }

    #[test]
    fn a_group_goes_by_name_or_number() {
        let own = getegid().as_raw().to_string();
        assert!(member(&["4000000001", &own]));
        assert!(!member(&["4000000001"]) && !member(&[]));
        let line = getent("group", &[&own], PATIENCE).unwrap();
        let name = line.split(':').next().unwrap().to_owned();
        assert!(member(&["no-such-group", &name]), "{line}");
        assert!(!member(&["no-such-group", "-n"]));
    }

    #[test]
    fn a_login_name_has_a_uid() {
        let root = KnownUser { name: "root".into(), uid: 0 };
        assert_eq!(user_called("root", PATIENCE).unwrap(), Some(root));
        assert_eq!(user_called("no-such-user", PATIENCE).unwrap(), None);
        for number in ["0", "+0", "-0", "18446744073709551616"] {
            assert!(is_number(number));
            assert_eq!(user_called(number, PATIENCE).unwrap(), None, "a number is no name");
        }
        assert!(!is_number("0x0") && !is_number("a1") && !is_number("-") && !is_number(""));
    }

    #[test]
    fn a_name_service_that_hangs_is_given_up() {
        let mut child =
            Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let error = read(child.stdout.take().unwrap(), Duration::from_millis(50)).unwrap_err();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
