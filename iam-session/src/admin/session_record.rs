//! The session records that the module writes: PROTOCOL.md, section 7. Touches /run/pam_iam.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;

use crate::directory::{Directory, DirectoryError};
use crate::host::process_stat::DELETED;

/// Where the records are. Descriptor 2 of each of a session's processes is its record.
pub(super) const SESSIONS: &str = "/run/pam_iam";
const ROOT: u32 = 0;
/// Nine lines, the longest of three times 256 bytes.
const MAX_RECORD: usize = 4096;
const VERSION: &str = "1";

/// What the module wrote at a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionRecord {
    pub(super) session: String,
    pub(super) user: String,
    pub(super) uid: u32,
    pub(super) service: String,
    /// PAM_RHOST; empty where there is none.
    pub(super) remote: String,
    /// The number of the agent's process, from before it was the user's.
    pub(super) agent: Option<i32>,
    pub(super) login: LoginState,
}

/// Whether the login lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginState {
    /// Nobody has closed it.
    Open,
    /// The module has been told that it is over.
    Closed,
}

/// All records of sessions of which a process lives. The others are removed.
pub(super) fn live() -> Result<Vec<SessionRecord>, DirectoryError> {
    match Directory::open(Path::new(SESSIONS), ROOT)? {
        None => Ok(Vec::new()),
        Some(directory) => live_in(&directory),
    }
}

fn live_in(directory: &Directory) -> Result<Vec<SessionRecord>, DirectoryError> {
    let mut records = Vec::new();
    for name in directory.names()?.into_iter().filter(|name| is_session_id(name)) {
        // While a process of the session lives, its descriptor 2 keeps a shared lock.
        if let Some(_lock) = lock(directory, &name) {
            directory.remove(&name)?;
            continue;
        }
        records.extend(read(directory, &name)?);
    }
    Ok(records)
}

/// The record of one session.
pub(super) fn of(session: &str) -> Option<SessionRecord> {
    let directory = Directory::open(Path::new(SESSIONS), ROOT).ok()??;
    read(&directory, session).ok()?
}

fn read(directory: &Directory, session: &str) -> Result<Option<SessionRecord>, DirectoryError> {
    let bytes = directory.read(session, MAX_RECORD)?;
    let record = bytes.and_then(|bytes| parse(&String::from_utf8(bytes).ok()?));
    Ok(record.filter(|record| record.session == session))
}

/// The lock of a record that belongs to no process any more.
fn lock(directory: &Directory, name: &str) -> Option<Flock<OwnedFd>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(directory.as_fd(), name, flags, Mode::empty()).ok()?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno): (_, Errno)| errno).ok()
}

/// The session of a process by what its descriptor 2 is (proc(5)): also of a record whose name has been removed.
pub(super) fn session_of(link: &Path) -> Option<&str> {
    let name = link.strip_prefix(SESSIONS).ok()?.to_str()?;
    let name = name.strip_suffix(DELETED).unwrap_or(name);
    is_session_id(name).then_some(name)
}

/// 32 lower-case hexadecimal digits.
pub(super) fn is_session_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn parse(text: &str) -> Option<SessionRecord> {
    let field = |wanted: &str| {
        let fields = text.lines().filter_map(|line| line.split_once('='));
        fields.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    if field("version")? != VERSION {
        return None;
    }
    Some(SessionRecord {
        session: field("session")?.to_owned(),
        user: unescaped(field("user")?)?,
        uid: field("uid")?.parse().ok()?,
        service: unescaped(field("service")?)?,
        remote: unescaped(field("remote")?)?,
        agent: field("agent").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0),
        login: if field("closed").is_some() { LoginState::Closed } else { LoginState::Open },
    })
}

/// `%` and two hexadecimal digits are a byte; what is no UTF-8 then is shown as such.
fn unescaped(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::unistd::geteuid;

    use super::*;
    use crate::scratch::Scratch;

    const ID: &str = "4f2c0000000000000000000000000001";

    fn text(rest: &str) -> String {
        format!("version=1\nsession={ID}\nuid=1000\nuser=alice\nservice=sshd\nremote=a%0ab\nlater=x\n{rest}")
    }

    #[test]
    fn a_record_is_read_and_what_is_unknown_skipped() {
        let record = parse(&text("agent=42\n")).unwrap();
        assert_eq!((record.session.as_str(), record.uid, record.agent), (ID, 1000, Some(42)));
        assert_eq!(
            (record.user.as_str(), record.service.as_str(), record.remote.as_str()),
            ("alice", "sshd", "a\nb")
        );
        assert_eq!(record.login, LoginState::Open);
        for (from, to) in [("version=1", "version=2"), ("uid=1000", "uid=x"), ("%0a", "%zz")] {
            assert_eq!(parse(&text("").replace(from, to)), None, "{to}");
        }
    }

    #[test]
    fn a_record_says_what_came_later_only_when_it_has() {
        for (rest, agent) in [("", None), ("agent=-1\n", None), ("agent=x\n", None), ("agent=7\n", Some(7))] {
            assert_eq!(parse(&text(rest)).unwrap().agent, agent, "{rest}");
        }
        assert_eq!(parse(&text("agent=7\nclosed=1\n")).unwrap().login, LoginState::Closed);
    }

    #[test]
    fn a_session_is_named_by_a_descriptor_that_is_its_record() {
        let named = |link: &str| session_of(Path::new(link)).map(str::to_owned);
        for link in [format!("{SESSIONS}/{ID}"), format!("{SESSIONS}/{ID} (deleted)")] {
            assert_eq!(named(&link).as_deref(), Some(ID), "{link}");
        }
        for other in [
            "/dev/null",
            "pipe:[1]",
            &format!("/tmp/{ID}"),
            &format!("{SESSIONS}/.{ID}"),
            &format!("{SESSIONS}/x/{ID}"),
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn a_record_stays_while_a_process_holds_it_whatever_it_says() {
        let path = Scratch::new();
        let directory = Directory::open(&path, geteuid().as_raw()).unwrap().unwrap();
        let named = |digit: &str| ID.replace('1', digit);
        for (name, text) in [
            (ID.to_owned(), text("")),
            (named("2"), text("").replace(ID, &named("2"))),
            (named("3"), "version=2\n".to_owned()),
            // A copy under another name is not that session's.
            (named("4"), text("")),
            (".draft".to_owned(), String::new()),
        ] {
            fs::write(path.join(name), text).unwrap();
        }
        let held: Vec<_> = [ID.to_owned(), named("3"), named("4")]
            .iter()
            .map(|name| Flock::lock(fs::File::open(path.join(name)).unwrap(), FlockArg::LockShared).unwrap())
            .collect();
        let found = live_in(&directory).unwrap();
        assert_eq!(found.iter().map(|record| record.session.as_str()).collect::<Vec<_>>(), [ID]);
        assert!(!path.join(named("2")).exists());
        assert_eq!(fs::read_dir(&*path).unwrap().count(), 4);
        drop(held);
        assert!(live_in(&directory).unwrap().is_empty());
        assert_eq!(fs::read_dir(&*path).unwrap().count(), 1);
    }
}
