//! Requests that the issuer has just refused, so that a loop does not ask it again. Touches nothing.

use std::time::Duration;

use crate::protocol::{Failure, FailureKind};
use crate::runtime::token_wanted::{TokenJob, TokenKind};

/// Long enough to break a loop, short enough for who has just been granted something.
const REMEMBER: Duration = Duration::from_secs(10);
/// More distinct refusals than these are somebody's experiment.
const MAX: usize = 16;

struct Refusal {
    job: TokenJob,
    failure: Failure,
    until: Duration,
}

/// The refusals of the last seconds.
#[derive(Default)]
pub(super) struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Keeps the failure of a job, if that is a refusal of what somebody named.
    pub(super) fn remember(&mut self, job: &TokenJob, failure: &Failure, now: Duration) {
        if failure.kind != FailureKind::Refused || job.kind == TokenKind::Session {
            return;
        }
        self.0.retain(|refusal| refusal.until > now);
        if self.0.len() < MAX && self.find(job, now).is_none() {
            let (job, failure) = (job.clone(), failure.clone());
            self.0.push(Refusal { job, failure, until: now + REMEMBER });
        }
    }

    /// The refusal of the same token, if there was one.
    pub(super) fn find(&self, job: &TokenJob, now: Duration) -> Option<Failure> {
        let same = |refusal: &&Refusal| {
            refusal.until > now && refusal.job.account == job.account && refusal.job.kind == job.kind
        };
        self.0.iter().find(same).map(|refusal| refusal.failure.clone())
    }
}
