//! `iam-session-admin key`: lists the node keys, makes one, promotes one, and removes one. Touches
//! /etc/iam-session/keys.d; starts restorecon(8).
//!
//! A key must be on every host that shares the homes before anything is sealed under it. So a new key is made below
//! the one that seals, and only opens. It is promoted when it has been copied.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::{Parser, Subcommand};

use super::confirm::{self, Consent};
use super::record_keys::{self, Covered, Covers};
use super::user::{self, UserEntry};
use super::{audit, say, session_record};
use crate::clock::unix_time;
use crate::host::node_keys::{self, DIRECTORY, KeyFile, MAX_USED};
use crate::outcome::{Exit, Outcome, warn};
use crate::protocol::Failure;
use crate::text::printable;

/// Node keys of this host.
#[derive(Debug, Parser)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: Key,
}

#[derive(Debug, Subcommand)]
enum Key {
    /// List the keys, the one that seals first; hosts that share homes must show the same
    List,
    /// Make a key: the first one seals at once, a further one when it is promoted
    Add,
    /// Have a key seal new enrolments, once every host has it
    Promote {
        /// As 'key list' shows it
        id: String,
    },
    /// Put a key aside: nothing is sealed under it or opened by it any more
    Retire {
        /// As 'key list' shows it
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
}

/// The module reads only exact names in keys.d, so what lies below it is out of use.
const RETIRED: &str = "/etc/iam-session/keys.d/retired";
/// Users named in a warning; the rest is counted.
const MAX_NAMED: usize = 10;
/// Below and from here on accounts are of no people (nobody, and what systemd and containers take).
const PEOPLE: std::ops::Range<u32> = 1000..65_534;

pub(super) fn run(args: &KeyArgs) -> Outcome {
    match &args.command {
        Key::List => list(),
        Key::Add => add(),
        Key::Promote { id } => promote(id),
        Key::Retire { id, consent } => retire(id, *consent),
    }
}

fn list() -> Outcome {
    let files = node_keys::files()?;
    if files.is_empty() {
        say("no node key: enrolments are sealed with passphrases; 'iam-session-admin key add' makes one")?;
    }
    let mut used = 0;
    for file in &files {
        let state = match file.read() {
            Err(why) => format!("is not used: {why}"),
            Ok(_) if used >= MAX_USED => format!("is not used: {MAX_USED} newer ones are"),
            Ok(_) if used == 0 => "seals and opens".to_owned(),
            Ok(_) => "opens".to_owned(),
        };
        used += usize::from(file.read().is_ok());
        say(&format!("{}  made {}  {state}", file.id(), file.made()))?;
    }
    Ok(Exit::Done)
}

/// One more would silently put the oldest out of use, and what that alone opens.
fn room(usable: usize) -> Result<(), Failure> {
    if usable < MAX_USED {
        return Ok(());
    }
    let error = format!(
        "there are {usable} keys, and logins use the newest {MAX_USED}: one more would put the oldest out of use"
    );
    Err(Failure::failed(error).advise("retire one first: 'iam-session-admin key list', then 'key retire'"))
}

fn add() -> Outcome {
    room(node_keys::files()?.iter().filter(|file| file.read().is_ok()).count())?;
    let sealing = sealing()?;
    let file = node_keys::make(sealing.as_ref(), unix_time())?;
    audit(&format!("made node key {}", file.id()));
    let path = file.path();
    relabel(&path);
    match sealing {
        None => say(&format!(
            "made {}, which seals new enrolments from now on; copy it to every host that shares the homes, and keep a copy where their backup is not",
            path.display()
        ))?,
        Some(sealing) => say(&format!(
            "made {}, which opens and does not seal yet: {} does. Copy it, owned by root and with mode 0400, to every host that shares the homes; then run 'iam-session-admin key promote {}' on each",
            path.display(),
            sealing.id(),
            file.id()
        ))?,
    }
    Ok(Exit::Done)
}

/// Gives a key the type that SELinux has for it. Without SELinux this does nothing.
fn relabel(key: &Path) {
    let mut restorecon = Command::new("restorecon");
    restorecon.env_clear().env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").arg(key);
    let _ = restorecon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

fn promote(id: &str) -> Outcome {
    let file = find(id)?;
    file.read().map_err(|why| Failure::failed(format!("{} {why}", file.path().display())))?;
    if sealing()?.as_ref() == Some(&file) {
        say(&format!("{id} seals already"))?;
        return Ok(Exit::Done);
    }
    let greatest = node_keys::files()?.into_iter().next();
    let promoted = file.promoted(greatest.as_ref(), unix_time());
    rename(&file.path(), &promoted.path())?;
    audit(&format!("promoted node key {id}"));
    say(&format!(
        "{id} seals new enrolments from the next login on, as {}; the older keys go on opening",
        promoted.path().display()
    ))?;
    Ok(Exit::Done)
}

fn retire(id: &str, consent: Consent) -> Outcome {
    let file = find(id)?;
    let others: Vec<String> = node_keys::files()?
        .into_iter()
        .filter(|other| *other != file && other.read().is_ok())
        .take(MAX_USED)
        .map(|other| other.id().to_owned())
        .collect();
    if others.is_empty() {
        warn(
            "no node key is left then: enrolments under this one stay locked, and new ones need passphrases",
        );
    }
    tell_needed(id, &others)?;
    confirm::ask(&format!("put {id} aside?"), consent)?;
    match DirBuilder::new().mode(0o700).create(RETIRED) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Failure::failed(format!("cannot make {RETIRED}: {error}")).into());
        }
        _ => {}
    }
    let aside = Path::new(RETIRED).join(&file.name);
    rename(&file.path(), &aside)?;
    audit(&format!("retired node key {id}"));
    say(&format!(
        "{id} is in {RETIRED} and not used from the next login on; moved back, it is. Do the same on every host that shares the homes"
    ))?;
    Ok(Exit::Done)
}

/// Who cannot be opened without the key, as far as that can be seen from here.
fn tell_needed(id: &str, others: &[String]) -> Result<(), Failure> {
    let people = people()?;
    let (mut need, mut unseen) = (Vec::new(), Vec::new());
    for (account, covers) in record_keys::of(&people) {
        match covers {
            Some(covers) => {
                need.extend(needing(&covers, id, others).map(|name| format!("{} ({name})", account.name)));
                unseen.extend((!covers.unread.is_empty()).then(|| account.name.clone()));
            }
            None => unseen.push(account.name.clone()),
        }
    }
    if need.is_empty() {
        warn(&format!("no record of the {} users that are known here needs {id}", people.len()));
    } else {
        warn(&format!("without {id} these stay locked until their users enrol again: {}", some(&need)));
    }
    if !unseen.is_empty() {
        warn(&format!("what these have could not be seen: {}", some(&unseen)));
    }
    warn("users whom 'getent passwd' does not list and who have no session here were not looked at");
    Ok(())
}

/// The accounts that no other key of this host opens.
fn needing<'c>(covers: &'c Covers, id: &str, others: &[String]) -> impl Iterator<Item = &'c str> {
    let needs = move |record: &&Covered| {
        record.keys.contains(id) && !others.iter().any(|other| record.keys.contains(other))
    };
    covers.records.iter().filter(needs).map(|record| record.account.as_str())
}

/// Those whom the name service lists, and those who have a session here.
fn people() -> Result<Vec<UserEntry>, Failure> {
    let mut accounts: Vec<UserEntry> =
        user::all()?.into_iter().filter(|account| PEOPLE.contains(&account.uid)).collect();
    for record in session_record::live().unwrap_or_default() {
        if !accounts.iter().any(|account| account.uid == record.uid) {
            accounts.extend(user::find(&record.uid.to_string())?);
        }
    }
    accounts.sort_by_key(|account| account.uid);
    accounts.dedup_by_key(|account| account.uid);
    Ok(accounts)
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(MAX_NAMED).map(|name| printable(name)).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(MAX_NAMED) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

fn sealing() -> Result<Option<KeyFile>, Failure> {
    Ok(node_keys::files()?.into_iter().find(|file| file.read().is_ok()))
}

fn find(id: &str) -> Result<KeyFile, Failure> {
    let found = node_keys::files()?.into_iter().find(|file| file.id() == id);
    found.ok_or_else(|| {
        Failure::failed(format!("there is no key '{id}' in {DIRECTORY}"))
            .advise("'iam-session-admin key list' shows them")
    })
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    let renamed = fs::rename(from, to).and_then(|()| fs::File::open(DIRECTORY)?.sync_all());
    renamed.map_err(|error| {
        Failure::failed(format!("cannot rename {} to {}: {error}", from.display(), to.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_other_key_opens_needs_it() {
        let record = |account: &str, keys: &[&str]| Covered {
            account: account.into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let covers = Covers {
            records: vec![
                record("a", &["1"]),
                record("b", &["1", "2"]),
                record("c", &["3"]),
                record("d", &["1", "4"]),
            ],
            unread: vec![],
        };
        let others = ["2".to_owned(), "3".to_owned()];
        assert_eq!(needing(&covers, "1", &others).collect::<Vec<_>>(), ["a", "d"]);
    }

    #[test]
    fn a_key_that_would_put_another_out_of_use_is_not_made() {
        assert_eq!(room(MAX_USED - 1), Ok(()));
        assert!(room(MAX_USED).unwrap_err().info.unwrap().starts_with("retire one first"));
    }

    #[test]
    fn many_names_are_counted() {
        let names: Vec<String> = (0..12).map(|number| format!("u{number}")).collect();
        assert!(some(&names).ends_with(", u9 and 2 more"));
        assert_eq!(some(&names[..1]), "u0");
    }
}
