//! Waiting: one poll(2) over everything that can happen to an agent. Touches descriptors, reads none.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::peer::PeerId;
use crate::directory::Directory;
use crate::host::file_system;
use crate::line::poll_timeout;
use crate::paths::SITE_CONFIG;

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

/// Tells when a book or a failure is put into a directory that agents share. Best effort: without it an agent only takes
/// longer to notice what another one did.
pub(super) fn news_of(shared: [&Directory; 2], top: &Directory) -> Option<Inotify> {
    let news = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
    for directory in shared {
        news.add_watch(directory.path(), AddWatchFlags::IN_MOVED_TO).ok()?;
    }
    // The token file: whoever put a token there may be gone when it ends.
    news.add_watch(top.path(), AddWatchFlags::IN_MOVED_TO).ok()?;
    Some(news)
}

/// Has `news` tell of changes in the site's directory, too; whether it will. Asked again after each change: the directory
/// may be another one by then.
pub(super) fn watch_site(news: &Inotify) -> bool {
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
    tells && news.add_watch(directory, changes).is_ok()
}
