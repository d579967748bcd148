//! Keeps one token file fresh: has its account's token renewed in time, and removes the file of a token that has
//! ended. Touches the file and the mint's queue.

use std::time::Duration;

use super::mint_process::{JobTicket, MintProcess};
use super::schedule::{self, AccountState, AgentTask, Attempts};
use super::start::Started;
use crate::clock::Now;
use crate::log::Level;
use crate::mint::job::Job;
use crate::protocol::FailureKind;
use crate::runtime::answer::RuntimeView;
use crate::runtime::extra_token_files::ExtraTokenFiles;
use crate::runtime::freshness::Freshness;
use crate::runtime::host_lock::HostLock;
use crate::runtime::key_ids::KeyIds;
use crate::runtime::last_failure::LastFailure;
use crate::runtime::token_file::{self, FileState};
use crate::runtime::token_wanted::{TokenJob, TokenKind};

/// What an agent works with.
pub(super) struct RenewalContext<'a> {
    pub(super) own: &'a Started,
    pub(super) link: &'a mut MintProcess,
    pub(super) now: Now,
}

/// One file.
#[derive(Default)]
pub(super) struct FileRenewal {
    /// The account that the file is kept for; the session's own file is the default account's.
    account: Option<String>,
    attempts: Attempts,
    /// The renewal that this agent has asked for of its own accord.
    renewal: Option<JobTicket>,
    next_task: Option<(Duration, AgentTask)>,
    /// When the token in the file ends, if one is there.
    ends: Option<Duration>,
    mending: Attempts,
    /// Since when this agent knows that the file is not as it should be.
    damaged: Option<Duration>,
    /// The end of another program's token there, of which the log was told.
    others_told: Option<u64>,
}

impl FileRenewal {
    fn of(account: &str) -> Self {
        Self { account: Some(account.to_owned()), ..Self::default() }
    }

    fn file(&self, own: &Started) -> String {
        let places = &own.runtime.places;
        match &self.account {
            None => places.token_file_name(),
            Some(account) => places.kept_file_name(account),
        }
    }

    /// When to come back at the latest.
    fn deadline(&self) -> Option<Duration> {
        self.next_task.map(|(at, _)| at).into_iter().chain(self.ends).min()
    }

    fn reschedule(&mut self, means: &RenewalContext<'_>) {
        let (own, now) = (means.own, means.now);
        let others = self.others_end(means);
        let view = RuntimeView::of(&own.runtime, now);
        let account = self.account.as_deref();
        let last_failure = view.last_failure(account);
        let file = self.file(own);
        self.damaged = match token_file::state(&own.runtime, &file, now) {
            // One that was never written is missing, too, where there is a token for it.
            FileState::Ours
                if view.session_token(account).is_none() || token_file::is_there(&own.runtime, &file) =>
            {
                None
            }
            FileState::AnotherUntil(_) => None,
            _ => self.damaged.or(Some(now.boot)),
        };
        if self.damaged.is_none() {
            self.mending.mended();
        }
        let standing = match HostLock::is_in_force(&own.runtime, now.boot) {
            true => AccountState::Nothing,
            false => standing(&view, account, self.damaged, last_failure.as_ref(), &own.held),
        };
        self.next_task = schedule::next(
            standing,
            self.damaged.map_or(self.attempts, |_| self.mending),
            means.own.spread,
            now.boot,
        );
        // Kept when the token is found to have ended: the file is still to be seen to.
        let ours = view.session_token(account).map(|token| token.ends);
        self.ends = others.or(ours).or(self.ends);
    }

    /// When another program's token in the session's file ends, if there is one. The log is told once of each.
    fn others_end(&mut self, means: &RenewalContext<'_>) -> Option<Duration> {
        if self.account.is_some() {
            return None;
        }
        let (own, now) = (means.own, means.now);
        let until = token_file::others_until(&own.runtime, now);
        if until.is_none() && self.others_told.is_some_and(|end| end <= now.unix) {
            // Ended, and still to be seen to.
            return Some(now.boot);
        }
        if until.is_some() && until != self.others_told {
            let reason = "another program has put a token into the token file; it stays until its end";
            let end = until.unwrap_or_default().to_string();
            own.log.event(Level::Warning, "foreign_token", &[("expires_at", &end), ("reason", reason)]);
        }
        self.others_told = until;
        until.map(|end| now.boot + Duration::from_secs(end.saturating_sub(now.unix)))
    }

    fn do_what_is_due(&mut self, means: &mut RenewalContext<'_>) {
        let now = means.now.boot;
        if self.ends.is_some_and(|ends| ends <= now) {
            self.ends = None;
            self.retract(means);
            if self.others_told.take().is_some() {
                // There is no file now, and ours may be at hand.
                means.link.submit(Job::Look);
            }
            self.reschedule(means);
        }
        let Some((_, task)) = self.next_task.filter(|(at, _)| *at <= now) else { return };
        // Somebody else may have seen to it meanwhile.
        self.reschedule(means);
        if !self.next_task.is_some_and(|(at, again)| at <= now && again == task) {
            return;
        }
        let view = RuntimeView::of(&means.own.runtime, means.now);
        let account = view.book.find(self.account.as_deref()).map(|entry| entry.name.clone());
        match (task, account) {
            (AgentTask::Renew, Some(account)) => {
                self.renew(account, means);
            }
            _ => {
                match self.damaged {
                    Some(_) => self.mending.begin_doubtful(now),
                    None => self.attempts.begin(now),
                }
                means.link.submit(Job::Look);
            }
        }
        self.reschedule(means);
    }

    fn renew(&mut self, account: String, means: &mut RenewalContext<'_>) -> JobTicket {
        self.attempts.begin(means.now.boot);
        let job = TokenJob { account, kind: TokenKind::Session, freshness: Freshness::Renewed };
        let ticket = means.link.submit(Job::Token(job));
        self.renewal = Some(ticket);
        ticket
    }

    fn finished(&mut self, ticket: JobTicket, means: &RenewalContext<'_>) {
        if self.renewal != Some(ticket) {
            return;
        }
        self.renewal = None;
        let (account, now) = (self.account.as_deref(), means.now);
        let view = RuntimeView::of(&means.own.runtime, now);
        let life = view.session_token(account).map(|token| token.life());
        self.attempts.end(life, view.last_failure(account).as_ref(), now.boot);
    }

    /// A token that has ended is worse than none: its reader would be refused without knowing why.
    fn retract(&self, means: &RenewalContext<'_>) {
        let runtime = &means.own.runtime;
        let view = RuntimeView::of(runtime, means.now);
        let wanted = view.book.find(self.account.as_deref()).map(|entry| entry.session_token());
        let file = self.file(means.own);
        if let Err(error) = token_file::retract(runtime, &file, wanted.as_ref(), means.now) {
            means.own.log.error(&error.to_string());
        }
    }
}

/// All files: the session's, and those of single accounts.
#[derive(Default)]
pub(super) struct FileRenewals {
    session: FileRenewal,
    kept: Vec<FileRenewal>,
}

impl FileRenewals {
    fn all(&mut self) -> impl Iterator<Item = &mut FileRenewal> {
        std::iter::once(&mut self.session).chain(&mut self.kept)
    }

    /// When to come back at the latest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        std::iter::once(&self.session).chain(&self.kept).filter_map(FileRenewal::deadline).min()
    }

    /// Takes note of what has changed: the accounts file, the files' names, a token, a last failure.
    pub(super) fn reschedule(&mut self, means: &RenewalContext<'_>) {
        let kept = ExtraTokenFiles::read(&means.own.runtime.agents);
        self.kept.retain(|upkeep| upkeep.account.as_deref().is_some_and(|account| kept.contains(account)));
        for account in kept.iter() {
            if !self.kept.iter().any(|upkeep| upkeep.account.as_deref() == Some(account)) {
                self.kept.push(FileRenewal::of(account));
            }
        }
        self.all().for_each(|upkeep| upkeep.reschedule(means));
    }

    pub(super) fn do_what_is_due(&mut self, means: &mut RenewalContext<'_>) {
        self.all().for_each(|upkeep| upkeep.do_what_is_due(means));
    }

    pub(super) fn finished(&mut self, ticket: JobTicket, means: &RenewalContext<'_>) {
        self.all().for_each(|upkeep| upkeep.finished(ticket, means));
    }

    /// Renews the session's token now.
    pub(super) fn renew_session(&mut self, account: String, means: &mut RenewalContext<'_>) -> JobTicket {
        let ticket = self.session.renew(account, means);
        self.session.reschedule(means);
        ticket
    }
}

/// For the schedule of an account's file; `damaged`: since when it is not as it should be.
fn standing<'s>(
    view: &RuntimeView<'_>,
    account: Option<&str>,
    damaged: Option<Duration>,
    last_failure: Option<&'s LastFailure>,
    held: &KeyIds,
) -> AccountState<'s> {
    let trouble = view.book.trouble.as_ref();
    let entry = view.book.find(account);
    let trouble = trouble.or(entry.and_then(|entry| entry.trouble.as_ref()));
    match (trouble, entry) {
        // What this agent could open is not locked to it: the accounts file is of a moment before.
        (Some(trouble), entry)
            if trouble.kind == FailureKind::Locked && !entry.is_some_and(|entry| held.opens(entry)) =>
        {
            AccountState::Nothing
        }
        (Some(_), _) => AccountState::Troubled,
        (None, None) => AccountState::Nothing,
        // Whoever can renew it does.
        (None, Some(entry)) if !held.opens(entry) => AccountState::Nothing,
        (None, Some(_)) => {
            let token = view.session_token(account).map(|token| token.life());
            AccountState::Enrolled { token, damaged, last_failure }
        }
    }
}
