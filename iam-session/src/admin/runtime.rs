//! The places where a user's agents may have met. Touches nothing: root makes no directory there, and opens none.

use std::path::{Path, PathBuf};

use super::process::AgentProcess;
use crate::paths;

/// The runtime directories that logins give a user, and those of agents that live.
pub(super) fn of(uid: u32, agents: &[AgentProcess]) -> Vec<PathBuf> {
    let own = [Path::new(LOGIND), Path::new(paths::RUN)].map(|above| above.join(uid.to_string()));
    let theirs =
        agents.iter().filter_map(|agent| Some(agent.session.as_ref()?.places.directory().to_owned()));
    let mut directories: Vec<PathBuf> = own.into_iter().collect();
    for directory in theirs {
        if !directories.contains(&directory) && directories.len() < MAX_PLACES {
            directories.push(directory);
        }
    }
    directories
}

const LOGIND: &str = "/run/user";
/// Those two, and some of `iam-session start`; more could only be meant to take our time.
const MAX_PLACES: usize = 8;
