use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::unistd::{geteuid, mkfifo};

use super::*;
use crate::scratch::Scratch;

const LINES: &str = include_str!("../../../../tests/lists/revoked.lines");

fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    bytes
}

#[test]
fn each_line_is_read_as_the_module_reads_it() {
    let alice = ListedLine { names: vec!["alice"], uid: Some(1000) };
    let mut tried = 0;
    for line in LINES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (verdict, text) = line.split_once(' ').unwrap();
        let expected = match verdict {
            "listed" => Mention::Whole,
            "unfinished" => Mention::Unfinished,
            "not" => Mention::None,
            _ => panic!("{line}"),
        };
        assert_eq!(mention(&bytes(text), &alice), expected, "{line}");
        tried += 1;
    }
    assert!(tried > 30, "{tried}");
}

/// A site of the test's own.
struct ListedHost(Scratch);

impl ListedHost {
    fn new() -> Self {
        Self(Scratch::new())
    }

    fn list(&self) -> RevokedList {
        RevokedList::of(self.0.to_owned(), geteuid().as_raw(), "alice", 1000)
    }

    fn path(&self) -> PathBuf {
        self.0.join(NAME)
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
        fs::set_permissions(self.path(), Permissions::from_mode(0o644)).unwrap();
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn each_change_is_seen_at_the_next_look() {
    let site = ListedHost::new();
    let mut list = site.list();
    assert_eq!(list.look(at(0)), Ruling::Free);
    site.write("bob\n");
    assert_eq!(list.look(at(1)), Ruling::Free);
    site.write("alice\n");
    assert_eq!(list.look(at(2)), Ruling::Revoked);
    assert_eq!(list.look(at(100)), Ruling::Revoked);
    site.write("1001\n");
    assert_eq!(list.look(at(101)), Ruling::Free);
    assert_eq!(list.look(at(200)), Ruling::Free);
    fs::write(site.0.join("draft"), "1000\n").unwrap();
    fs::rename(site.0.join("draft"), site.path()).unwrap();
    assert_eq!(list.look(at(201)), Ruling::Revoked);
    fs::remove_file(site.path()).unwrap();
    assert_eq!(list.look(at(202)), Ruling::Free);
}

/// The kernel's clock for files stands still for up to 10 ms.
#[test]
fn a_change_that_shows_in_no_time_is_seen_all_the_same() {
    let site = ListedHost::new();
    let mut list = site.list();
    site.write("bobby\n");
    assert_eq!(list.look(at(0)), Ruling::Free);
    site.write("alice\n");
    // As if both were one state.
    list.seen.as_mut().unwrap().state = list.state();
    assert_eq!(list.look(at(1)), Ruling::Revoked);
}

#[test]
fn a_list_that_has_not_changed_is_not_read_again() {
    let site = ListedHost::new();
    let mut list = site.list();
    site.write("bob\n");
    assert_eq!((list.look(at(0)), list.look(at(10))), (Ruling::Free, Ruling::Free));
    let read = list.seen.as_ref().unwrap().read;
    assert_eq!((list.look(at(100)), list.look(at(1000))), (Ruling::Free, Ruling::Free));
    assert_eq!(list.seen.as_ref().unwrap().read, read);
}

#[test]
fn what_could_not_be_read_is_read_at_the_next_look() {
    let site = ListedHost::new();
    let fail = |list: &mut RevokedList| {
        list.seen.as_mut().unwrap().ruling = Ruling::Unknown("too many open files".into());
    };
    let mut list = site.list();
    assert_eq!(list.look(at(0)), Ruling::Free);
    fail(&mut list);
    assert_eq!(list.look(at(1)), Ruling::Free);
    site.write("bob\n");
    assert_eq!((list.look(at(2)), list.look(at(10))), (Ruling::Free, Ruling::Free));
    fail(&mut list);
    assert_eq!(list.look(at(100)), Ruling::Free);
}

#[test]
fn a_line_that_may_still_be_written_counts_once_it_has_not_changed_for_a_while() {
    let site = ListedHost::new();
    let mut list = site.list();
    site.write("bob\nalice");
    assert_eq!((list.look(at(10)), list.deadline()), (Ruling::Free, Some(at(15))));
    assert_eq!(list.look(at(14)), Ruling::Free);
    // More of it comes, and the time begins anew.
    site.write("bob\n# x\nalice");
    assert_eq!((list.look(at(14)), list.deadline()), (Ruling::Free, Some(at(19))));
    assert_eq!(list.look(at(18)), Ruling::Free);
    assert_eq!((list.look(at(19)), list.deadline()), (Ruling::Revoked, None));
    site.write("bob\n# x\nalicex\n");
    assert_eq!((list.look(at(20)), list.deadline()), (Ruling::Free, None));
    // What was there before the first look is not waited for without end either.
    site.write("alice");
    let mut other = site.list();
    assert_eq!((other.look(at(0)), other.look(at(5))), (Ruling::Free, Ruling::Revoked));
}

#[test]
fn a_list_that_is_not_roots_alone_says_nothing() {
    let said = |site: &ListedHost| match site.list().look(at(0)) {
        Ruling::Unknown(why) => why,
        other => panic!("{other:?}"),
    };
    let site = ListedHost::new();
    for mode in [0o664, 0o646] {
        site.write("bob\n");
        fs::set_permissions(site.path(), Permissions::from_mode(mode)).unwrap();
        assert!(said(&site).contains("revoked cannot be trusted: "), "{mode:o}");
    }
    fs::remove_file(site.path()).unwrap();
    mkfifo(&site.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(said(&site).ends_with("it must be a regular file"));
    fs::remove_file(site.path()).unwrap();
    fs::create_dir(site.path()).unwrap();
    assert!(said(&site).ends_with("it must be a regular file"));
    fs::remove_dir(site.path()).unwrap();
    symlink("elsewhere", site.path()).unwrap();
    assert!(said(&site).ends_with("it is a symbolic link"));
    fs::remove_file(site.path()).unwrap();
    site.write(&"\n".repeat(MAX_SIZE + 1));
    assert!(said(&site).ends_with("is too large"));
    site.write("");
    let mut of_another = RevokedList::of(site.0.to_owned(), geteuid().as_raw() + 1, "alice", 1000);
    assert!(matches!(of_another.look(at(0)), Ruling::Unknown(_)));
    fs::set_permissions(&*site.0, Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(site.list().look(at(0)), Ruling::Unknown(_)));
}

#[test]
fn an_empty_list_and_none_at_all_revoke_nobody() {
    let site = ListedHost::new();
    site.write("");
    assert_eq!(site.list().look(at(0)), Ruling::Free);
    let nowhere = site.0.join("nowhere");
    assert_eq!(RevokedList::of(nowhere, 0, "alice", 1000).look(at(0)), Ruling::Free);
}
