//! Answers the clients' requests: at once if possible, otherwise when the mint is done or the time is up. Touches what
//! `answer` touches.

mod locking;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use serde_json::error::Category;

use super::mint_process::{JobOutcome, JobTicket, MintProcess};
use super::peer::PeerId;
use super::peers::MAX_CLIENTS;
use super::refusals::Refusals;
use crate::clock::Now;
use crate::line::{self, EncodedLine, LineError};
use crate::log;
use crate::mint::job::{AccountDone, AccountJob, Job, JobResult};
use crate::protocol::{
    BUSY, Begun, Cancelled, End, Enrolled, Failure, Forgotten, Heeded, MAX_LINE, NO_SUCH_REQUEST, Polled,
    Renamed, Reply, Request, SealReport, Status, StopMode, Token, TokenRequest, Unlocked, Used,
};
use crate::runtime::RuntimeDirectory;
use crate::runtime::answer::{FoundToken, RuntimeView, TokenDecision};
use crate::runtime::file_damage::DamageNote;
use crate::runtime::host_lock::HostLock;
use crate::runtime::key_ids::KeyIds;
use crate::runtime::token_file::{self, FileState};
use crate::runtime::token_wanted::TokenJob;

pub(super) use locking::host_locked;
use locking::is_for_all;

/// More jobs than these wait for the mint already: the next one is told so.
const MAX_WAITING: usize = 256;
/// More tokens than these are to be had of an issuer already. Any number of clients that want the same one are one job.
const MAX_TOKENS: usize = 96;
/// And more clients with a token to be had of an issuer, so that a hanging one leaves room for those who want what can
/// be answered at once: of those for whom there is room (peers.rs), a quarter.
const MAX_WAITING_FOR_TOKENS: usize = MAX_CLIENTS / 4 * 3;

/// An answer of any request.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(super) enum ClientAnswer {
    /// Out of the cache.
    #[serde(skip)]
    Found(FoundToken),
    /// Just minted.
    Token(Token),
    Status(Box<Status>),
    Enrolled(Enrolled),
    Begun(Begun),
    Polled(Polled),
    Cancelled(Cancelled),
    Used(Used),
    Renamed(Renamed),
    Forgotten(Forgotten),
    Unlocked(Unlocked),
    Sealed(SealReport),
    Heeded(Heeded),
}

impl ClientAnswer {
    fn of(done: &AccountDone) -> Self {
        match done {
            AccountDone::Begun(begun) => Self::Begun(begun.clone()),
            AccountDone::Polled(polled) => Self::Polled(polled.clone()),
            AccountDone::Cancelled(cancelled) => Self::Cancelled(cancelled.clone()),
            AccountDone::Imported(enrolled) => Self::Enrolled(enrolled.clone()),
            AccountDone::Used(used) => Self::Used(used.clone()),
            AccountDone::Renamed(renamed) => Self::Renamed(renamed.clone()),
            AccountDone::Ended(forgotten) => Self::Forgotten(forgotten.clone()),
        }
    }
}

/// What a client gets.
pub(super) type ClientReply = Result<ClientAnswer, Failure>;

/// The line that says it.
pub(super) fn encode(reply: ClientReply) -> Result<EncodedLine, LineError> {
    let line = match reply {
        Ok(ClientAnswer::Found(token)) => token.line(),
        Ok(answer) => line::encode(&Reply::Success(answer), MAX_LINE).map(Rc::new),
        Err(failure) => line::encode(&Reply::<()>::Failure(failure), MAX_LINE).map(Rc::new),
    };
    let too_long = Reply::<()>::Failure(Failure::failed("the answer is too long for a line"));
    line.or_else(|_| line::encode(&too_long, MAX_LINE).map(Rc::new))
}

/// The agent's own identity, as `status` tells it.
pub(super) struct AgentIdentity {
    pub(super) session: String,
    pub(super) user: String,
    pub(super) ends: End,
}

/// What only the agent itself can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentCommand {
    /// To stay for this process too.
    Stay(u32),
    End,
}

/// Where a request for a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenStep {
    First,
    /// The accounts file is as good as it gets.
    AfterLook,
}

enum RequestKind {
    Token { request: TokenRequest, job: Option<TokenJob> },
    Status,
    Other,
}

struct WaitingRequest {
    peer: PeerId,
    ticket: JobTicket,
    want: RequestKind,
    deadline: Duration,
}

/// The requests that wait, and the refusals that are remembered.
pub(super) struct Requests {
    identity: AgentIdentity,
    waiting: Vec<WaitingRequest>,
    refusals: Refusals,
    wishes: Vec<(PeerId, AgentCommand)>,
}

/// What all of it works on: the files as they were after the requests had come.
pub(super) struct RequestContext<'a> {
    pub(super) runtime: &'a RuntimeDirectory,
    pub(super) view: RuntimeView<'a>,
    pub(super) lock: Option<HostLock>,
    pub(super) held: &'a KeyIds,
    pub(super) link: &'a mut MintProcess,
    pub(super) now: Now,
}

impl Requests {
    pub(super) fn new(identity: AgentIdentity) -> Self {
        Self { identity, waiting: Vec::new(), refusals: Refusals::default(), wishes: Vec::new() }
    }

    /// Sees to one line of a client; `None` means later.
    pub(super) fn receive(
        &mut self,
        peer: PeerId,
        line: &[u8],
        means: &mut RequestContext<'_>,
    ) -> Option<ClientReply> {
        let request = match parse(line) {
            Ok(request) => request,
            Err(failure) => return Some(Err(failure)),
        };
        if !is_for_all(&request) && means.is_shut() {
            return Some(Err(host_locked()));
        }
        let by = means.now.boot + request.reply_within();
        let account = |job| (Job::Account(job), RequestKind::Other);
        let (job, want) = match request {
            Request::AccessToken(request) => return self.token(peer, request, TokenStep::First, by, means),
            Request::Status {} => (Job::Look, RequestKind::Status),
            Request::Enroll(beginning) => account(AccountJob::Enroll(beginning)),
            Request::Poll { ticket } => account(AccountJob::Poll { ticket }),
            Request::Cancel { flow } => account(AccountJob::Cancel { flow }),
            Request::Import(import) => account(AccountJob::Import(import)),
            Request::Use { account: name } => account(AccountJob::Use { account: name }),
            Request::Keep { account: name } => account(AccountJob::Keep { account: name }),
            Request::Rename { account: name, to } => account(AccountJob::Rename { account: name, to }),
            Request::EndAccount { account: name, mode } => {
                account(AccountJob::End { account: name, ending: mode })
            }
            Request::Unlock { passphrase, seconds } => match means.unlock(passphrase, seconds) {
                Ok(job) => (job, RequestKind::Other),
                Err(failure) => return Some(Err(failure)),
            },
            Request::Lock { passphrase } => (Job::LockHost { passphrase }, RequestKind::Other),
            Request::Seal(request) => (Job::Slots(request), RequestKind::Other),
            Request::Stay { pid } => return self.wish(peer, AgentCommand::Stay(pid), StopMode::Started),
            Request::Stop { mode } => return self.wish(peer, AgentCommand::End, mode),
        };
        if means.link.backlog() >= MAX_WAITING {
            return Some(Err(busy()));
        }
        self.wait(peer, job, want, by, means);
        None
    }

    fn wish(&mut self, peer: PeerId, wish: AgentCommand, mode: StopMode) -> Option<ClientReply> {
        if self.identity.ends == End::Login && mode == StopMode::Started {
            return Some(Err(Failure::failed("this agent was started by a login, and ends with it")
                .advise("log out to end it")));
        }
        self.wishes.push((peer, wish));
        None
    }

    /// What clients wish of the agent, and are to be told about.
    pub(super) fn take_wishes(&mut self) -> Vec<(PeerId, AgentCommand)> {
        std::mem::take(&mut self.wishes)
    }

    fn wait(
        &mut self,
        peer: PeerId,
        job: Job,
        want: RequestKind,
        deadline: Duration,
        means: &mut RequestContext<'_>,
    ) {
        let ticket = means.link.submit(job);
        self.waiting.push(WaitingRequest { peer, ticket, want, deadline });
    }

    fn token(
        &mut self,
        peer: PeerId,
        request: TokenRequest,
        step: TokenStep,
        by: Duration,
        means: &mut RequestContext<'_>,
    ) -> Option<ClientReply> {
        if means.is_shut() {
            return Some(Err(host_locked()));
        }
        match means.view.decide(&request) {
            TokenDecision::Token(token) => Some(Ok(ClientAnswer::Found(token))),
            TokenDecision::Refuse(failure) => Some(Err(failure)),
            // Enrolled elsewhere since, perhaps, or the home has come back.
            TokenDecision::Unknown(_) if step == TokenStep::First => {
                if self.is_crowded(None) {
                    return Some(Err(busy()));
                }
                self.wait(peer, Job::Look, RequestKind::Token { request, job: None }, by, means);
                None
            }
            TokenDecision::Unknown(failure) => Some(Err(failure)),
            TokenDecision::Mint(job) => {
                if let Some(failure) = self.refusals.find(&job, means.now.boot) {
                    return Some(Err(failure));
                }
                if self.is_crowded(Some(&job)) || means.link.backlog() >= MAX_WAITING {
                    return Some(Err(busy()));
                }
                let want = RequestKind::Token { request, job: Some(job.clone()) };
                self.wait(peer, Job::Token(job), want, by, means);
                None
            }
        }
    }

    /// Whether one more client that wants this token, or first a look at the store, is too many.
    fn is_crowded(&self, job: Option<&TokenJob>) -> bool {
        let (mut clients, mut tokens, mut is_another) = (0, BTreeSet::new(), true);
        for waiting in &self.waiting {
            let RequestKind::Token { job: other, .. } = &waiting.want else { continue };
            clients += 1;
            tokens.insert(waiting.ticket);
            is_another &= other.as_ref() != job;
        }
        // One that waits already costs the issuer nothing more.
        clients >= MAX_WAITING_FOR_TOKENS || (is_another && tokens.len() >= MAX_TOKENS)
    }

    /// The replies that an outcome makes possible.
    pub(super) fn finished(
        &mut self,
        ticket: JobTicket,
        outcome: &JobOutcome,
        means: &mut RequestContext<'_>,
    ) -> Vec<(PeerId, ClientReply)> {
        let (done, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.ticket == ticket);
        self.waiting = waiting;
        let mut replies: Vec<(PeerId, ClientReply)> = Vec::new();
        for waiting in done {
            let peer = waiting.peer;
            replies.extend(self.conclude(waiting, outcome, means).map(|reply| (peer, reply)));
        }
        replies
    }

    fn conclude(
        &mut self,
        waiting: WaitingRequest,
        outcome: &JobOutcome,
        means: &mut RequestContext<'_>,
    ) -> Option<ClientReply> {
        match (waiting.want, outcome) {
            (RequestKind::Status, Ok(JobResult::Looked(Err(failure)))) => {
                Some(Ok(self.status(Some(failure), means)))
            }
            (RequestKind::Status, _) => Some(Ok(self.status(None, means))),
            (RequestKind::Token { job: Some(job), .. }, Ok(JobResult::Token(Ok(token)))) => {
                Some(Ok(ClientAnswer::Token(token.for_account(&job.account))))
            }
            (
                RequestKind::Token { job: Some(job), .. },
                Ok(JobResult::Token(Err(failure))) | Err(failure),
            ) => {
                self.refusals.remember(&job, failure, means.now.boot);
                let fallback = means.view.fallback(&job);
                Some(fallback.map(ClientAnswer::Found).ok_or_else(|| failure.clone()))
            }
            // What is known may be all there is to know; that the accounts file could not be written says more than it does.
            (RequestKind::Token { request, job: None }, Ok(JobResult::Looked(Err(failure)))) => {
                match means.view.decide(&request) {
                    TokenDecision::Token(token) => Some(Ok(ClientAnswer::Found(token))),
                    _ => Some(Err(failure.clone())),
                }
            }
            (RequestKind::Token { request, job: None }, Ok(JobResult::Looked(Ok(())))) => {
                self.token(waiting.peer, request, TokenStep::AfterLook, waiting.deadline, means)
            }
            (RequestKind::Other, Ok(JobResult::Account(done))) => {
                Some(done.as_ref().map(|done| ClientAnswer::of(done)).map_err(Clone::clone))
            }
            (RequestKind::Other, Ok(JobResult::Unlocked(unlocked))) => Some(
                unlocked
                    .as_ref()
                    .map(|unlock| ClientAnswer::Unlocked(unlock.answer.clone()))
                    .map_err(Clone::clone),
            ),
            (RequestKind::Other, Ok(JobResult::Locked(done))) => {
                Some(done.clone().map(|()| ClientAnswer::Heeded(Heeded {})))
            }
            (RequestKind::Other, Ok(JobResult::Sealed(sealed))) => {
                Some(sealed.clone().map(ClientAnswer::Sealed))
            }
            (_, Err(failure)) => Some(Err(failure.clone())),
            (_, Ok(_)) => {
                Some(Err(Failure::failed("the agent's mint answered something else than was asked")
                    .advise("try once more")))
            }
        }
    }

    /// Replies to those who have waited long enough. What they asked for goes on, and is cached.
    pub(super) fn overdue(&mut self, means: &RequestContext<'_>) -> Vec<(PeerId, ClientReply)> {
        let (late, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.deadline <= means.now.boot);
        self.waiting = waiting;
        let late: Vec<WaitingRequest> = late;
        late.into_iter().map(|waiting| (waiting.peer, self.give_up(&waiting.want, means))).collect()
    }

    fn give_up(&self, want: &RequestKind, means: &RequestContext<'_>) -> ClientReply {
        let fallback = match want {
            RequestKind::Status => return Ok(self.status(None, means)),
            RequestKind::Token { job: Some(job), .. } => means.view.fallback(job),
            _ => None,
        };
        fallback.map(ClientAnswer::Found).ok_or_else(|| {
            Failure::unreachable("neither the issuer nor the home directory has answered in time")
                .advise("try again later")
        })
    }

    /// When to come back at the latest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.waiting.iter().map(|waiting| waiting.deadline).min()
    }

    /// The client has gone; what it asked for goes on.
    pub(super) fn gone(&mut self, peer: PeerId) {
        self.waiting.retain(|waiting| waiting.peer != peer);
    }

    /// `unwritten`: why the accounts file is not up to date.
    fn status(&self, unwritten: Option<&Failure>, means: &RequestContext<'_>) -> ClientAnswer {
        let view = &means.view;
        let (mut accounts, trouble) = view.accounts();
        if let Some((name, since)) = means.link.session_token_asked()
            && let Some(account) = accounts.iter_mut().find(|account| account.name == name)
        {
            let waited = means.now.boot.saturating_sub(since);
            account.token_asked_at = Some(means.now.unix.saturating_sub(waited.as_secs()));
        }
        let host_locked = means.is_shut().then(host_locked);
        let lock = means.lock_state();
        ClientAnswer::Status(Box::new(Status {
            session: self.identity.session.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            user: self.identity.user.clone(),
            token_file: means.runtime.places.token_file().display().to_string(),
            trouble: host_locked.or(trouble).or(unwritten.cloned()),
            default_account: view.book.default_account.clone(),
            accounts,
            locked: means.held.locked(&view.book),
            passphrase_too: means.held.passphrase_too(&view.book),
            others_token_until: token_file::others_until(means.runtime, means.now),
            token_file_damage: damage(means),
            log_unreachable: log::unreachable(),
            export: view.book.export,
            sealing: means.held.sealing(),
            ends: self.identity.ends,
            lock,
        }))
    }
}

pub(super) fn parse(line: &[u8]) -> Result<Request, Failure> {
    serde_json::from_slice(line).map_err(|error| not_a_request(&error))
}

/// serde's own message may quote what it could not read, so only the place is told.
fn not_a_request(error: &serde_json::Error) -> Failure {
    let column = error.column();
    match error.classify() {
        Category::Data => Failure::usage(format!("{NO_SUCH_REQUEST} (column {column})"))
            .advise("the agent may be of another version than this program: log in again"),
        _ => Failure::usage(format!("the request is no JSON object (column {column})")),
    }
}

/// What is wrong with the session's file now, or was before it was mended.
fn damage(means: &RequestContext<'_>) -> Option<DamageNote> {
    let (runtime, now) = (means.runtime, means.now);
    match token_file::state(runtime, &runtime.places.token_file_name(), now) {
        FileState::Damaged(found) => Some(DamageNote { found, at: now.unix }),
        FileState::Ours | FileState::AnotherUntil(_) => DamageNote::read(&runtime.agents, now.unix),
    }
}

fn busy() -> Failure {
    Failure::unreachable(BUSY).advise("try again later")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_command_of_an_earlier_version_stop_is_understood_and_what_ended_accounts_is_refused() {
        let stop = |line: &[u8]| match parse(line) {
            Ok(Request::Stop { mode }) => Some(mode),
            _ => None,
        };
        assert_eq!(stop(br#"{"request":"stop"}"#), Some(StopMode::Started));
        assert_eq!(stop(br#"{"request":"stop","mode":"any"}"#), Some(StopMode::Any));
        for line in [
            r#"{"request":"end"}"#,
            r#"{"request":"forget","account":"wlcg"}"#,
            r#"{"request":"revoke","account":"wlcg"}"#,
            r#"{"request":"remove","account":"wlcg"}"#,
            r#"{"request":"end_account","account":"wlcg"}"#,
            r#"{"request":"end_account","account":"wlcg","mode":"all"}"#,
        ] {
            let failure = parse(line.as_bytes()).unwrap_err();
            assert!(failure.error.starts_with("this version of the agent has no such request"), "{line}");
            assert!(failure.info.unwrap().ends_with("log in again"), "{line}");
        }
    }
}
