//! What users' agents say of themselves. Starts this program as each user; touches its pipe.
//!
//! It is the user's word. The socket is in the user's directory, and any program of the user can put another there. So
//! it is shown and counted, and nothing is done because of it.

use std::collections::HashMap;
use std::time::Duration;

use super::become_user;
use super::parallel::parallel;
use super::process::{AgentProcess, ProcessSession};
use crate::clock::boot_time;
use crate::line::{Lines, Wait};
use crate::protocol::{MAX_LINE, Status};

/// An agent answers from memory; one that has not by now is stopped, or none.
const PATIENCE: Duration = Duration::from_secs(2);
/// Users that are asked at once: so many that in practice those who do not answer keep no other waiting. Each costs a
/// process and a descriptor, of which a program may have 1024.
const AT_ONCE: usize = 256;
/// A user's agents beyond this many are not asked: their paths are arguments of one process.
const MAX_SOCKETS: usize = 256;

/// The answers by the id of the session.
pub(super) type AgentStatuses = HashMap<String, Status>;

/// Asks all of `agents` how they stand.
pub(super) fn ask(agents: &[AgentProcess]) -> AgentStatuses {
    let mut users: HashMap<(u32, u32), Vec<&ProcessSession>> = HashMap::new();
    for agent in agents {
        users.entry((agent.uid, agent.gid)).or_default().extend(&agent.session);
    }
    // One that is only starting has no socket yet.
    users.retain(|_, sessions| !sessions.is_empty());
    let ask = |(ids, sessions): ((u32, u32), Vec<&ProcessSession>)| ask_user(ids, &sessions);
    parallel(users.into_iter().collect(), AT_ONCE, ask).into_iter().flatten().collect()
}

fn ask_user(ids: (u32, u32), sessions: &[&ProcessSession]) -> AgentStatuses {
    let sockets = sessions.iter().take(MAX_SOCKETS).map(|session| session.places.socket(&session.id));
    let sockets = sockets.map(|socket| socket.to_string_lossy().into_owned());
    let Some(mut user) = become_user::start(ids, "query-agents", sockets) else {
        return AgentStatuses::new();
    };
    let mut told = AgentStatuses::new();
    let deadline = boot_time() + PATIENCE;
    let mut lines = Lines::new(MAX_LINE);
    while let Ok(line) = lines.next(&mut user.answers, Wait::at_most(deadline.saturating_sub(boot_time()))) {
        let Ok(status) = serde_json::from_slice::<Status>(&line) else { continue };
        // An answer that names another session than was asked is none.
        if sessions.iter().any(|session| session.id == status.session) {
            told.insert(status.session.clone(), status);
        }
    }
    told
}
