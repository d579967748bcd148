//! The runtime directory that all agents of one user on one host share: who is there, who mints, who is last. Touches
//! that directory.
//!
//! Locks are flock(2) on files that their holder may unlink. So a process that gets a lock checks that the name still
//! stands for that file, and starts again if not.

pub(crate) mod accounts;
pub(crate) mod answer;
pub(crate) mod cache;
pub(crate) mod extra_token_files;
pub(crate) mod file_damage;
pub(crate) mod freshness;
pub(crate) mod host_lock;
pub(crate) mod key_ids;
pub(crate) mod last_failure;
mod parsed_files;
pub(crate) mod token_file;
pub(crate) mod token_wanted;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use self::accounts::AccountBook;
use self::cache::Cache;
use self::extra_token_files::ExtraTokenFiles;
use self::last_failure::LastFailures;
use self::parsed_files::ParsedFiles;
use crate::clock;
use crate::directory::{Directory, DirectoryError, failed};
use crate::paths;
use crate::store::KeyId;

/// The directory of the agents' own files.
const AGENTS: &str = "iam-session";
const CACHE: &str = "cache";
/// Held shared by every agent while it lives.
const USERS: &str = "users.lock";
/// Held by whoever mints; only its holder writes the token file.
const MINT: &str = "mint.lock";
/// Held for the microseconds in which the token file is written or removed. An agent removes one that has ended
/// even while a mint waits for a slow issuer.
const FILE: &str = "file.lock";
/// Held by the one mint that derives a key from a passphrase: that fills memory.
const DERIVATION: &str = "kdf.lock";
const LOCK: &str = ".lock";
const SOCKET: &str = ".sock";
/// When a hint was last printed. It outlives the logins of a user who has not enrolled, or each would print it.
pub(crate) const HINT: &str = "hint";

/// An agent on its way out holds the others up for microseconds, or for as long as a crowded machine does not let it
/// run. The module does not wait for all of this: the login goes on, and its agent follows.
const ENTER_PATIENCE: Duration = Duration::from_secs(10);
const ENTER_PAUSE: Duration = Duration::from_millis(2);

/// An agent has a handful of keys.
const MAX_KEYS_HELD: usize = 4096;

/// Nobody holds the lock of the token file for longer than a write to a tmpfs takes.
const FILE_TRIES: u32 = 100;
const FILE_PAUSE: Duration = Duration::from_millis(1);

/// A lock that ends when it is dropped.
pub(crate) type FileLock = Flock<File>;

/// One user's runtime directory, opened.
#[derive(Debug)]
pub(crate) struct RuntimeDirectory {
    pub(crate) places: paths::RuntimePaths,
    /// The runtime directory itself, for the token file.
    pub(crate) top: Directory,
    pub(crate) agents: Directory,
    /// Where that is another one than `agents`.
    host: Option<Directory>,
    pub(crate) cache: Cache,
    accounts: ParsedFiles<AccountBook>,
}

/// What is left of the shared files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemainingFiles {
    /// All of them: somebody needs them.
    All,
    /// Those of a mint in flight, which removes them at its end.
    Minting,
    Nothing,
}

/// What an agent holds while it lives.
#[derive(Debug)]
pub(crate) struct AgentPresence {
    session: String,
    own: FileLock,
    _among_users: FileLock,
}

impl RuntimeDirectory {
    /// Opens the directories, making our own where they are missing.
    ///
    /// # Errors
    /// [`DirectoryError`]: the module made or chose the runtime directory, so it should be there and right.
    pub(crate) fn open(places: paths::RuntimePaths) -> Result<Self, DirectoryError> {
        let path = places.directory();
        let missing = || failed("open", path)(Errno::ENOENT);
        let top = Directory::open(path, places.uid())?.ok_or_else(missing)?;
        let agents = top.subdirectory(AGENTS)?;
        let cache = Cache::new(agents.subdirectory(CACHE)?, boot_id()?);
        let host = host_directory(&places);
        Ok(Self { places, top, agents, host, cache, accounts: ParsedFiles::default() })
    }

    /// Opens the directories as they are, for who only reads; `None` where one is missing. Nobody else can enter them.
    ///
    /// # Errors
    /// [`DirectoryError`]
    pub(crate) fn existing(places: paths::RuntimePaths) -> Result<Option<Self>, DirectoryError> {
        let Some(top) = Directory::open(places.directory(), places.uid())? else { return Ok(None) };
        let Some(agents) = top.private_subdirectory(AGENTS)? else { return Ok(None) };
        let Some(cache) = agents.private_subdirectory(CACHE)? else { return Ok(None) };
        let cache = Cache::new(cache, boot_id()?);
        Ok(Some(Self { places, top, agents, host: None, cache, accounts: ParsedFiles::default() }))
    }

    /// Opens the directories and takes a place among the agents that live, before any file of this one is made.
    ///
    /// # Errors
    /// As [`open`](Self::open), or a lock that cannot be had.
    pub(crate) fn enter(
        places: paths::RuntimePaths,
        session: &str,
    ) -> Result<(Self, AgentPresence), DirectoryError> {
        let mut last = failed("lock", &places.agents().join(USERS))(Errno::EWOULDBLOCK);
        let deadline = clock::boot_time() + ENTER_PATIENCE;
        while clock::boot_time() < deadline {
            // From the start in each round: what the last agent out removes may go between any two steps.
            match Self::try_enter(places.clone(), session) {
                Ok(Some(entered)) => return Ok(entered),
                Ok(None) => {}
                Err(error) if error.is_not_found() => last = error,
                Err(error) => return Err(error),
            }
            thread::sleep(ENTER_PAUSE);
        }
        Err(last)
    }

    fn try_enter(
        places: paths::RuntimePaths,
        session: &str,
    ) -> Result<Option<(Self, AgentPresence)>, DirectoryError> {
        let runtime = Self::open(places)?;
        let locks = || -> Result<_, DirectoryError> {
            let Some(among_users) = try_lock(&runtime.agents, USERS, FlockArg::LockSharedNonblock)? else {
                return Ok(None);
            };
            let own =
                try_lock(&runtime.agents, &format!("{session}{LOCK}"), FlockArg::LockExclusiveNonblock)?;
            Ok(own.map(|own| (among_users, own)))
        };
        let locks = locks();
        // Who left last may have removed the cache since we opened it, if it was of an earlier version, and logind all; with
        // the lock held no agent does.
        if !runtime.top.is_current(AGENTS, &runtime.agents)
            || !runtime.agents.is_current(CACHE, runtime.cache.directory())
        {
            return Ok(None);
        }
        Ok(locks?.map(|(among_users, own)| {
            let presence = AgentPresence { session: session.to_owned(), own, _among_users: among_users };
            (runtime, presence)
        }))
    }

    /// Removes what agents that were killed have left behind.
    pub(crate) fn sweep(&self) -> Result<(), DirectoryError> {
        for name in self.agents.names()? {
            let Some(session) = session_of(&name) else { continue };
            if try_lock(&self.agents, &name, FlockArg::LockExclusiveNonblock)?.is_some() {
                self.remove_session(session)?;
            }
        }
        // An agent of an earlier version that was the last one out knew nothing of these. In this order: a file is
        // written after its name.
        let files = extra_token_files::files(self)?;
        let kept = ExtraTokenFiles::read(&self.agents);
        let wanted: Vec<String> = kept.iter().map(|account| self.places.kept_file_name(account)).collect();
        files.iter().filter(|file| !wanted.contains(file)).try_for_each(|file| self.top.remove(file))
    }

    /// What the last look at the store wrote; nothing is known where nobody has looked.
    pub(crate) fn accounts(&self) -> Rc<AccountBook> {
        let name = || accounts::NAME.to_owned();
        self.accounts.read(&self.agents, |_| true, name, accounts::MAX_FILE).unwrap_or_default()
    }

    /// Lets go of all that was read.
    pub(crate) fn forget_parsed(&self) {
        self.accounts.forget();
        self.cache.forget_parsed();
    }

    /// The lock of whoever mints; `None` while somebody else does.
    pub(crate) fn try_lock_mint(&self) -> Result<Option<FileLock>, DirectoryError> {
        try_lock(&self.agents, MINT, FlockArg::LockExclusiveNonblock)
    }

    /// The lock of whoever derives a key; `None` while somebody else does.
    pub(crate) fn try_lock_derivation(&self) -> Result<Option<FileLock>, DirectoryError> {
        try_lock(&self.agents, DERIVATION, FlockArg::LockExclusiveNonblock)
    }

    /// The ids of the keys that living agents have, in hexadecimal. Best effort: one that cannot be asked has none.
    pub(crate) fn keys_held(&self) -> Vec<String> {
        let lives = |name: &String| {
            session_of(name).is_some()
                && matches!(try_lock(&self.agents, name, FlockArg::LockSharedNonblock), Ok(None))
        };
        let names = self.agents.names().unwrap_or_default();
        let files = names.iter().filter(|name| lives(name)).map(|name| self.agents.read(name, MAX_KEYS_HELD));
        let texts = files.filter_map(|file| String::from_utf8(file.ok()??).ok());
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// The lock of the token file.
    ///
    /// # Errors
    /// [`DirectoryError`], also if its holder keeps it for far longer than it may.
    pub(crate) fn lock_file(&self) -> Result<FileLock, DirectoryError> {
        for _ in 0..FILE_TRIES {
            if let Some(lock) = try_lock(&self.agents, FILE, FlockArg::LockExclusiveNonblock)? {
                return Ok(lock);
            }
            thread::sleep(FILE_PAUSE);
        }
        Err(failed("lock", &self.agents.path().join(FILE))(Errno::EWOULDBLOCK))
    }

    /// What outlives the last login on this host: the last failures, and the stamp of the hints.
    pub(crate) fn host_directory(&self) -> &Directory {
        self.host.as_ref().unwrap_or(&self.agents)
    }

    /// What stands against a record.
    pub(crate) fn last_failures<'a>(&'a self, record_id: &'a str) -> LastFailures<'a> {
        let otherwise = self.host.is_some().then_some(&self.agents);
        LastFailures { directory: self.host_directory(), otherwise, record_id, boot_id: self.cache.boot_id() }
    }

    /// Whether the agent of this session lives.
    pub(crate) fn is_present(&self, session: &str) -> bool {
        // Shared: it keeps nobody from anything for longer than a moment, and makes no file.
        let file = self.agents.locked_file(&format!("{session}{LOCK}"));
        let Ok(Some(file)) = file else { return false };
        matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
    }

    /// Whether no agent of the user lives on this host.
    pub(crate) fn is_deserted(&self) -> bool {
        // Only asked by a mint that may have outlived its agent; a lock that cannot be opened is one that is gone.
        !matches!(try_lock(&self.agents, USERS, FlockArg::LockExclusiveNonblock), Ok(None))
    }

    /// Ends this agent's presence, and that of everything shared if it was the last.
    ///
    /// # Errors
    /// [`DirectoryError`]; what could be removed has been.
    pub(crate) fn leave(&self, presence: AgentPresence) -> Result<(), DirectoryError> {
        let removed = self.remove_session(&presence.session);
        drop(presence);
        removed.and_then(|()| self.clear_if_deserted()).map(|_| ())
    }

    /// Removes everything shared if no agent lives. While somebody mints only the tokens go; the rest is removed
    /// by the mint at its end.
    ///
    /// # Errors
    /// [`DirectoryError`]; what could be removed has been.
    pub(crate) fn clear_if_deserted(&self) -> Result<RemainingFiles, DirectoryError> {
        match self.try_clear() {
            // Somebody else was the last a moment ago, and has removed it all.
            Err(error) if error.is_not_found() => Ok(RemainingFiles::Nothing),
            done => done,
        }
    }

    fn try_clear(&self) -> Result<RemainingFiles, DirectoryError> {
        let Some(_users) = try_lock(&self.agents, USERS, FlockArg::LockExclusiveNonblock)? else {
            return Ok(RemainingFiles::All);
        };
        let file = self.lock_file()?;
        let removed = self.remove_token_files();
        drop(file);
        // The last agent may have been of an earlier version, and have removed the cache.
        match self.cache.clear() {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        let Some(_mint) = self.try_lock_mint()? else {
            return removed.map(|()| RemainingFiles::Minting);
        };
        for name in self.agents.names()? {
            if ![HINT, CACHE, USERS].contains(&name.as_str()) && !self.still_spares_an_issuer(&name) {
                self.agents.remove(&name)?;
            }
        }
        // Last: from here on an agent that enters makes one of its own, and what it makes is not ours to remove. The
        // directory stays: an agent of the user's in another runtime directory may have it open as its host directory. So
        // does the cache's: a mint that waits for a lock or an issuer may have it open, and works for whoever logs in next.
        self.agents.remove(USERS)?;
        removed.map(|()| RemainingFiles::Nothing)
    }

    /// Removes every token, whatever other agents of the user are doing, and whoever holds a lock: any program of the
    /// user's can.
    ///
    /// # Errors
    /// [`DirectoryError`]; what could be removed has been.
    pub(crate) fn remove_tokens(&self) -> Result<(), DirectoryError> {
        let _best_effort = self.lock_file();
        let files = self.remove_token_files();

        self.cache.clear().and(files)
    }

    fn remove_token_files(&self) -> Result<(), DirectoryError> {
        let name = self.places.token_file_name();
        // One that the user has put a directory in the place of must not keep the tokens elsewhere.
        let mut removed = token_file::take_away(self, &name);
        for kept in extra_token_files::files(self)? {
            removed = self.top.remove(&kept).and(removed);
        }
        // Of a process that was killed in the middle; the names of the kept ones begin with this one.
        self.top.remove_drafts(&name).and(removed)
    }

    fn still_spares_an_issuer(&self, name: &str) -> bool {
        last_failure::still_holds(&self.agents, name, self.cache.boot_id(), clock::boot_time())
    }

    fn remove_session(&self, session: &str) -> Result<(), DirectoryError> {
        self.agents.remove(&format!("{session}{SOCKET}"))?;
        self.agents.remove(&format!("{session}{LOCK}"))
    }
}

impl AgentPresence {
    /// Tells the user's other agents which keys this one has: by their ids alone, in the file it holds the lock of.
    pub(crate) fn tell_keys<'k>(&self, keys: impl Iterator<Item = &'k KeyId>) -> io::Result<()> {
        let text: String = keys.map(|key| key.to_hexadecimal() + "\n").collect();
        // In this order nobody who reads it meanwhile misses a key that stays.
        self.own.write_all_at(text.as_bytes(), 0)?;
        self.own.set_len(text.len() as u64)
    }
}

fn boot_id() -> Result<String, DirectoryError> {
    clock::boot_id().map_err(failed("read", Path::new("/proc/sys/kernel/random/boot_id")))
}

/// Best effort: without the module's directory, what is remembered goes with the runtime directory.
fn host_directory(places: &paths::RuntimePaths) -> Option<Directory> {
    let path = places.host_directory();
    if path == places.directory() {
        return None;
    }
    Directory::open(&path, places.uid()).ok()??.subdirectory(AGENTS).ok()
}

/// The session that an agent holds this lock for.
fn session_of(name: &str) -> Option<&str> {
    name.strip_suffix(LOCK).filter(|_| ![USERS, MINT, FILE, DERIVATION].contains(&name))
}

/// Takes a lock without waiting; `None` while somebody else holds it.
fn try_lock(directory: &Directory, name: &str, how: FlockArg) -> Result<Option<FileLock>, DirectoryError> {
    loop {
        match Flock::lock(directory.lock_file(name)?, how) {
            Ok(lock) if directory.is_current(name, &*lock) => return Ok(Some(lock)),
            // Unlinked while we opened it: the next round makes or finds another.
            Ok(_) => {}
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, Errno::EINTR)) => {}
            Err((_, errno)) => return Err(failed("lock", &directory.path().join(name))(errno)),
        }
    }
}

#[cfg(test)]
mod tests;
