//! Finds the user that a name or a uid means. Starts getent(1).

use std::io;
use std::time::Duration;

use crate::host::names;
use crate::protocol::Failure;

/// A name service that takes longer would hang a login, too.
const PATIENCE: Duration = Duration::from_secs(10);

/// An entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserEntry {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
    pub(super) shell: String,
}

/// Whether a text can be a name or a uid. getent would take an empty key for the whole list.
pub(super) fn is_user(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && !text.contains([':', '/', '\n', '\0'])
}

/// The account of a name or a uid.
pub(super) fn find(user: &str) -> Result<Option<UserEntry>, Failure> {
    if !is_user(user) {
        return Err(Failure::failed(format!("'{user}' is no user")).advise("give a user name or a uid"));
    }
    let text = names::getent("passwd", &[user], PATIENCE).map_err(|error| no_answer(user, &error))?;
    let account = text.lines().next().map(|line| {
        parse(line).ok_or_else(|| Failure::failed(format!("the entry of {user} is none of passwd(5)")))
    });
    account.transpose()
}

/// Everybody whom the name service lists; with LDAP that may be nobody.
pub(super) fn all() -> Result<Vec<UserEntry>, Failure> {
    let text = names::getent("passwd", &[""; 0], PATIENCE).map_err(|error| no_answer("everybody", &error))?;
    Ok(text.lines().filter_map(parse).collect())
}

fn no_answer(user: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot look up {user}: {error}"))
}

/// passwd(5).
fn parse(line: &str) -> Option<UserEntry> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
    Some(UserEntry {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.to_owned(),
        shell: shell.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_seven_fields() {
        let account = parse("alice:x:1000:100:Alice, A.:/home/alice:/bin/bash").unwrap();
        assert_eq!((account.name.as_str(), account.uid, account.gid), ("alice", 1000, 100));
        assert_eq!((account.home.as_str(), account.shell.as_str()), ("/home/alice", "/bin/bash"));
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
