//! Answers the clients' requests: at once if possible, otherwise when the mint is done or the time is up. Touches what
//! `answer` touches.

mod locking;

use std::time::Duration;

use serde_json::error::Category;

use super::mint_process::{Link, Outcome, Ticket};
use super::peer::PeerId;
use super::refusals::Refusals;
use crate::clock::Now;
use crate::mint::job::{AccountDone, AccountJob, Done, Job};
use crate::protocol::{
    Authorized, End, Enrolled, Failure, Forgotten, Heeded, Polled, Renamed, Request, SealReport, Status,
    StopMode, Token, TokenRequest, Unlocked, Used,
};
use crate::runtime::Runtime;
use crate::runtime::answer::{Decision, View};
use crate::runtime::key_ids::Held;
use crate::runtime::token_file;
use crate::runtime::token_wanted::TokenJob;

pub(super) use locking::host_locked;
use locking::is_for_all;

/// Kept back of the time for an enrolment's reply, for the first token.
const SEAL_BEFORE: Duration = Duration::from_secs(70);
/// More jobs than these wait for the mint already: the next one is told so.
const MAX_WAITING: usize = 256;
/// And more clients with a token to be had of an issuer, so that a hanging one leaves room for those who want what can
/// be answered at once: of the 128 for whom there is room (peers.rs), a quarter.
const MAX_WAITING_FOR_TOKENS: usize = 96;

/// An answer of any request.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Token(Token),
    Status(Box<Status>),
    Enrolled(Enrolled),
    Authorized(Authorized),
    Polled(Polled),
    Used(Used),
    Renamed(Renamed),
    Forgotten(Forgotten),
    Unlocked(Unlocked),
    Sealed(SealReport),
    Heeded(Heeded),
}

impl Answer {
    fn of(done: &AccountDone) -> Self {
        match done {
            AccountDone::Authorized(authorized) => Self::Authorized(authorized.duplicate()),
            AccountDone::Polled(polled) => Self::Polled(polled.clone()),
            AccountDone::Used(used) => Self::Used(used.clone()),
            AccountDone::Renamed(renamed) => Self::Renamed(renamed.clone()),
            AccountDone::Ended(forgotten) => Self::Forgotten(forgotten.clone()),
        }
    }
}

/// What a client gets.
pub(super) type Reply = Result<Answer, Failure>;

/// The agent's own identity, as `status` tells it.
pub(super) struct Identity {
    pub(super) session: String,
    pub(super) user: String,
    pub(super) ends: End,
}

/// What only the agent itself can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To stay for this process too.
    Stay(u32),
    End,
}

/// Where a request for a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    First,
    /// The book is as good as it gets.
    AfterLook,
}

enum Want {
    Token { request: TokenRequest, job: Option<TokenJob> },
    Status,
    Other,
}

struct Waiting {
    peer: PeerId,
    ticket: Ticket,
    want: Want,
    deadline: Duration,
}

/// The requests that wait, and the refusals that are remembered.
pub(super) struct Requests {
    identity: Identity,
    waiting: Vec<Waiting>,
    refusals: Refusals,
    wishes: Vec<(PeerId, Wish)>,
}

/// What all of it works on.
pub(super) struct Means<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) held: &'a Held,
    pub(super) link: &'a mut Link,
    pub(super) now: Now,
}

impl Requests {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, waiting: Vec::new(), refusals: Refusals::default(), wishes: Vec::new() }
    }

    /// Sees to one line of a client; `None` means later.
    pub(super) fn receive(&mut self, peer: PeerId, line: &[u8], means: &mut Means<'_>) -> Option<Reply> {
        let request = match parse(line) {
            Ok(request) => request,
            Err(failure) => return Some(Err(failure)),
        };
        if !is_for_all(&request) && means.is_shut() {
            return Some(Err(host_locked()));
        }
        let by = means.now.boot + request.reply_within();
        let account = |job| (Job::Account(job), Want::Other);
        let (job, want) = match request {
            Request::AccessToken(request) => return self.token(peer, request, Step::First, by, means),
            Request::Status {} => (Job::Look, Want::Status),
            Request::Enroll(enrollment) => (Job::Enroll { enrollment, by: by - SEAL_BEFORE }, Want::Other),
            Request::Authorize(asked) => account(AccountJob::Authorize(asked)),
            Request::Poll(poll) => account(AccountJob::Poll { poll, by: by - SEAL_BEFORE }),
            Request::Use { account: name } => account(AccountJob::Use { account: name }),
            Request::Keep { account: name } => account(AccountJob::Keep { account: name }),
            Request::Rename { account: name, to } => account(AccountJob::Rename { account: name, to }),
            Request::EndAccount { account: name, mode } => {
                account(AccountJob::End { account: name, ending: mode })
            }
            Request::Unlock { passphrase, seconds } => match means.unlock(passphrase, seconds) {
                Ok(job) => (job, Want::Other),
                Err(failure) => return Some(Err(failure)),
            },
            Request::Lock { passphrase } => (Job::LockHost { passphrase }, Want::Other),
            Request::Seal(request) => (Job::Slots(request), Want::Other),
            Request::Stay { pid } => return self.wish(peer, Wish::Stay(pid), StopMode::Started),
            Request::Stop { mode } => return self.wish(peer, Wish::End, mode),
        };
        if means.link.backlog() >= MAX_WAITING {
            return Some(Err(busy()));
        }
        self.wait(peer, job, want, by, means);
        None
    }

    fn wish(&mut self, peer: PeerId, wish: Wish, mode: StopMode) -> Option<Reply> {
        if self.identity.ends == End::Login && mode == StopMode::Started {
            return Some(Err(Failure::failed("this agent was started by a login, and ends with it")
                .advise("log out to end it")));
        }
        self.wishes.push((peer, wish));
        None
    }

    /// What clients wish of the agent, and are to be told about.
    pub(super) fn take_wishes(&mut self) -> Vec<(PeerId, Wish)> {
        std::mem::take(&mut self.wishes)
    }

    fn wait(&mut self, peer: PeerId, job: Job, want: Want, deadline: Duration, means: &mut Means<'_>) {
        let ticket = means.link.submit(job);
        self.waiting.push(Waiting { peer, ticket, want, deadline });
    }

    fn token(
        &mut self,
        peer: PeerId,
        request: TokenRequest,
        step: Step,
        by: Duration,
        means: &mut Means<'_>,
    ) -> Option<Reply> {
        if means.is_shut() {
            return Some(Err(host_locked()));
        }
        match View::of(means.runtime, means.now).decide(&request) {
            Decision::Token(token) => Some(Ok(Answer::Token(token))),
            Decision::Refuse(failure) => Some(Err(failure)),
            // Enrolled elsewhere since, perhaps, or the home has come back.
            Decision::Unknown(_) if step == Step::First => {
                if self.waiting_for_tokens() >= MAX_WAITING_FOR_TOKENS {
                    return Some(Err(busy()));
                }
                self.wait(peer, Job::Look, Want::Token { request, job: None }, by, means);
                None
            }
            Decision::Unknown(failure) => Some(Err(failure)),
            Decision::Mint(job) => {
                if let Some(failure) = self.refusals.find(&job, means.now.boot) {
                    return Some(Err(failure));
                }
                let crowd = self.waiting_for_tokens() >= MAX_WAITING_FOR_TOKENS;
                if crowd || means.link.backlog() >= MAX_WAITING {
                    return Some(Err(busy()));
                }
                let want = Want::Token { request, job: Some(job.clone()) };
                self.wait(peer, Job::Token(job), want, by, means);
                None
            }
        }
    }

    fn waiting_for_tokens(&self) -> usize {
        self.waiting.iter().filter(|waiting| matches!(waiting.want, Want::Token { .. })).count()
    }

    /// The replies that an outcome makes possible.
    pub(super) fn finished(
        &mut self,
        ticket: Ticket,
        outcome: &Outcome,
        means: &mut Means<'_>,
    ) -> Vec<(PeerId, Reply)> {
        let (done, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.ticket == ticket);
        self.waiting = waiting;
        let mut replies: Vec<(PeerId, Reply)> = Vec::new();
        for waiting in done {
            let peer = waiting.peer;
            replies.extend(self.conclude(waiting, outcome, means).map(|reply| (peer, reply)));
        }
        replies
    }

    fn conclude(&mut self, waiting: Waiting, outcome: &Outcome, means: &mut Means<'_>) -> Option<Reply> {
        match (waiting.want, outcome) {
            (Want::Status, Ok(Done::Looked(Err(failure)))) => Some(Ok(self.status(Some(failure), means))),
            (Want::Status, _) => Some(Ok(self.status(None, means))),
            (Want::Token { job: Some(job), .. }, Ok(Done::Token(Ok(token)))) => {
                Some(Ok(Answer::Token(token.for_account(&job.account))))
            }
            (Want::Token { job: Some(job), .. }, Ok(Done::Token(Err(failure))) | Err(failure)) => {
                self.refusals.remember(&job, failure, means.now.boot);
                let fallback = View::of(means.runtime, means.now).fallback(&job);
                Some(fallback.map(Answer::Token).ok_or_else(|| failure.clone()))
            }
            // What is known may be all there is to know; that the book could not be written says more than it does.
            (Want::Token { request, job: None }, Ok(Done::Looked(Err(failure)))) => {
                match View::of(means.runtime, means.now).decide(&request) {
                    Decision::Token(token) => Some(Ok(Answer::Token(token))),
                    _ => Some(Err(failure.clone())),
                }
            }
            (Want::Token { request, job: None }, Ok(Done::Looked(Ok(())))) => {
                self.token(waiting.peer, request, Step::AfterLook, waiting.deadline, means)
            }
            (Want::Other, Ok(Done::Enrolled(enrolled))) => Some(
                enrolled.as_ref().map(|enrolled| Answer::Enrolled(enrolled.clone())).map_err(Clone::clone),
            ),
            (Want::Other, Ok(Done::Account(done))) => {
                Some(done.as_ref().map(|done| Answer::of(done)).map_err(Clone::clone))
            }
            (Want::Other, Ok(Done::Unlocked(unlocked))) => Some(
                unlocked.as_ref().map(|unlock| Answer::Unlocked(unlock.answer.clone())).map_err(Clone::clone),
            ),
            (Want::Other, Ok(Done::Locked(done))) => Some(done.clone().map(|()| Answer::Heeded(Heeded {}))),
            (Want::Other, Ok(Done::Sealed(sealed))) => Some(sealed.clone().map(Answer::Sealed)),
            (_, Err(failure)) => Some(Err(failure.clone())),
            (_, Ok(_)) => {
                Some(Err(Failure::failed("the agent's mint answered something else than was asked")
                    .advise("try once more")))
            }
        }
    }

    /// Replies to those who have waited long enough. What they asked for goes on, and is cached.
    pub(super) fn overdue(&mut self, means: &Means<'_>) -> Vec<(PeerId, Reply)> {
        let (late, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.deadline <= means.now.boot);
        self.waiting = waiting;
        let late: Vec<Waiting> = late;
        late.into_iter().map(|waiting| (waiting.peer, self.give_up(&waiting.want, means))).collect()
    }

    fn give_up(&self, want: &Want, means: &Means<'_>) -> Reply {
        let fallback = match want {
            Want::Status => return Ok(self.status(None, means)),
            Want::Token { job: Some(job), .. } => View::of(means.runtime, means.now).fallback(job),
            _ => None,
        };
        fallback.map(Answer::Token).ok_or_else(|| {
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

    /// `unwritten`: why the book is not up to date.
    fn status(&self, unwritten: Option<&Failure>, means: &Means<'_>) -> Answer {
        let view = View::of(means.runtime, means.now);
        let (accounts, trouble) = view.accounts();
        let host_locked = means.is_shut().then(host_locked);
        let lock = means.lock_state();
        Answer::Status(Box::new(Status {
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
        Category::Data => {
            Failure::usage(format!("this version of the agent has no such request (column {column})"))
                .advise("the agent may be of another version than this program: log in again")
        }
        _ => Failure::usage(format!("the request is no JSON object (column {column})")),
    }
}

fn busy() -> Failure {
    Failure::unreachable("too many requests are waiting for this agent").advise("try again later")
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
