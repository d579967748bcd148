//! The connected clients: which are let in, and which must go. Touches the listening socket.

use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use nix::poll::PollFlags;
use nix::sys::resource::{Resource, getrlimit};

use super::peer::{Peer, PeerId};
use crate::line::LineError;

/// More clients at once than this, and one has to go.
pub(super) const MAX_CLIENTS: usize = 512;
/// For all that an agent has open besides: watches, pipes to its mint, files that it reads.
const DESCRIPTORS_KEPT: usize = 64;
/// A crowd at the door does not keep those who are inside from being served.
const ACCEPTS_PER_TURN: usize = 16;
/// How long nobody is let in where the process may open no further descriptor and nobody can be let go.
const DOOR_CLOSED: Duration = Duration::from_millis(500);

/// All connections of one agent.
pub(super) struct Peers {
    uid: u32,
    most: usize,
    list: Vec<Peer>,
    last: PeerId,
    gone: Vec<PeerId>,
    door_opens: Option<Duration>,
}

impl Peers {
    /// Nobody yet; only `uid` is let in.
    pub(super) fn new(uid: u32) -> Self {
        let allowed = getrlimit(Resource::RLIMIT_NOFILE).map_or(usize::MAX, |(soft, _)| soft as usize);
        let most = MAX_CLIENTS.min(allowed.saturating_sub(DESCRIPTORS_KEPT));
        Self { uid, most, list: Vec::new(), last: 0, gone: Vec::new(), door_opens: None }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.list.iter()
    }

    pub(super) fn find(&mut self, id: PeerId) -> Option<&mut Peer> {
        // They come in the order of their ids.
        let at = self.list.binary_search_by_key(&id, |peer| peer.id).ok()?;
        self.list.get_mut(at)
    }

    /// Does something with one, and lets it go where that shows that its connection is at its end.
    pub(super) fn with(&mut self, id: PeerId, act: impl FnOnce(&mut Peer) -> Result<(), LineError>) {
        if self.find(id).is_some_and(|peer| act(peer).is_err()) {
            self.part_with(id);
        }
    }

    /// Those who have gone since this was asked last.
    pub(super) fn gone(&mut self) -> Vec<PeerId> {
        std::mem::take(&mut self.gone)
    }

    /// Whether to wait for more.
    pub(super) fn are_let_in(&self) -> bool {
        self.door_opens.is_none()
    }

    /// When to come back at the latest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.list.iter().filter_map(Peer::deadline).chain(self.door_opens).min()
    }

    /// Lets those go whose time is up, and opens the door again.
    pub(super) fn drop_late(&mut self, now: Duration) {
        self.door_opens = self.door_opens.filter(|opens| *opens > now);
        let late = self.list.iter().filter(|peer| peer.deadline().is_some_and(|deadline| deadline <= now));
        let late: Vec<PeerId> = late.map(|peer| peer.id).collect();
        late.into_iter().for_each(|id| self.part_with(id));
    }

    /// Lets in who is at the door.
    pub(super) fn accept(&mut self, listener: &UnixListener, now: Duration) {
        for _ in 0..ACCEPTS_PER_TURN {
            match next_stream(listener) {
                Arrival::Client(stream) => self.admit(stream, now),
                Arrival::Nobody => return,
                Arrival::NoDescriptorLeft => {
                    if !self.let_one_go() {
                        self.door_opens = Some(now + DOOR_CLOSED);
                        return;
                    }
                }
            }
        }
    }

    fn admit(&mut self, stream: UnixStream, now: Duration) {
        self.last += 1;
        let Some(mut peer) = Peer::admit(self.last, stream, self.uid, now) else { return };
        // At once: who stood in a crowd at the door has asked long ago, and keeps its place for that.
        if peer.progress(PollFlags::POLLIN, now).is_err() {
            return;
        }
        if self.list.len() < self.most || self.let_one_go() {
            self.list.push(peer);
        }
    }

    /// Makes room. Whoever has asked and waits for a reply keeps its place.
    fn let_one_go(&mut self) -> bool {
        let expendable = self.list.iter().filter_map(|peer| Some((peer.expendable()?, peer.id)));
        let first = expendable.min().map(|(_, id)| id);
        first.into_iter().for_each(|id| self.part_with(id));
        first.is_some()
    }

    fn part_with(&mut self, id: PeerId) {
        self.list.retain(|peer| peer.id != id);
        self.gone.push(id);
    }
}

/// Who is at the door.
enum Arrival {
    Client(UnixStream),
    Nobody,
    NoDescriptorLeft,
}

fn next_stream(listener: &UnixListener) -> Arrival {
    loop {
        match listener.accept() {
            Ok((stream, _)) => return Arrival::Client(stream),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Arrival::Nobody,
            // EMFILE, ENFILE, ENOBUFS, ENOMEM: the client stays at the door, and poll(2) would say so without end.
            Err(_) => return Arrival::NoDescriptorLeft,
        }
    }
}
