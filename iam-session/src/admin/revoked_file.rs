//! /etc/iam-session/revoked as root's tool edits and checks it. Touches that file; starts getent(1) to check it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::file::{self, FileLook};
use super::user::{self, UserEntry};
use crate::host::revoked::{BYTE_ORDER_MARK, MAX_SIZE, Mention, lines, meaning, mention, number};
pub(super) use crate::host::revoked::{ListedLine, REVOKED};
use crate::paths::SITE_CONFIG;
use crate::protocol::Failure;

/// Adds a user; whether that changed anything.
pub(super) fn add(user: &ListedLine<'_>) -> Result<bool, Failure> {
    change(|text| added(text, user))
}

/// Removes a user; whether that changed anything.
pub(super) fn remove(user: &ListedLine<'_>) -> Result<bool, Failure> {
    change(|text| removed(text, user))
}

/// How many users are listed.
pub(super) fn count() -> Result<usize, Failure> {
    let text = file::read(Path::new(REVOKED), MAX_SIZE as u64)?.map(|(text, _)| text).unwrap_or_default();
    Ok(users(&text))
}

/// What is wrong with the list: a line each.
pub(super) fn mistakes() -> Vec<String> {
    const UNREAD: &str = "users cannot read it, so their agents give no new tokens";
    let mut wrong = Vec::new();
    if fs::metadata(SITE_CONFIG).is_ok_and(|site| site.mode() & 0o005 != 0o005) {
        wrong.push(format!("{SITE_CONFIG}: {UNREAD}; 'chmod 755' it"));
    }
    match file::read(Path::new(REVOKED), MAX_SIZE as u64) {
        Err(failure) => wrong.push(format!("{}: nobody is served", failure.error)),
        Ok(None) => {}
        Ok(Some((text, look))) => {
            if !look.is_public() {
                wrong.push(format!("{REVOKED}: {UNREAD}; 'chmod 644' it"));
            }
            wrong.extend(idle_lines(&text, user::find));
        }
    }
    wrong
}

fn change(edit: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Result<bool, Failure> {
    let path = Path::new(REVOKED);
    // Of two who change it at once neither may put back what the other has read.
    let _held = file::lock(path)?;
    let (text, look) = file::read(path, MAX_SIZE as u64)?.unwrap_or_else(|| (Vec::new(), FileLook::PUBLIC));
    match edit(&text) {
        None => Ok(false),
        // Agents read it as their users.
        Some(text) => file::replace(path, &text, look.made_public()).map(|()| true),
    }
}

/// The text with the user's lines at its end, or nothing where they are there already: the name, and the uid. The uid
/// holds however the name service, or the user, spells the name.
fn added(text: &[u8], user: &ListedLine<'_>) -> Option<Vec<u8>> {
    let is_there = |is: &dyn Fn(&[u8]) -> bool| lines(without_mark(text)).any(is);
    let name = user.name();
    let named = name.filter(|_| !is_there(&|line| user.is_named_in(line)));
    let numbered = user.uid.filter(|_| !is_there(&|line| user.is_numbered_in(line)));
    let comment = name.map(|name| format!(" # {name}")).unwrap_or_default();
    let missing = named.map(str::to_owned).into_iter().chain(numbered.map(|uid| format!("{uid}{comment}")));
    let missing: String = missing.map(|line| line + "\n").collect();
    if missing.is_empty() && mention(text, user) != Mention::Unfinished {
        return None;
    }
    let mut text = text.to_vec();
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(missing.as_bytes());
    Some(text)
}

/// The text without the lines that stand for the user; comments of their own stay.
fn removed(text: &[u8], user: &ListedLine<'_>) -> Option<Vec<u8>> {
    let (mark, rest) = text.split_at(text.len() - without_mark(text).len());
    let kept: Vec<&[u8]> = lines(rest).filter(|line| !user.is_named_by(line)).collect();
    let kept = [mark, &kept.join(&b'\n')].concat();
    (kept != text).then_some(kept)
}

/// A uid beside the name that its comment tells is the same user.
fn users(text: &[u8]) -> usize {
    let names = names(text);
    lines(without_mark(text)).filter(|line| !meaning(line).is_empty() && !is_beside(line, &names)).count()
}

/// The lines that keep nobody out: a name or a uid that the name service does not have, or spells otherwise. Not those
/// of a user whom it has forgotten since this tool listed the name with its uid.
fn idle_lines(text: &[u8], find: impl Fn(&str) -> Result<Option<UserEntry>, Failure>) -> Vec<String> {
    let names = names(text);
    let with_uid: BTreeSet<&[u8]> =
        lines(text).filter(|line| is_beside(line, &names)).filter_map(comment).collect();
    let mut wrong = Vec::new();
    for (at, line) in lines(without_mark(text)).enumerate() {
        let said = meaning(line);
        if said.is_empty() || with_uid.contains(said) || is_beside(line, &names) {
            continue;
        }
        let (place, name) = (format!("{REVOKED}:{}", at + 1), String::from_utf8_lossy(said));
        let sought = number(said).map_or(name.clone(), |uid| uid.to_string().into());
        // What getent would take for something else is no user either.
        let found = if user::is_user(&sought) { find(&sought) } else { Ok(None) };
        match found {
            Err(failure) => {
                wrong.push(format!("{place}: from here on names were not compared: {}", failure.error));
                break;
            }
            Ok(found) => wrong.extend(idle(&name, found).map(|why| format!("{place}: {why}"))),
        }
    }
    wrong
}

fn idle(name: &str, found: Option<UserEntry>) -> Option<String> {
    let is_number = number(name.as_bytes()).is_some();
    match found {
        None => Some(format!(
            "'{name}' is no user of this host, so the line keeps nobody out; accepted: a name as 'getent passwd' spells it, or a uid"
        )),
        Some(found) if is_number || found.name == name => None,
        Some(found) => Some(format!(
            "'{name}': did you mean '{}'? Logins under that name are served; 'iam-session-admin revoke {}' lists the uid, which holds for all spellings",
            found.name, found.uid
        )),
    }
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// All that are listed by a name.
fn names(text: &[u8]) -> BTreeSet<&[u8]> {
    let meanings = lines(without_mark(text)).map(meaning);
    meanings.filter(|name| !name.is_empty() && number(name).is_none()).collect()
}

/// Whether a line is the uid of a user who is listed by this name, too.
fn is_beside(line: &[u8], names: &BTreeSet<&[u8]>) -> bool {
    number(meaning(line)).is_some() && comment(line).is_some_and(|comment| names.contains(comment))
}

fn comment(line: &[u8]) -> Option<&[u8]> {
    let at = line.iter().position(|byte| *byte == b'#')?;
    line.get(at + 1..).map(<[u8]>::trim_ascii)
}

impl ListedLine<'_> {
    /// A name that reads as one: not as a comment, as a uid or as two words.
    fn name(&self) -> Option<&str> {
        let is_name = |name: &&&str| {
            number(name.as_bytes()).is_none()
                && !name.is_empty()
                && !name.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control())
        };
        self.names.iter().find(is_name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> ListedLine<'static> {
        ListedLine { names: vec!["alice"], uid: Some(1000) }
    }

    fn add(text: &str) -> Option<String> {
        added(text.as_bytes(), &alice()).map(|text| String::from_utf8(text).unwrap())
    }

    fn remove(text: &str) -> Option<String> {
        removed(text.as_bytes(), &alice()).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_user_is_added_once_by_name_and_uid_and_the_rest_stays() {
        assert_eq!(add("").as_deref(), Some("alice\n1000 # alice\n"));
        assert_eq!(add("# gone\nbob # x").as_deref(), Some("# gone\nbob # x\nalice\n1000 # alice\n"));
        for (there, missing) in
            [("alice\n", "1000 # alice\n"), ("bob\n alice # left\n", "1000 # alice\n"), ("1000\n", "alice\n")]
        {
            assert_eq!(add(there), Some(format!("{there}{missing}")), "{there:?}");
        }
        for there in ["alice\n1000 # alice\n", "01000 #\nalice\n", "\u{feff}alice\n1000\n"] {
            assert_eq!(add(there), None, "{there:?}");
        }
        // Agents obey a line at once when it has an end.
        let carol = ListedLine { names: vec!["carol"], uid: None };
        assert_eq!(added(b"bob\ncarol", &carol).as_deref(), Some(b"bob\ncarol\n".as_slice()));
        assert_eq!(added(b"carol\nbob", &carol), None);
        for other in ["#alice\n", "alicex\n", "10001\n", "bob\n\u{feff}alice\n"] {
            assert_eq!(add(other), Some(format!("{other}alice\n1000 # alice\n")), "{other:?}");
        }
    }

    #[test]
    fn a_user_is_removed_by_every_line_that_means_it_and_comments_stay() {
        assert_eq!(
            remove("# a\nalice # x\nbob\n1000 # alice\n#alice\n").as_deref(),
            Some("# a\nbob\n#alice\n")
        );
        assert_eq!(remove("bob\n"), None);
        assert_eq!(remove(""), None);
        assert_eq!(remove("alice").as_deref(), Some(""));
        assert_eq!(remove("\u{feff}alice\nbob\n").as_deref(), Some("\u{feff}bob\n"));
        let latin = [b"\xff\n".as_slice(), b"alice\n"].concat();
        assert_eq!(removed(&latin, &alice()), Some(b"\xff\n".to_vec()));
    }

    #[test]
    fn a_name_that_reads_as_something_else_is_listed_by_its_uid_alone() {
        for name in ["a#b", "a b", "1001", ""] {
            let user = ListedLine { names: vec![name], uid: Some(1000) };
            assert_eq!(added(b"", &user).unwrap(), b"1000\n", "{name:?}");
        }
        let unknown = ListedLine { names: vec!["carol"], uid: None };
        assert_eq!(added(b"", &unknown).unwrap(), b"carol\n");
    }

    #[test]
    fn a_user_with_two_lines_is_one() {
        assert_eq!(users(b""), 0);
        assert_eq!(users(b"# x\nalice\n1000 # alice\nbob\n\n1002\n1003 # left in March\n"), 4);
    }

    #[test]
    fn a_line_that_keeps_nobody_out_is_told() {
        let find = |user: &str| {
            let account = |name: &str, uid| UserEntry {
                name: name.into(),
                uid,
                gid: uid,
                home: "/".into(),
                shell: "/bin/sh".into(),
            };
            Ok(match user {
                "bob" | "1001" => Some(account("bob", 1001)),
                "alice" => Some(account("alice@ad.example", 1000)),
                _ => None,
            })
        };
        let told = |text: &str| idle_lines(text.as_bytes(), find).join("\n");
        assert_eq!(told("# gone\nbob # x\n\n1001\n01001\n"), "");
        // Known once, and forgotten by the name service since.
        assert_eq!(told("dave\n4000 # dave\n"), "");
        for line in ["carol", "ALICE", "AD\\alice", "4000", "bob alice", "-h"] {
            assert!(told(&format!("bob\n{line}\n")).starts_with(&format!("{REVOKED}:2: '")), "{line:?}");
        }
        let told = told("alice\n");
        assert!(told.contains("did you mean 'alice@ad.example'?") && told.contains("revoke 1000"), "{told}");
    }

    #[test]
    fn a_name_service_that_fails_is_told_once() {
        let fails = |_: &str| Err(crate::protocol::Failure::failed("no answer"));
        let told = idle_lines(b"alice\nbob\n", fails);
        assert!(
            matches!(&told[..], [line] if line.contains(":1: from here on") && line.contains("no answer"))
        );
    }
}
