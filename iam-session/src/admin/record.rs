//! The records that the module writes of sessions: PROTOCOL.md, section 7. Touches /run/iam-session/sessions.

use std::path::Path;

use super::process::Identity;
use crate::directory::{Directory, DirectoryError};

const SESSIONS: &str = "/run/iam-session/sessions";
const ROOT: u32 = 0;
/// Eight lines, the longest of three times 256 bytes.
const MAX_RECORD: usize = 4096;
const VERSION: &str = "1";

/// What the module wrote at a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) session: String,
    pub(super) user: String,
    pub(super) uid: u32,
    pub(super) service: String,
    /// PAM_RHOST; empty where there is none.
    pub(super) remote: String,
    pub(super) agent: Identity,
}

/// All records of agents that live. Those of others are removed: nobody closed their sessions.
pub(super) fn live() -> Result<Vec<Record>, DirectoryError> {
    match Directory::open(Path::new(SESSIONS), ROOT)? {
        None => Ok(Vec::new()),
        Some(directory) => live_in(&directory),
    }
}

fn live_in(directory: &Directory) -> Result<Vec<Record>, DirectoryError> {
    let mut records = Vec::new();
    for name in directory.names()?.into_iter().filter(|name| is_session_id(name)) {
        let record =
            directory.read(&name, MAX_RECORD)?.and_then(|bytes| parse(&String::from_utf8(bytes).ok()?));
        // One that we cannot read is of a later version, or root's own doing: it stays.
        let Some(record) = record.filter(|record| record.session == name) else { continue };
        if record.agent.lives() {
            records.push(record);
        } else {
            directory.remove(&name)?;
        }
    }
    Ok(records)
}

/// 32 lower-case hexadecimal digits.
pub(super) fn is_session_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn parse(text: &str) -> Option<Record> {
    let field = |wanted: &str| {
        let fields = text.lines().filter_map(|line| line.split_once('='));
        fields.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    if field("version")? != VERSION {
        return None;
    }
    Some(Record {
        session: field("session")?.to_owned(),
        user: unescaped(field("user")?)?,
        uid: field("uid")?.parse().ok()?,
        service: unescaped(field("service")?)?,
        remote: unescaped(field("remote")?)?,
        agent: Identity {
            pid: field("agent")?.parse().ok().filter(|pid| *pid > 0)?,
            start: field("agent_start")?.parse().ok()?,
        },
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

    const ID: &str = "4f2c0000000000000000000000000001";

    fn text(agent: Identity) -> String {
        format!(
            "version=1\nsession={ID}\nuid=1000\nagent={}\nagent_start={}\nuser=alice\nservice=sshd\nremote=a%0ab\nlater=x\n",
            agent.pid, agent.start
        )
    }

    #[test]
    fn a_record_is_read_and_what_is_unknown_skipped() {
        let agent = Identity { pid: 42, start: 4711 };
        let record = parse(&text(agent)).unwrap();
        assert_eq!((record.session.as_str(), record.uid, record.agent), (ID, 1000, agent));
        assert_eq!(
            (record.user.as_str(), record.service.as_str(), record.remote.as_str()),
            ("alice", "sshd", "a\nb")
        );
        for (from, to) in
            [("version=1", "version=2"), ("uid=1000", "uid=x"), ("agent=42", "agent=-1"), ("%0a", "%zz")]
        {
            assert_eq!(parse(&text(agent).replace(from, to)), None, "{to}");
        }
    }

    #[test]
    fn records_of_the_dead_are_swept_and_what_is_not_understood_is_left() {
        let path = std::env::temp_dir().join(format!("iam-session-records-{}", std::process::id()));
        let directory = Directory::create(&path, geteuid().as_raw()).unwrap();
        let me = Identity::of(std::process::id().try_into().unwrap()).unwrap();
        let other = ID.replace('1', "2");
        for (name, text) in [
            (ID, text(me)),
            (&other, text(Identity { start: me.start + 1, ..me }).replace(ID, &other)),
            (&ID.replace('1', "3"), "version=2\n".to_owned()),
            // A copy under another name is not that session's.
            (&ID.replace('1', "4"), text(me)),
            (".draft", String::new()),
        ] {
            fs::write(path.join(name), text).unwrap();
        }
        let found = live_in(&directory).unwrap();
        assert_eq!(found.iter().map(|record| record.session.as_str()).collect::<Vec<_>>(), [ID]);
        assert!(!path.join(&other).exists());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 4);
        fs::remove_dir_all(&path).unwrap();
    }
}
