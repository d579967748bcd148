//! Waiting: one poll(2) over everything that can happen to an agent. Touches descriptors, reads none.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::peer::PeerId;
use crate::host::file_system;
use crate::line::poll_timeout;
use crate::paths::SITE_CONFIG;
use crate::runtime::RuntimeDirectory;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventSource {
    /// The login is over, or somebody wrote to the lifeline.
    Lifeline,
    /// A signal that asks the agent to end.
    Signal,
    /// Another agent or a mint has published something, or the site's directory has changed.
    News,
    /// A client wants in.
    Listener,
    /// The mint answered, or takes more.
    Mint,
    /// A look at what the login left running is over.
    Search,
    /// A client wrote, reads, or is gone.
    Peer(PeerId),
}

/// What to wait for.
#[derive(Default)]
pub(super) struct Watch<'a> {
    sources: Vec<EventSource>,
    descriptors: Vec<PollFd<'a>>,
}

impl<'a> Watch<'a> {
    pub(super) fn add(&mut self, source: EventSource, descriptor: BorrowedFd<'a>, events: PollFlags) {
        self.sources.push(source);
        self.descriptors.push(PollFd::new(descriptor, events));
    }

    /// As [`add`](Self::add), for what is only read from.
    pub(super) fn add_input(&mut self, source: EventSource, descriptor: &'a impl AsFd) {
        self.add(source, descriptor.as_fd(), PollFlags::POLLIN);
    }

    /// Waits until something happens, or for `left`; for ever if that is `None`.
    ///
    /// # Errors
    /// Those of poll(2); EINTR is nothing that happened.
    pub(super) fn wait(mut self, left: Option<Duration>) -> nix::Result<Vec<(EventSource, PollFlags)>> {
        match poll(&mut self.descriptors, left.map_or(PollTimeout::NONE, poll_timeout)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let happened = |(source, descriptor): (&EventSource, &PollFd<'_>)| {
            let events = descriptor.revents().filter(|events| !events.is_empty())?;
            Some((*source, events))
        };
        Ok(self.sources.iter().zip(&self.descriptors).filter_map(happened).collect())
    }
}

/// The signals that end an agent, as a descriptor; they are blocked from here on.
pub(super) fn ending_signals() -> nix::Result<SignalFd> {
    let ending: SigSet = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    ending.thread_block()?;
    SignalFd::with_flags(&ending, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// The one that came.
pub(super) fn signal(signals: &SignalFd) -> Option<Signal> {
    let number = signals.read_signal().ok()??.ssi_signo;
    Signal::try_from(i32::try_from(number).ok()?).ok()
}

/// What tells an agent of changes that others make. Best effort: without it an agent only takes longer to notice them.
pub(super) struct News {
    inotify: Inotify,
    /// The runtime directory, in which other programs have files, too.
    top: WatchDescriptor,
    token_file: String,
}

impl News {
    /// Tells when a book or a failure is put into a directory that agents share, and of each change to a token file: who
    /// put a token there may be gone when it ends, and what is no token is to go. A file that is being written is none
    /// yet.
    pub(super) fn of(runtime: &RuntimeDirectory) -> Option<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
        inotify.add_watch(runtime.agents.path(), AddWatchFlags::IN_MOVED_TO).ok()?;
        // Without it the rest is still told.
        let _ = inotify.add_watch(runtime.host_directory().path(), AddWatchFlags::IN_MOVED_TO);
        let changes = AddWatchFlags::IN_MOVE | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_DELETE;
        let top = inotify.add_watch(runtime.top.path(), changes).ok()?;
        Some(Self { inotify, top, token_file: runtime.places.token_file_name() })
    }

    /// Takes what was told; whether it is of any interest. Our own drafts and other programs' files are not.
    pub(super) fn read(&self) -> bool {
        let Ok(events) = self.inotify.read_events() else { return true };
        let is_token_file = |name: &OsStr| name.as_bytes().starts_with(self.token_file.as_bytes());
        events.iter().any(|event| event.wd != self.top || event.name.as_deref().is_none_or(is_token_file))
    }
}

impl AsFd for News {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Has `news` tell of changes in the site's directory, too; whether it will. Asked again after each change: the directory
/// may be another one by then.
pub(super) fn watch_site(news: &News) -> bool {
    let directory = Path::new(SITE_CONFIG);
    // Nobody tells where a link leads from now on, or what another host does.
    let tells =
        fs::symlink_metadata(directory).is_ok_and(|its| its.is_dir()) && file_system::is_local(directory);
    let changes = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF;
    tells && news.inotify.add_watch(directory, changes).is_ok()
}
