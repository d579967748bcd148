//! How an agent obeys the site's list of revoked users. Touches that list, and the tokens of a user who is in it.

use std::ops::ControlFlow;

use super::AgentLoop;
use crate::agent::events;
use crate::agent::start::REASON_REVOKED;
use crate::clock::Now;
use crate::host::revoked::Ruling;
use crate::log::Level;

/// How an agent stands to the list.
#[derive(Default)]
pub(super) struct RevokedWatch {
    /// Whether it is told of changes.
    pub(super) is_told: bool,
    is_revoked: bool,
    /// The log was told why the list cannot be read.
    was_unknown: bool,
}

impl AgentLoop {
    /// Ends where the user is listed. Done before anything else whenever the agent wakes, however long it was stopped.
    pub(super) fn obey(&mut self, now: Now) -> ControlFlow<()> {
        if !self.obedience.is_told {
            // Before the look, so that no change falls in between.
            self.obedience.is_told = self.news.as_ref().is_some_and(events::watch_site);
        }
        let ruling = self.own.list.look(now.boot);
        let was_unknown = self.obedience.was_unknown;
        self.obedience.was_unknown = matches!(ruling, Ruling::Unknown(_));
        match ruling {
            Ruling::Free => ControlFlow::Continue(()),
            // Tokens that are there are served; the mint gets no new ones.
            Ruling::Unknown(why) => {
                if !was_unknown {
                    self.own.log.error(&why);
                }
                ControlFlow::Continue(())
            }
            Ruling::Revoked => {
                self.obedience.is_revoked = true;
                ControlFlow::Break(())
            }
        }
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.obedience.is_revoked
    }

    /// Ends the agent of a user who is to have no token. What of it fails is no reason to stay.
    pub(super) fn end_for_good(self) {
        let Self { own, link, peers, .. } = self;
        // Keys and connections go before any file is touched: in the user's directory that may take as long as the user
        // likes.
        drop((link, peers));
        own.log.event(Level::Warning, "agent_ended", &REASON_REVOKED);
        let tokens = own.runtime.remove_tokens();
        if let Err(error) = own.runtime.leave(own.presence).and(tokens) {
            own.log.error(&error.to_string());
        }
    }
}
