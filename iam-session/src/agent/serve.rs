//! The agent's loop: one thread, one poll(2), nothing that waits. Touches its socket, the runtime directory and the
//! pipes of module and mint.

mod locking;
mod revoked;

use std::io::Read;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use nix::poll::PollFlags;
use nix::sys::signal::Signal;

use self::revoked::RevokedWatch;
use super::AgentLife;
use super::events::{self, EventSource, News, Watch};
use super::lifetime::Lifetime;
use super::login_status::LoginStatus;
use super::mint_process::{JobOutcome, JobTicket, MintProcess};
use super::peer::{Peer, PeerId};
use super::peers::Peers;
use super::renewal::{self, FileRenewals};
use super::requests::{
    self, AgentCommand, AgentIdentity, ClientAnswer, ClientReply, RequestContext, Requests,
};
use super::start::{self, Started};
use super::status_lines::{self, StatusPipe, StatusWord};
use crate::clock::{self, Now};
use crate::config::ExportChoice;
use crate::log::Level;
use crate::mint::job::{Job, JobResult};
use crate::protocol::{Failure, Heeded};
use crate::runtime::answer::RuntimeView;
use crate::runtime::host_lock::HostLock;
use crate::runtime::token_file;

/// How long the store is waited for before the login is told that it cannot be read: less than the module waits.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const STORE_IS_SLOW: &str = "no answer in 200 ms";

/// How often an agent looks around that is not told what others do: inotify(7) has a limit for each user.
const LOOK_WITHOUT_NEWS: Duration = Duration::from_secs(60);

/// The whole program.
pub(super) fn main(stay: AgentLife) -> ExitCode {
    let Ok((lifeline, report)) = start::take_over_standard_streams() else { return ExitCode::FAILURE };
    match start::start(lifeline, stay) {
        Ok(Some(started)) => AgentLoop::new(started, report, stay).run(),
        Ok(None) => ExitCode::SUCCESS,
        Err(code) => {
            report.fail(code);
            ExitCode::FAILURE
        }
    }
}

/// What the login still waits to be told.
enum LoginReport {
    /// The first line, once the mint has looked at the store.
    First {
        look: JobTicket,
        until: Duration,
    },
    /// A second one, once there is a token.
    Second {
        mint: JobTicket,
    },
    Nothing,
}

/// How the login stands, as it is told.
struct SeenAtLogin {
    has_token: bool,
    status: LoginStatus,
    export: ExportChoice,
    /// The default account, if this agent can renew its token.
    account: Option<String>,
}

struct AgentLoop {
    own: Started,
    /// What tells of changes that others make.
    news: Option<News>,
    report: StatusPipe,
    telling: LoginReport,
    link: MintProcess,
    requests: Requests,
    peers: Peers,
    /// Something was done that may let more be done at once.
    is_restless: bool,
    upkeeps: FileRenewals,
    lifetime: Lifetime,
    /// The end of the time for which the user's lock of this host is open.
    open_until: Option<Duration>,
    obedience: RevokedWatch,
    /// What somebody ended it with: logind with KillUserProcesses=yes, for one.
    signal: Option<Signal>,
}

impl AgentLoop {
    fn new(mut own: Started, report: StatusPipe, stay: AgentLife) -> Self {
        let uid = own.runtime.places.uid();
        let lifetime = Lifetime::begin(stay, &own.session, &own.user, clock::boot_time());
        let identity =
            AgentIdentity { session: own.session.clone(), user: own.user.clone(), ends: stay.into() };
        Self {
            link: MintProcess::new(std::mem::take(&mut own.message), std::mem::take(&mut own.keys)),
            requests: Requests::new(identity),
            own,
            news: None,
            report,
            telling: LoginReport::Nothing,
            peers: Peers::new(uid),
            is_restless: false,
            upkeeps: FileRenewals::default(),
            lifetime,
            open_until: None,
            obedience: RevokedWatch::default(),
            signal: None,
        }
    }

    fn run(mut self) -> ExitCode {
        self.begin(Now::read());
        while self.turn().is_continue() {}
        if self.is_revoked() {
            self.end_for_good();
            return ExitCode::SUCCESS;
        }
        let left = self.own.runtime.leave(self.own.presence);
        if let Err(error) = left {
            self.own.log.error(&error.to_string());
            return ExitCode::FAILURE;
        }
        let signal = self.signal.map(|signal| ("reason", signal.as_str()));
        self.own.log.event(Level::Info, "agent_ended", signal.as_slice());
        ExitCode::SUCCESS
    }

    /// Tells the login how it stands: at once if another agent of the user has a good token in the file, else when
    /// the mint has looked. What else there is to begin with comes after that.
    fn begin(&mut self, now: Now) {
        let seen = self.seen_at_login(now);
        // Where a lock is told of, the store is asked whether it still stands.
        if seen.has_token && !self.is_shut(now) {
            self.tell(seen, now);
        } else {
            let look = self.link.submit(Job::Look);
            self.telling = LoginReport::First { look, until: now.boot + FIRST_LOOK };
        }
        self.own.log.event(Level::Info, "agent_started", &[("version", env!("CARGO_PKG_VERSION"))]);
        // Before what it tells of is read.
        self.news = News::of(&self.own.runtime);
        // What cannot be swept is somebody's who lives, or in nobody's way.
        let _ = self.own.runtime.sweep();
        self.heed_lock();
        self.reschedule(now);
    }

    fn turn(&mut self) -> ControlFlow<()> {
        let before = Now::read();
        self.obey(before)?;
        self.advance(before);
        self.heed(before)?;
        let policy = || RuntimeView::of(&self.own.runtime, before).book.linger;
        if let Some(text) = self.lifetime.look(policy, before.boot)? {
            self.own.log.event(Level::Info, "lingering", &[("reason", text)]);
        }
        let Ok(events) = self.watch().wait(self.time_left(Now::read().boot)) else {
            return ControlFlow::Break(());
        };
        let now = Now::read();
        let mut ready = Vec::new();
        for (source, flags) in events {
            match source {
                EventSource::Lifeline => self.login_ends(now)?,
                EventSource::Signal => {
                    self.signal = events::signal(&self.own.signals);
                    return ControlFlow::Break(());
                }
                EventSource::News => self.read_news(now),
                EventSource::Listener => self.peers.accept(&self.own.listener, now.boot),
                EventSource::Mint | EventSource::Search => {}
                EventSource::Peer(id) => ready.push((id, flags)),
            }
        }
        for (id, flags) in ready {
            self.peers.with(id, |peer| peer.progress(flags, now.boot));
        }
        ControlFlow::Continue(())
    }

    fn watch(&self) -> Watch<'_> {
        let mut watch = Watch::default();
        if self.lifetime.is_login() {
            watch.add_input(EventSource::Lifeline, &self.own.lifeline);
        }
        watch.add_input(EventSource::Signal, &self.own.signals);
        if self.peers.are_let_in() {
            watch.add_input(EventSource::Listener, &self.own.listener);
        }
        if let Some(news) = &self.news {
            watch.add_input(EventSource::News, news);
        }
        if let Some(search) = self.lifetime.search() {
            watch.add(EventSource::Search, search.descriptor(), PollFlags::POLLIN);
        }
        for (descriptor, events) in self.link.descriptors() {
            watch.add(EventSource::Mint, descriptor, events);
        }
        for peer in self.peers.iter() {
            let (descriptor, events) = peer.descriptor();
            watch.add(EventSource::Peer(peer.id), descriptor, events);
        }
        watch
    }

    fn time_left(&self, now: Duration) -> Option<Duration> {
        if self.is_restless {
            return Some(Duration::ZERO);
        }
        let telling = match self.telling {
            LoginReport::First { until, .. } => Some(until),
            _ => None,
        };
        let peers = self.peers.deadline();
        let upkeeps = self.upkeeps.deadline();
        let (link, requests) = (self.link.deadline(), self.requests.deadline());
        // Without a watch on a directory, what others do there is looked at now and then.
        let is_unwatched = self.news.is_none() || !self.obedience.is_told;
        let unwatched = is_unwatched.then_some(now + LOOK_WITHOUT_NEWS);
        let (closing, life, list) =
            (self.closing_deadline(), self.lifetime.deadline(), self.own.list.deadline());
        [telling, peers, upkeeps, link, requests, unwatched, closing, life, list]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_sub(now))
    }

    /// Ends with the login, unless it left something running that may keep its token.
    fn login_ends(&mut self, now: Now) -> ControlFlow<()> {
        // A byte after the message is none of the module's: the agent ends.
        if !matches!((&self.own.lifeline).read(&mut [0]), Ok(0)) {
            return ControlFlow::Break(());
        }
        self.lifetime.linger(RuntimeView::of(&self.own.runtime, now).book.linger, now.boot)
    }

    /// Does what only the agent itself can do for a client.
    fn heed(&mut self, now: Now) -> ControlFlow<()> {
        for (peer, wish) in self.requests.take_wishes() {
            let heeded = wish == AgentCommand::End
                || matches!(wish, AgentCommand::Stay(pid) if self.lifetime.stay_for(pid, now.boot));
            let reply = if heeded { Ok(ClientAnswer::Heeded(Heeded {})) } else { Err(not_there()) };
            self.reply(peer, reply, now);
            if wish == AgentCommand::End {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// What can be done without waiting.
    fn advance(&mut self, now: Now) {
        self.is_restless = false;
        self.peers.gone().into_iter().for_each(|id| self.requests.gone(id));
        self.serve_peers(now);
        self.peers.drop_late(now.boot);
        self.close_in_time(now);
        self.do_what_is_due(now);
        for (ticket, outcome) in self.link.progress(now.boot) {
            self.is_restless = true;
            self.finished(ticket, &outcome, now);
        }
        if self.requests.deadline().is_some_and(|deadline| deadline <= now.boot) {
            let late = self.requests.overdue(&means(&self.own, &mut self.link, now));
            self.reply_all(late, now);
        }
        if matches!(self.telling, LoginReport::First { until, .. } if until <= now.boot) {
            // The module may have given up by now: its own line then has no more than `late`.
            self.own.log.event(Level::Warning, "store_unavailable", &[("reason", STORE_IS_SLOW)]);
            self.tell_unread(now);
        }
    }

    /// One request of each client a turn, so that none holds up another. All were read before this turn looked at the
    /// list of revoked users, and see the files as they are after that.
    fn serve_peers(&mut self, now: Now) {
        let ids: Vec<PeerId> = self.peers.iter().map(|peer| peer.id).collect();
        let mut lines = Vec::new();
        for id in ids {
            let Some(peer) = self.peers.find(id) else { continue };
            match peer.request(now.boot) {
                Ok(line) => lines.extend(line.map(|line| (id, line))),
                Err(error) => {
                    let reason = Failure::usage(format!("the request is {error}"));
                    self.peers.with(id, |peer| peer.dismiss(requests::encode(Err(reason))?, now.boot));
                }
            }
        }
        if lines.is_empty() {
            return;
        }
        let mut means = means(&self.own, &mut self.link, now);
        for (id, line) in lines {
            if let Some(reply) = self.requests.receive(id, &line, &mut means) {
                self.peers.with(id, |peer| peer.reply(requests::encode(reply)?, now.boot));
            }
        }
        self.is_restless |= self.peers.iter().any(Peer::has_more);
    }

    fn reply_all(&mut self, replies: Vec<(PeerId, ClientReply)>, now: Now) {
        for (id, reply) in replies {
            self.reply(id, reply, now);
        }
    }

    fn reply(&mut self, id: PeerId, reply: ClientReply, now: Now) {
        let is_token = matches!(reply, Ok(ClientAnswer::Token(_) | ClientAnswer::Found(_)));
        if is_token && self.obey(now).is_break() {
            // The next turn is the last one.
            self.is_restless = true;
            return;
        }
        self.peers.with(id, |peer| peer.reply(requests::encode(reply)?, now.boot));
        // What it has sent ahead is polled for no more: nothing else would wake this agent for it.
        self.is_restless |= self.peers.find(id).is_some_and(|peer| peer.has_more());
    }

    fn read_news(&mut self, now: Now) {
        if self.news.as_ref().is_some_and(|news| !news.read()) {
            return;
        }
        self.obedience.is_told = false;
        // A token that is locked away or forgotten is not kept until somebody asks for it.
        self.own.runtime.forget_parsed();
        self.heed_lock();
        self.reschedule(now);
    }

    /// Whoever waits is told before this agent looks at what has changed for itself.
    fn finished(&mut self, ticket: JobTicket, outcome: &JobOutcome, now: Now) {
        self.heed_keys(outcome);
        match self.telling {
            LoginReport::First { look, .. } if look == ticket => self.tell_first(outcome, now),
            LoginReport::Second { mint } if mint == ticket => self.tell_second(now),
            _ => {}
        }
        let mut means = means(&self.own, &mut self.link, now);
        let replies = self.requests.finished(ticket, outcome, &mut means);
        self.reply_all(replies, now);
        self.upkeeps.finished(ticket, &upkeep_means(&self.own, &mut self.link, now));
        self.reschedule(now);
    }

    fn tell_first(&mut self, outcome: &JobOutcome, now: Now) {
        if !matches!(outcome, Ok(JobResult::Looked(Ok(())))) {
            return self.tell_unread(now);
        }
        let seen = self.seen_at_login(now);
        if !seen.has_token && self.is_shut(now) {
            return self.tell_unread(now);
        }
        self.tell(seen, now);
    }

    /// The store cannot be read, or not in time: that the host is locked may be known all the same.
    fn tell_unread(&mut self, now: Now) {
        let status = if self.is_shut(now) { LoginStatus::LOCKED } else { LoginStatus::UNREAD };
        self.say(status, RuntimeView::of(&self.own.runtime, now).book.export, now);
        self.tell_no_more();
    }

    fn say(&mut self, status: LoginStatus, export: ExportChoice, now: Now) {
        let due =
            |_: &_| status_lines::is_hint_due(self.own.hints, self.own.runtime.host_directory(), now.unix);
        let hint = status.hint.filter(due);
        if export == ExportChoice::No {
            self.report.say(StatusWord::NoExport, None);
        }
        self.report.say(status.word, hint);
        if hint.is_some() && !self.report.is_heard() {
            status_lines::forget_hint(self.own.runtime.host_directory());
        }
    }

    fn seen_at_login(&self, now: Now) -> SeenAtLogin {
        let view = RuntimeView::of(&self.own.runtime, now);
        let has_token = self.file_is_good(&view, now);
        let last_failure = if has_token { None } else { view.last_failure(None) };
        let status = LoginStatus::of(&view.book, has_token, last_failure.as_ref(), now);
        let default = view.book.find(None).filter(|entry| self.own.held.opens(entry));
        let account = default.map(|entry| entry.name.clone());
        SeenAtLogin { has_token, status, export: view.book.export, account }
    }

    fn tell(&mut self, seen: SeenAtLogin, now: Now) {
        let status = seen.status;
        self.say(status, seen.export, now);
        match seen.account.filter(|_| status.is_worth_waiting) {
            Some(account) => {
                let mut means = upkeep_means(&self.own, &mut self.link, now);
                let mint = self.upkeeps.renew_session(account, &mut means);
                self.telling = LoginReport::Second { mint };
            }
            None => self.tell_no_more(),
        }
        if status.word == StatusWord::Ready && status.hint.is_none() {
            status_lines::forget_hint(self.own.runtime.host_directory());
        }
    }

    fn tell_second(&mut self, now: Now) {
        if self.file_is_good(&RuntimeView::of(&self.own.runtime, now), now) {
            self.report.say(StatusWord::Ready, None);
        }
        self.tell_no_more();
    }

    fn tell_no_more(&mut self) {
        self.telling = LoginReport::Nothing;
        self.report.close();
    }

    /// Whether the file holds the default account's token, and that token lives.
    fn file_is_good(&self, view: &RuntimeView<'_>, now: Now) -> bool {
        let runtime = &self.own.runtime;
        let token = view.session_token(None);
        let name = runtime.places.token_file_name();
        token.is_some_and(|token| token_file::holds(&runtime.top, &name, &token.access_token))
            || token_file::others_until(runtime, now).is_some()
    }

    fn reschedule(&mut self, now: Now) {
        self.upkeeps.reschedule(&upkeep_means(&self.own, &mut self.link, now));
    }

    fn do_what_is_due(&mut self, now: Now) {
        if self.news.is_none() {
            self.heed_lock();
            self.reschedule(now);
        }
        self.upkeeps.do_what_is_due(&mut upkeep_means(&self.own, &mut self.link, now));
    }
}

fn upkeep_means<'a>(own: &'a Started, link: &'a mut MintProcess, now: Now) -> renewal::RenewalContext<'a> {
    renewal::RenewalContext { own, link, now }
}

fn means<'a>(own: &'a Started, link: &'a mut MintProcess, now: Now) -> RequestContext<'a> {
    let runtime = &own.runtime;
    let lock = HostLock::read(&runtime.agents);
    RequestContext { runtime, view: RuntimeView::of(runtime, now), lock, held: &own.held, link, now }
}

fn not_there() -> Failure {
    Failure::failed("that process is not there, or too many others are")
        .advise("run 'iam-session start' in a shell")
}
