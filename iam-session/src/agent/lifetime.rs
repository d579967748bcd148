//! How long the agent stays: as long as its login or its shells, then as long as what they left running. Reads
//! /proc/PID/stat of the shells.

use std::ops::ControlFlow;
use std::time::Duration;

use super::AgentLife;
use super::left_running::Search;
use super::linger::{LingerState, Lingering};
use super::shells::Shells;
use crate::config::Linger;
use crate::protocol::End;

/// What the agent stays for.
pub(super) struct Lifetime {
    session: String,
    user: String,
    state: LifetimePhase,
}

enum LifetimePhase {
    /// The login, until the lifeline ends.
    Login,
    /// The shells that it was started in.
    Shells(Shells),
    /// What either has left running.
    Lingering(Lingering),
}

impl Lifetime {
    pub(super) fn begin(stay: AgentLife, session: &str, user: &str, now: Duration) -> Self {
        let state = match stay {
            AgentLife::WithLogin => LifetimePhase::Login,
            AgentLife::WithShell(pid) => LifetimePhase::Shells(Shells::begin(pid, now)),
        };
        Self { session: session.to_owned(), user: user.to_owned(), state }
    }

    /// Whether the end of the lifeline is to be waited for.
    pub(super) fn is_login(&self) -> bool {
        matches!(self.state, LifetimePhase::Login)
    }

    /// A look that is not over yet.
    pub(super) fn search(&self) -> Option<&Search> {
        let LifetimePhase::Lingering(lingering) = &self.state else { return None };
        lingering.search()
    }

    /// When to look again, if something is to be looked at.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match &self.state {
            LifetimePhase::Login => None,
            LifetimePhase::Shells(shells) => Some(shells.deadline()),
            LifetimePhase::Lingering(lingering) => Some(lingering.deadline()),
        }
    }

    /// Login or shells have ended: breaks off, unless what they left running may keep its token. Then `look` looks.
    pub(super) fn linger(&mut self, policy: Linger, now: Duration) -> ControlFlow<()> {
        let Some(lingering) = Lingering::begin(policy, now) else { return ControlFlow::Break(()) };
        self.state = LifetimePhase::Lingering(lingering);
        ControlFlow::Continue(())
    }

    /// Looks if it is time to, and breaks off where nothing is left to stay for. `Continue` with a text for the log,
    /// if there is something to be said.
    pub(super) fn look(
        &mut self,
        policy: impl FnOnce() -> Linger,
        now: Duration,
    ) -> ControlFlow<(), Option<&'static str>> {
        const REASON: &str = "what it left running keeps its token";
        let staying = match &mut self.state {
            LifetimePhase::Login => LingerState::AsBefore,
            LifetimePhase::Shells(shells) => {
                if shells.have_ended(now) {
                    self.linger(policy(), now)?;
                }
                LingerState::AsBefore
            }
            LifetimePhase::Lingering(lingering) => lingering.look(&self.session, &self.user, now)?,
        };
        ControlFlow::Continue((staying == LingerState::JustKnown).then_some(REASON))
    }

    /// Stays for one more shell, if that lives.
    pub(super) fn stay_for(&mut self, pid: u32, now: Duration) -> bool {
        if let LifetimePhase::Shells(shells) = &mut self.state {
            return shells.add(pid);
        }
        let mut shells = Shells::begin(pid, now);
        let lives = shells.add(pid);
        if lives {
            self.state = LifetimePhase::Shells(shells);
        }
        lives
    }
}

impl From<AgentLife> for End {
    fn from(stay: AgentLife) -> Self {
        match stay {
            AgentLife::WithLogin => Self::Login,
            AgentLife::WithShell(_) => Self::Shell,
        }
    }
}
