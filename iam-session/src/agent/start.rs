//! The start of an agent, in an order that leaves no gap: it closes itself to others before it reads a secret, and
//! takes its locks before it makes a file. Touches the two pipes of the module and the runtime directory.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::signalfd::SignalFd;
use nix::unistd::{dup2_stdin, dup2_stdout, geteuid, setsid};

use super::AgentLife;
use super::events;
use super::status_lines::{StartFailure, StatusPipe};
use crate::clock;
use crate::harden::harden;
use crate::host::revoked::{RevokedList, Ruling};
use crate::lifeline_message::{HintPolicy, Message};
use crate::log::{Level, Log};
use crate::paths;
use crate::runtime::key_ids::KeyIds;
use crate::runtime::{AgentPresence, RuntimeDirectory};
use crate::store::Keyring;

/// What the log is told of an agent whose user is revoked.
pub(super) const REASON_REVOKED: [(&str, &str); 1] = [("reason", "revoked")];

/// All that an agent begins with.
pub(super) struct Started {
    pub(super) session: String,
    pub(super) user: String,
    pub(super) hints: HintPolicy,
    /// This agent's share in the spread of renewals: a byte of the session id, which is random.
    pub(super) spread: u8,
    pub(super) held: KeyIds,
    /// For the mints: as the module sent it, but for the keys.
    pub(super) message: Vec<u8>,
    pub(super) keys: Keyring,
    pub(super) lifeline: File,
    pub(super) signals: SignalFd,
    pub(super) runtime: RuntimeDirectory,
    pub(super) presence: AgentPresence,
    pub(super) listener: UnixListener,
    /// Who is revoked.
    pub(super) list: RevokedList,
    pub(super) log: Log,
}

/// Takes the lifeline and the status pipe away from the standard streams: what is opened later must not land on
/// them, and the status pipe must end when we say so.
pub(super) fn take_over_standard_streams() -> io::Result<(File, StatusPipe)> {
    let lifeline = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let report = StatusPipe::to(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    Ok((lifeline, report))
}

/// Starts, or says why not. `Ok(None)`: the login ended before it began.
pub(super) fn start(mut lifeline: File, stay: AgentLife) -> Result<Option<Started>, StartFailure> {
    harden().map_err(|_| StartFailure::Harden)?;
    if stay != AgentLife::WithLogin {
        // The module has done that for its agents. Without it a Ctrl-C at the terminal would be for this one too.
        setsid().map_err(|_| StartFailure::Harden)?;
    }
    let mut message = match Message::read(&mut lifeline) {
        Ok(message) => message,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(_) => return Err(StartFailure::Message),
    };
    if message.uid != geteuid().as_raw() {
        return Err(StartFailure::Message);
    }
    // What opens the store is kept in one place only, so that it can be let go of.
    let keys = std::mem::take(&mut message.keys);
    let bytes = message.to_bytes().ok_or(StartFailure::Message)?;
    let signals = events::ending_signals().map_err(|_| StartFailure::Harden)?;
    let session = message.session();
    let log = Log::of(&message.user, &session);
    let mut list = RevokedList::new(&message.user, message.uid);
    // Since the module has looked; and nobody has who starts one by hand.
    if list.look(clock::boot_time()) == Ruling::Revoked {
        log.event(Level::Warning, "agent_ended", &REASON_REVOKED);
        return Ok(None);
    }
    let places = paths::RuntimePaths::new(&message.runtime, message.uid);
    let (runtime, presence) = RuntimeDirectory::enter(places, &session).map_err(|error| {
        log.error(&error.to_string());
        StartFailure::Runtime
    })?;
    let held = KeyIds::of(&keys, None);
    // Without it other agents take a record for closed that only this one opens: a nuisance, not a reason to fail.
    let _ = presence.tell_keys(held.ids());
    let socket = runtime.places.socket(&session);
    let listener = listen(&socket).map_err(|error| {
        log.error(&format!("cannot listen at {}: {error}", socket.display()));
        StartFailure::Socket
    })?;
    Ok(Some(Started {
        session,
        user: message.user,
        hints: message.hints,
        spread: message.session_id[0],
        held,
        message: bytes.to_vec(),
        keys,
        lifeline,
        signals,
        runtime,
        presence,
        listener,
        list,
        log,
    }))
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    // A socket is not executed. Until here nobody could have come in: the directory is the user's alone.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
