//! Who is meant by a name or a uid. Starts getent(1): a static program asks no name service itself.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{advised, failed};
use crate::line::{LineError, Lines, Wait};
use crate::protocol::Failure;

const GETENT: &str = "/usr/bin/getent";
/// A name service that takes longer would hang a login, too.
const PATIENCE: Duration = Duration::from_secs(10);
/// As in the module: what does not fit is no person's entry.
const MAX_ENTRY: usize = 64 * 1024;

/// An entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
}

/// Whether a text can be a name or a uid: getent takes no "--", and an empty key for the whole list.
pub(super) fn is_user(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && !text.contains([':', '/', '\n', '\0'])
}

/// The account of a name or a uid.
pub(super) fn find(user: &str) -> Result<Option<Account>, Failure> {
    if !is_user(user) {
        return Err(advised(format!("'{user}' is no user"), "give a user name or a uid"));
    }
    let line = first_line(&["passwd", user])?;
    let account = line
        .as_deref()
        .map(|line| parse(line).ok_or_else(|| failed(format!("{GETENT} passwd {user}: not understood"))));
    account.transpose()
}

/// One that there must be.
#[allow(dead_code)]
pub(super) fn known(user: &str) -> Result<Account, Failure> {
    find(user)?.ok_or_else(|| advised(format!("there is no user '{user}'"), "give a user name or a uid"))
}

/// Everybody whom the name service lists; with LDAP that may be nobody.
#[allow(dead_code)]
pub(super) fn all() -> Result<Vec<Account>, Failure> {
    let mut child = getent(&["passwd"])?;
    let mut text = String::new();
    let read = child.stdout.take().map(|mut out| out.read_to_string(&mut text));
    let ended = child.wait();
    if !matches!(read, Some(Ok(_))) || ended.is_err() {
        return Err(failed(format!("{GETENT} passwd: no answer")));
    }
    Ok(text.lines().filter_map(parse).collect())
}

fn first_line(arguments: &[&str]) -> Result<Option<String>, Failure> {
    let what = || format!("{GETENT} {}", arguments.join(" "));
    let mut child = getent(arguments)?;
    let line =
        child.stdout.take().map(|mut out| Lines::new(MAX_ENTRY).next(&mut out, Wait::at_most(PATIENCE)));
    let _ = child.kill();
    let _ = child.wait();
    match line {
        Some(Ok(line)) => Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned())),
        Some(Err(LineError::Closed)) => Ok(None),
        Some(Err(error)) => Err(failed(format!("{}: {error}", what()))),
        None => Err(failed(format!("{}: no output", what()))),
    }
}

fn getent(arguments: &[&str]) -> Result<std::process::Child, Failure> {
    Command::new(GETENT)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("cannot start {GETENT}: {error}")))
}

/// passwd(5).
fn parse(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, _] = fields[..] else { return None };
    Some(Account {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_seven_fields() {
        let account = parse("alice:x:1000:100:Alice, A.:/home/alice:/bin/bash").unwrap();
        assert_eq!((account.name.as_str(), account.uid, account.gid), ("alice", 1000, 100));
        assert_eq!(account.home, "/home/alice");
        for broken in ["", "alice:x:1000", "alice:x:-1:1::/:", "alice:x:1:1::/:/bin/sh:more"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_getent_would_take_for_something_else_is_refused() {
        for user in ["", "-h", "a:b", "../x", "a\nb"] {
            assert!(find(user).is_err(), "{user:?}");
        }
        assert_eq!(find("root").unwrap().unwrap().uid, 0);
        assert_eq!(find("0").unwrap().unwrap().name, "root");
        assert_eq!(find("no-such-user-here").unwrap(), None);
    }
}
