//! Records, in a directory of the test's own.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::unistd::geteuid;

use super::*;
use crate::scratch::Scratch;

const ID: &str = "4f2c0000000000000000000000000001";
const OTHER: &str = "00010000000000000000000000000002";
const DIRECTORY: &str = "pam_iam";

fn record(session: &str) -> Record<'_> {
    Record { session, user: b"alice", uid: 1000, service: b"sshd", remote: Some(b"host.example.org") }
}

fn mine() -> u32 {
    geteuid().as_raw()
}

fn opened(place: &Scratch) -> nix::Result<OwnedFd> {
    records(&place.path(DIRECTORY), mine())
}

fn begun(place: &Scratch, session: &str) -> nix::Result<Begun> {
    begin_in(opened(place)?, &record(session))
}

/// What is in the directory.
fn there(place: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(place.path(DIRECTORY)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(place: &Scratch, name: &str) -> u32 {
    fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o7777
}

/// As an agent holds it, after the module has let go.
fn held(begun: Begun) -> OwnedFd {
    let kept = begun.ends().keep.try_clone_to_owned().unwrap();
    begun.leave_to_child();
    kept
}

#[test]
fn the_lines_are_those_of_the_protocol() {
    assert_eq!(
        text(&record(ID)),
        format!("version=1\nsession={ID}\nuid=1000\nuser=alice\nservice=sshd\nremote=host.example.org\n")
    );
}

#[test]
fn a_name_cannot_forge_a_line_and_is_cut() {
    assert_eq!(escaped(b"a\nuid=0\n%\xff b"), "a%0auid=0%0a%25%ff%20b");
    assert_eq!(escaped(&[b'x'; 1000]).len(), MAX_FIELD);
    let none = Record { remote: None, ..record(ID) };
    assert!(text(&none).ends_with("\nremote=\n"));
}

#[test]
fn the_directory_is_made_and_a_record_comes_whole_and_locked() {
    let place = Scratch::new();
    let begun = begun(&place, ID).unwrap();
    assert_eq!((mode(&place, DIRECTORY), there(&place)), (0o700, vec![ID.to_owned()]));
    let path = format!("{DIRECTORY}/{ID}");
    assert_eq!(
        (mode(&place, &path), fs::read_to_string(place.path(&path)).unwrap()),
        (0o600, text(&record(ID)))
    );
    let another = fs::File::open(place.path(&path)).unwrap();
    assert_eq!(lock(&another, Lock::Exclusive), Err(Errno::EWOULDBLOCK));
    drop(begun);
    assert_eq!(lock(&another, Lock::Exclusive), Ok(()));
}

#[test]
fn a_place_that_others_could_change_or_see_into_or_a_link_is_not_used() {
    let place = Scratch::new();
    place.directory(DIRECTORY, 0o711);
    assert_eq!(opened(&place).unwrap_err(), Errno::EPERM);
    place.mode(DIRECTORY, 0o700);
    assert_eq!(records(&place.path(DIRECTORY), mine() + 1).unwrap_err(), Errno::EPERM);
    assert!(opened(&place).is_ok());
    place.directory("elsewhere", 0o700);
    fs::remove_dir(place.path(DIRECTORY)).unwrap();
    place.link("elsewhere", DIRECTORY);
    assert!(begun(&place, ID).is_err());
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_link_in_a_records_place_is_replaced_and_not_followed() {
    let place = Scratch::new();
    opened(&place).unwrap();
    place.file("other", 0o600, b"as it was");
    for name in [ID.to_owned(), format!(".{ID}")] {
        symlink("../other", place.path(&format!("{DIRECTORY}/{name}"))).unwrap();
    }
    assert_eq!(begun(&place, ID).unwrap_err(), Errno::EEXIST);
    fs::remove_file(place.path(&format!("{DIRECTORY}/.{ID}"))).unwrap();
    let _begun = begun(&place, ID).unwrap();
    assert_eq!(fs::read(place.path("other")).unwrap(), b"as it was");
    assert!(fs::symlink_metadata(place.path(&format!("{DIRECTORY}/{ID}"))).unwrap().is_file());
}

#[test]
fn a_record_lives_as_long_as_somebody_holds_it_and_goes_at_the_next_login() {
    let place = Scratch::new();
    let agent = held(begun(&place, ID).unwrap());
    let mint = agent.as_fd().try_clone_to_owned().unwrap();
    drop(agent);
    let next = held(begun(&place, OTHER).unwrap());
    assert_eq!(there(&place), [OTHER, ID]);
    drop(mint);
    sweep(&opened(&place).unwrap(), OTHER, 0);
    assert_eq!(there(&place), [OTHER]);
    drop(next);
}

#[test]
fn one_login_looks_at_a_bounded_number_and_the_next_ones_at_the_rest() {
    let place = Scratch::new();
    for number in 0..40 {
        drop(begun(&place, &format!("{number:032x}")).unwrap());
    }
    let directory = opened(&place).unwrap();
    let name = |number: usize| format!("{number:032x}");
    // Those after it, and when there are no more of them, from the first one on.
    sweep(&directory, &name(30), 0);
    let left: Vec<_> = (7..31).map(name).collect();
    assert_eq!(there(&place), left);
    for _ in 0..2 {
        sweep(&directory, ID, 0);
    }
    assert_eq!(there(&place), [""; 0]);
}

#[test]
fn only_an_old_draft_that_nobody_holds_is_removed() {
    let place = Scratch::new();
    let directory = opened(&place).unwrap();
    let name = format!(".{ID}");
    place.file(&format!("{DIRECTORY}/{name}"), 0o600, b"version=1\n");
    let made = fstatat(&directory, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW).unwrap().st_mtime;
    sweep(&directory, OTHER, made + DRAFT_LASTS);
    assert_eq!(there(&place), [name.as_str()]);
    let holder = fs::File::open(place.path(&format!("{DIRECTORY}/{name}"))).unwrap();
    lock(&holder, Lock::Shared).unwrap();
    sweep(&directory, OTHER, made + DRAFT_LASTS + 1);
    assert_eq!(there(&place), [name]);
    drop(holder);
    sweep(&directory, OTHER, made + DRAFT_LASTS + 1);
    assert_eq!(there(&place), [""; 0]);
}

#[test]
fn what_is_no_record_stays_and_holds_nobody_up() {
    let place = Scratch::new();
    let directory = opened(&place).unwrap();
    place.fifo(&format!("{DIRECTORY}/fifo"));
    place.directory(&format!("{DIRECTORY}/directory"), 0o700);
    place.link("fifo", &format!("{DIRECTORY}/link"));
    sweep(&directory, OTHER, 0);
    assert_eq!(there(&place), ["directory", "fifo", "link"]);
}
