//! `iam-session-admin read-files`: reads a user's files for root. Touches the directories that it is told, through
//! descriptors; follows no link in them, and waits for no FIFO.
//!
//! The user may do anything to these files meanwhile. So number, sizes and times are bounded, here or by the process
//! that started this one. Nothing is believed. Owner and mode do not matter, because only bytes are handed over.

use crate::protocol::Failure;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use data_encoding::BASE64;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use zeroize::Zeroizing;

use super::{FilesOf, FoundFile, LiveToken, Order, ReaderTask, Sealed, Skipped};
use crate::admin::hand_over;
use crate::admin::subprocess::{MAX_LINE, Orders};
use crate::clock::{boot_time, unix_time};
use crate::outcome::{Exit, Outcome, Stop};
use crate::paths::RuntimePaths;
use crate::runtime::cache::{CachedToken, MAX_ENTRIES};
use crate::store::{MAX_RECORD, RECORD_MAGIC, account_of, flow_of, record_name};

/// As errors name it.
pub(super) const COMMAND: &str = "iam-session-admin read-files";
/// Names in one directory that are of any interest.
const MAX_LISTED: usize = 10_000;
/// Entries of one directory that are looked at for such names: a second or two.
const MAX_SEEN: usize = 1_000_000;
/// Records that are handed over, and all their bytes: a user has a handful, of one or two KiB each.
const MAX_RECORDS: usize = 1000;
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Skipped files that are named one by one.
const MAX_NAMED: usize = 16;
/// An entry of the cache, as agents write it.
const MAX_TOKEN: usize = 32 * 1024;
/// Longer than the kernel lets a lease hold up an open (45 s), and shorter than root waits.
const PATIENCE_LEASE: Duration = Duration::from_secs(55);
const PAUSE: Duration = Duration::from_millis(5);

/// What lies in a record's place.
enum Read {
    Bytes(Vec<u8>),
    /// Somebody has a lease on it.
    Leased,
    /// It is none.
    Other,
    /// Nothing.
    Gone,
    /// It may be one, and cannot be read.
    Not(String),
}

pub(in crate::admin) fn run() -> Outcome {
    let order: Order =
        Orders::from_standard_input().next().map_err(|error| Failure::failed(error.to_string()))?;
    order.system.become_reader(order.files)?;
    match order.task {
        ReaderTask::Clear { runtime } => {
            runtime.iter().try_for_each(|directory| clear(directory, order.files))?
        }
        ReaderTask::Records { store, first } => records(&store, &first)?,
    }
    tell(&FoundFile::Done)?;
    Ok(Exit::Done)
}

fn tell(found: &FoundFile) -> Result<(), Stop> {
    hand_over(found, MAX_LINE)
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn subdirectory(directory: &OwnedFd, name: &str) -> nix::Result<OwnedFd> {
    openat(directory, name, directory_flags(), Mode::empty())
}

/// Sorted, and no more than there ought to be.
fn names(directory: impl AsFd) -> nix::Result<Vec<OsString>> {
    listed(directory, |_| true).map(|(names, _)| names)
}

/// The names that are wanted, sorted, and whether that may not be all of them.
fn listed(directory: impl AsFd, wanted: impl Fn(&OsStr) -> bool) -> nix::Result<(Vec<OsString>, bool)> {
    let mut listed = Dir::openat(directory, ".", directory_flags(), Mode::empty())?;
    let mut names = Vec::new();
    for (number, entry) in listed.iter().flatten().enumerate() {
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let is_wanted = name != "." && name != ".." && wanted(name);
        if number > MAX_SEEN || (is_wanted && names.len() == MAX_LISTED) {
            names.sort();
            return Ok((names, true));
        }
        if is_wanted {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok((names, false))
}

fn open_file(directory: impl AsFd, name: &OsStr) -> nix::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    openat(directory, name, flags, Mode::empty()).map(File::from)
}

/// At most `limit` bytes and one more, of a regular file.
fn bytes_of(file: File, limit: usize) -> Option<Vec<u8>> {
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Tells the tokens of a runtime directory, and removes what agents have left there. All of them have ended.
fn clear(path: &Path, files: FilesOf) -> Result<(), Stop> {
    let top = match open(path, directory_flags(), Mode::empty()) {
        Ok(top) => top,
        Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => return tell(&FoundFile::Unreadable(format!("{}: {}", path.display(), errno.desc()))),
    };
    let places = RuntimePaths::new(path, files.uid);
    let token_file = places.token_file_name();
    if let Ok(agents) = subdirectory(&top, AGENTS) {
        if let Ok(cache) = subdirectory(&agents, CACHE) {
            for token in tokens_of(&cache) {
                // One that no line has room for must not keep the others, and itself, from being removed.
                let _ = tell(&FoundFile::Token(token));
            }
            remove(&cache, |_| true);
        }
        let _ = unlinkat(&agents, CACHE, UnlinkatFlags::RemoveDir);
        remove(&agents, |_| true);
    }
    let _ = unlinkat(&top, AGENTS, UnlinkatFlags::RemoveDir);
    // The session's, those of single accounts, and what was to become one.
    remove(&top, |name| name.trim_start_matches('.').starts_with(&token_file));
    Ok(())
}

/// Below a runtime directory, and below that.
const AGENTS: &str = "iam-session";
const CACHE: &str = "cache";

fn tokens_of(cache: &OwnedFd) -> Vec<LiveToken> {
    let read = |name: OsString| -> Option<CachedToken> {
        let bytes = Zeroizing::new(bytes_of(open_file(cache, &name).ok()?, MAX_TOKEN)?);
        serde_json::from_slice(&bytes).ok()
    };
    let now = unix_time();
    let names = names(cache).unwrap_or_default();
    let living = names.into_iter().filter_map(read).filter(|token| token.expires_at > now);
    living
        .take(MAX_ENTRIES)
        .map(|token| LiveToken {
            issuer: token.issuer,
            scope: token.granted,
            audience: token.wanted.audience,
            expires_at: token.expires_at,
            jti: token.jti,
        })
        .collect()
}

/// Best effort: what cannot be removed lies there still.
fn remove(directory: &OwnedFd, unwanted: impl Fn(&str) -> bool) {
    for name in names(directory).unwrap_or_default() {
        if name.to_str().is_none_or(&unwanted) {
            let _ = unlinkat(directory, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Hands over what may be a record. What somebody has a lease on comes last.
fn records(path: &Path, first: &[String]) -> Result<(), Stop> {
    let is_record = |name: &OsStr| name.to_str().and_then(whose).is_some();
    let opened = open(path, directory_flags(), Mode::empty());
    let ((names, are_more), store) = match opened.and_then(|store| Ok((listed(&store, is_record)?, store))) {
        Ok(listed) => listed,
        Err(Errno::ENOENT) => return tell(&FoundFile::NoStore),
        Err(errno) => return tell(&FoundFile::Unreadable(format!("{}: {}", path.display(), errno.desc()))),
    };
    if are_more {
        // What is not among the first of them is not looked at.
        tell(&FoundFile::Unreadable("it has too many files: not all of them were looked at".to_owned()))?;
    }
    let mut told = HandedOver::default();
    let mut leased: Vec<(String, OsString)> = Vec::new();
    for (account, name) in in_order(names, first) {
        match read(&store, &name) {
            Read::Leased => leased.push((account, name)),
            read => told.take(account, &name, read)?,
        }
    }
    let deadline = boot_time() + PATIENCE_LEASE;
    while let Some((account, name)) = leased.pop() {
        let mut now = read(&store, &name);
        while matches!(now, Read::Leased) && boot_time() < deadline {
            thread::sleep(PAUSE);
            now = read(&store, &name);
        }
        told.take(account, &name, now)?;
    }
    told.end()
}

/// The account of a record by its file's name; a client that waits for an approval has none yet.
fn whose(name: &str) -> Option<String> {
    let waiting = || flow_of(name).map(|flow| format!("{flow}, not approved yet"));
    account_of(name).map(str::to_owned).or_else(waiting)
}

/// Each with its account, those of `first` before the others, and also where the directory has too many names.
fn in_order(names: Vec<OsString>, first: &[String]) -> Vec<(String, OsString)> {
    let mut all: Vec<_> =
        first.iter().map(|account| (account.clone(), OsString::from(record_name(account)))).collect();
    let listed = names.into_iter().filter_map(|name| Some((whose(name.to_str()?)?, name)));
    let (site, others): (Vec<_>, Vec<_>) = listed.partition(|(account, _)| first.contains(account));
    let known = all.clone();
    all.extend(site.into_iter().filter(|file| !known.contains(file)).chain(others));
    all
}

fn read(store: &OwnedFd, name: &OsStr) -> Read {
    match open_file(store, name) {
        Ok(file) => match bytes_of(file, MAX_RECORD) {
            None => Read::Other,
            // Room for a record that was to come, a file of somebody's.
            Some(bytes) if !bytes.starts_with(RECORD_MAGIC) => Read::Other,
            Some(bytes) if bytes.len() > MAX_RECORD => Read::Not("it is too large".to_owned()),
            Some(bytes) => Read::Bytes(bytes),
        },
        Err(Errno::EAGAIN) => Read::Leased,
        Err(Errno::ENOENT) => Read::Gone,
        // A link, a socket or a device without a driver.
        Err(Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => Read::Other,
        Err(errno) => Read::Not(errno.desc().to_owned()),
    }
}

/// What has been handed over so far.
#[derive(Default)]
struct HandedOver {
    records: BTreeSet<Vec<u8>>,
    bytes: usize,
    others: usize,
    skipped: usize,
}

impl HandedOver {
    fn take(&mut self, account: String, name: &OsStr, read: Read) -> Result<(), Stop> {
        match read {
            Read::Gone => Ok(()),
            Read::Bytes(bytes) if self.records.contains(&bytes) => Ok(()),
            Read::Bytes(bytes)
                if self.records.len() < MAX_RECORDS && self.bytes + bytes.len() <= MAX_BYTES =>
            {
                tell(&FoundFile::Record(Sealed { account, file: BASE64.encode(&bytes) }))?;
                self.bytes += bytes.len();
                self.records.insert(bytes);
                Ok(())
            }
            Read::Bytes(_) => self.skip(name, "there are too many records".to_owned()),
            Read::Leased => self.skip(name, "a process has a lease on it".to_owned()),
            Read::Not(why) => self.skip(name, why),
            Read::Other => {
                self.others += 1;
                Ok(())
            }
        }
    }

    fn skip(&mut self, name: &OsStr, why: String) -> Result<(), Stop> {
        self.skipped += 1;
        if self.skipped > MAX_NAMED {
            return Ok(());
        }
        tell(&FoundFile::Skipped(Skipped { name: name.to_string_lossy().into_owned(), why }))
    }

    fn end(self) -> Result<(), Stop> {
        if let more @ 1.. = self.skipped.saturating_sub(MAX_NAMED) {
            let name = format!("{more} more files");
            tell(&FoundFile::Skipped(Skipped { name, why: "for the same or other reasons".to_owned() }))?;
        }
        tell(&FoundFile::Others(self.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::directory::Directory;
    use crate::line;
    use crate::runtime::cache::{Cache, CacheKey, TokenReply};
    use crate::scope::ScopeSet;
    use crate::scratch::Scratch;
    use crate::secret::Secret;

    #[test]
    fn the_largest_record_fits_into_a_line() {
        let account = "a".repeat(255);
        let found = FoundFile::Record(Sealed { account, file: BASE64.encode(&vec![0; MAX_RECORD]) });
        assert!(line::encode(&found, MAX_LINE).is_ok());
    }

    #[test]
    fn as_many_tokens_are_told_as_a_cache_holds() {
        let scratch = Scratch::new();
        let directory = Directory::open(&scratch, nix::unistd::geteuid().as_raw()).unwrap().unwrap();
        let cache = Cache::new(directory, "boot".into());
        let now = Now::read();
        for number in 0..MAX_ENTRIES {
            let scope = ScopeSet::parse(&number.to_string());
            let token = CachedToken {
                wanted: CacheKey { record_id: "01".into(), scope: scope.clone(), audience: String::new() },
                access_token: Secret::new("access".into()),
                granted: scope,
                issuer: "https://iam.example/".into(),
                boot_id: "boot".into(),
                issued: now.boot,
                ends: now.boot + Duration::from_secs(3600),
                expires_at: now.unix + 3600,
                jti: None,
                reply: TokenReply::default(),
            };
            cache.put(&token, now).unwrap();
        }
        let opened = open(&*scratch, directory_flags(), Mode::empty()).unwrap();
        assert_eq!(tokens_of(&opened).len(), MAX_ENTRIES);
    }

    #[test]
    fn other_files_hide_no_record() {
        let directory = Scratch::new();
        let touch = |name: &str| drop(File::create(directory.join(name)).unwrap());
        let waiting = format!("{}-1700000000.pending", "f".repeat(32));
        [&waiting, "z.cred"].into_iter().for_each(touch);
        (0..=MAX_LISTED).for_each(|number| touch(&number.to_string()));
        let opened = || open(&*directory, directory_flags(), Mode::empty()).unwrap();
        let (all, are_more) = listed(opened(), |_| true).unwrap();
        assert_eq!((all.len(), are_more), (MAX_LISTED, true), "and that there are more is known");
        let records = listed(opened(), |name| name.to_str().and_then(whose).is_some()).unwrap();
        assert_eq!(records, (vec![waiting.into(), "z.cred".into()], false));
    }

    #[test]
    fn what_the_site_names_comes_first() {
        let names = ["a.cred", "b.cred", "wlcg.cred", ".wlcg.cred.1", "x"].map(OsString::from);
        let order: Vec<_> = in_order(names.to_vec(), &["wlcg".to_owned(), "z".to_owned()])
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        assert_eq!(order, ["wlcg.cred", "z.cred", ".wlcg.cred.1", "a.cred", "b.cred"]);
    }
}
