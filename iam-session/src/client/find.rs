//! Finds where an agent of this user may be listening. Lists directories, and trusts only the user's own.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{SysconfVar, geteuid, gethostname, getsid, sysconf};

use super::ClientError;
use crate::host::process_stat::ProcessStat;
use crate::paths::{ENV_SOCKET, RUN, RuntimePaths};

/// Below the home directory; a directory a host is below it.
const STATE: &str = ".local/state/iam-session-run";

/// The module waits 300 ms at most for an agent, and a host that is very busy takes this long to start one.
const START: Duration = Duration::from_secs(10);

/// What says where sockets are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    uid: u32,
    socket: Option<PathBuf>,
    runtime: Option<PathBuf>,
    /// Where `iam-session start` has its agents without a runtime directory.
    below_home: Option<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub(crate) fn of_environment() -> Self {
        let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            uid: geteuid().as_raw(),
            socket: path(ENV_SOCKET),
            runtime: path("XDG_RUNTIME_DIR"),
            below_home: None,
        }
    }

    /// The same and one below the home, for what is meant for all agents. A home may be long in answering.
    pub(crate) fn with_home() -> Self {
        let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        Self { below_home: home.and_then(|home| state_directory(&home)), ..Self::of_environment() }
    }

    /// The user.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// The socket that the environment names, if it does.
    pub(crate) fn named(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Whether the agent of this session may still be starting: the session is young, and the module has made the place for
    /// a socket that is not there. `leader`: of [`session_leader`]. `now`: since boot.
    pub(super) fn is_agent_to_come(&self, leader: Option<ProcessStat>, now: Duration) -> bool {
        let (Some(socket), Some(leader)) = (&self.socket, leader) else { return false };
        let is_expected = || socket.ancestors().nth(2).is_some_and(Path::is_dir);
        let is_missing = fs::symlink_metadata(socket).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let is_young = || age(leader, now).is_some_and(|age| age < START);
        is_missing && is_expected() && is_young() && !is_inherited(leader, socket)
    }

    /// Sockets to try, the likeliest first. Lazy: a session with a live agent lists no directory.
    pub(super) fn candidates(&self) -> impl Iterator<Item = PathBuf> {
        let named = self.socket.clone();
        let known = self.socket.clone();
        let others = self.directories().flat_map(|directory| sockets(&directory, self.uid));
        named.into_iter().chain(others.filter(move |path| Some(path) != known.as_ref()))
    }

    /// The sockets of all agents that may be the user's on this host.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        self.candidates().collect()
    }

    /// Asks one agent that lives in each of the user's directories on this host but that of `path`: what agents know of a
    /// lock is a file there. Gives back the agents that failed in a directory in which none did it. Of an agent that was
    /// killed only the socket is left.
    pub(crate) fn ask_in_other_directories(
        &self,
        path: &Path,
        mut ask: impl FnMut(&Path) -> Result<(), ClientError>,
    ) -> Vec<(PathBuf, ClientError)> {
        let mut done: Option<PathBuf> = None;
        let mut failed: Vec<(PathBuf, ClientError)> = Vec::new();
        for socket in self.all() {
            let directory = socket.parent();
            if directory == path.parent() || directory == done.as_deref() {
                continue;
            }
            match ask(&socket) {
                Ok(()) => {
                    failed.retain(|(other, _)| other.parent() != directory);
                    done = directory.map(Path::to_owned);
                }
                Err(ClientError::Dead { .. }) => {}
                Err(error) => failed.push((socket, error)),
            }
        }
        failed
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        let siblings = self.socket.as_deref().and_then(Path::parent).map(Path::to_owned);
        // Any other value would be somebody's idea of where we should look.
        let logind = PathBuf::from(format!("/run/user/{}", self.uid));
        let runtime = self.runtime.clone().filter(|directory| *directory == logind);
        let own = Path::new(RUN).join(self.uid.to_string());
        let agents = [runtime, Some(own), self.below_home.clone()].into_iter().flatten();
        let agents = agents.map(|directory| RuntimePaths::new(directory, self.uid).agents());
        let first = siblings.clone();
        siblings.into_iter().chain(agents.filter(move |directory| Some(directory) != first.as_ref()))
    }
}

/// The first process of this one's session (setsid(2)). Where sshd has made it, it is as old as the login. `None` where it
/// has ended, or is not ours to see, as at the entrance of a container.
pub(super) fn session_leader() -> Option<ProcessStat> {
    ProcessStat::of(getsid(None).ok()?.as_raw().try_into().ok()?)
}

fn age(process: ProcessStat, now: Duration) -> Option<Duration> {
    let ticks: u64 = sysconf(SysconfVar::CLK_TCK).ok()??.try_into().ok()?;
    let started = process.started.saturating_mul(1000).checked_div(ticks)?;
    Some(now.saturating_sub(Duration::from_millis(started)))
}

/// Whether what began this session had the variable already, as for each terminal of tmux(1): the login is older than they
/// are. Of a login's own first process it is sshd, which has none, and which its user cannot look at.
fn is_inherited(leader: ProcessStat, socket: &Path) -> bool {
    let setting = [ENV_SOCKET.as_bytes(), b"=", socket.as_os_str().as_bytes()].concat();
    let parents = fs::read(format!("/proc/{}/environ", leader.parent));
    parents.is_ok_and(|parents| parents.split(|byte| *byte == 0).any(|one| *one == *setting))
}

/// The runtime directory of this host below a home.
pub(crate) fn state_directory(home: &Path) -> Option<PathBuf> {
    let host = gethostname().ok()?.into_string().ok()?;
    let is_file_name =
        !host.is_empty() && !host.starts_with('.') && !host.contains(|c: char| c == '/' || c.is_control());
    is_file_name.then(|| home.join(STATE).join(host))
}

/// The agents' sockets in `directory`, if it is the user's and nobody else's.
pub(crate) fn sockets(directory: &Path, uid: u32) -> Vec<PathBuf> {
    let private = fs::symlink_metadata(directory)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o077 == 0);
    let entries = if private { fs::read_dir(directory).ok() } else { None };
    let mut found: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_socket(path))
        .collect();
    found.sort();
    found
}

/// `<session id>.sock`: other sockets may lie there that speak another protocol.
fn is_socket(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".sock"));
    name.is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests {
    use std::fs::{DirBuilder, File};
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

    use super::*;
    use crate::clock::boot_time;
    use crate::scratch::Scratch;

    /// A private directory with the named files.
    fn directory(files: &[&str]) -> Scratch {
        let scratch = Scratch::new();
        for file in files {
            scratch.write(file, "");
        }
        scratch
    }

    const A: &str = "0123456789abcdef0123456789abcdea.sock";
    const B: &str = "0123456789abcdef0123456789abcdeb.sock";

    fn names(directory: &Path, socket: &str) -> Vec<String> {
        let uid = geteuid().as_raw();
        let places = Places { uid, socket: Some(directory.join(socket)), runtime: None, below_home: None };
        let below = places.candidates().filter(|path| path.starts_with(directory));
        below.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_sessions_own_socket_comes_first_and_once() {
        let other = "0123456789abcdef0123456789abcdea.oidc.sock";
        let directory = directory(&[A, B, other, "mint.lock", "x.sock"]);
        let found = names(&directory, B);
        assert_eq!(found, [B, A]);
    }

    #[test]
    fn one_living_agent_in_each_other_directory_is_asked() {
        let own = directory(&[A]);
        let home = directory(&[]);
        let other = RuntimePaths::new(&*home, geteuid().as_raw()).agents();
        DirBuilder::new().mode(0o700).create(&other).unwrap();
        for socket in [A, B] {
            File::create(other.join(socket)).unwrap();
        }
        let places = Places {
            uid: geteuid().as_raw(),
            socket: Some(own.join(A)),
            runtime: None,
            below_home: Some(home.to_owned()),
        };
        let ask = |first: fn(PathBuf) -> Result<(), ClientError>| {
            let mut asked = Vec::new();
            let failed = places.ask_in_other_directories(&own.join(A), |path| {
                // On the host that the test runs on root may have agents.
                if !path.starts_with(&other) {
                    return Ok(());
                }
                asked.push(path.to_owned());
                if path.ends_with(A) { first(path.to_owned()) } else { Ok(()) }
            });
            (asked, failed.len())
        };
        assert_eq!(ask(|_| Ok(())), (vec![other.join(A)], 0));
        // What a killed agent has left hides no living one; nor does one that does not answer.
        assert_eq!(ask(|path| Err(ClientError::Dead { path })), (vec![other.join(A), other.join(B)], 0));
        assert_eq!(ask(|path| Err(ClientError::Silent { path })), (vec![other.join(A), other.join(B)], 0));
    }

    #[test]
    fn an_agent_is_to_come_in_a_young_session_that_has_a_place_for_its_socket() {
        let uid = geteuid().as_raw();
        let runtime = directory(&[]);
        let socket = RuntimePaths::new(&*runtime, uid).agents().join(A);
        // Not the leader of this process's own session, which a container does not show.
        let leader = ProcessStat::of(std::process::id()).unwrap();
        let begun = boot_time().saturating_sub(age(leader, boot_time()).unwrap());
        let of = |socket: Option<&Path>| Places {
            uid,
            socket: socket.map(Path::to_owned),
            runtime: None,
            below_home: None,
        };
        let is_to_come =
            |socket: Option<&Path>, age: Duration| of(socket).is_agent_to_come(Some(leader), begun + age);
        let young = START / 2;
        assert!(is_to_come(Some(&socket), young));
        assert!(!is_to_come(Some(&socket), START + young) && !is_to_come(None, young));
        assert!(!of(Some(&socket)).is_agent_to_come(None, begun + young));
        DirBuilder::new().mode(0o700).create(socket.parent().unwrap()).unwrap();
        File::create(&socket).unwrap();
        assert!(!is_to_come(Some(&socket), young));
        drop(runtime);
        assert!(!is_to_come(Some(&socket), young));
    }

    #[test]
    fn a_directory_that_others_can_enter_is_not_searched() {
        let directory = directory(&[A, B]);
        fs::set_permissions(&*directory, fs::Permissions::from_mode(0o710)).unwrap();
        let found = names(&directory, B);
        assert_eq!(found, [B]);
    }

    #[test]
    fn only_the_users_own_runtime_directory_is_believed() {
        let places = |runtime: &str| Places {
            uid: 1000,
            socket: None,
            runtime: Some(runtime.into()),
            below_home: None,
        };
        let own = Path::new("/run/iam-session/1000/iam-session");
        assert_eq!(
            places("/run/user/1000").directories().collect::<Vec<_>>(),
            [Path::new("/run/user/1000/iam-session"), own]
        );
        assert_eq!(places("/tmp/evil").directories().collect::<Vec<_>>(), [own]);
    }
}
