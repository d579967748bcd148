//! A cached token without the agent: out of the files that the agent would answer from, by the same code. Reads the
//! agents' directory, and looks whether the site has a list of revoked users; writes nothing.
//!
//! The files are the user's own and can be read anyway. Whatever is not as usual is left to the agent.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::unistd::{geteuid, getuid};

use super::Places;
use crate::clock::Now;
use crate::host::revoked::REVOKED;
use crate::paths::RuntimePaths;
use crate::protocol::{Token, TokenRequest};
use crate::runtime::RuntimeDirectory;
use crate::runtime::answer::{RuntimeView, TokenDecision};
use crate::runtime::host_lock::HostLock;

/// What sudo(8) sets: then the other variables may be those of somebody else.
const SUDO: [&str; 4] = ["SUDO_COMMAND", "SUDO_GID", "SUDO_UID", "SUDO_USER"];

/// Where a token may be read, and what says that it must not.
struct CachedTokens<'a> {
    socket: &'a Path,
    uid: u32,
    revoked: PathBuf,
}

/// The token, if it is at hand and nothing speaks against it.
pub(super) fn token(places: &Places, request: &TokenRequest) -> Option<Token> {
    if getuid() != geteuid() || is_of_sudo(|name| env::var_os(name)) {
        return None;
    }
    let socket = places.named()?;
    CachedTokens { socket, uid: places.uid(), revoked: REVOKED.into() }.token(request, Now::read())
}

fn is_of_sudo(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    SUDO.iter().any(|name| variable(name).is_some())
}

impl CachedTokens<'_> {
    fn token(&self, request: &TokenRequest, now: Now) -> Option<Token> {
        let session = self.socket.file_name()?.to_str()?.strip_suffix(".sock")?;
        let places = RuntimePaths::new(self.socket.parent()?.parent()?, self.uid);
        if places.socket(session) != self.socket {
            return None;
        }
        let runtime = RuntimeDirectory::existing(places).ok()??;
        let TokenDecision::Token(token) = RuntimeView::of(&runtime, now).decide(request) else { return None };
        // Last, so that nothing that was said before the token was read is missed. A directory without a living agent
        // is what a killed one has left.
        let is_free = !HostLock::is_there(&runtime.agents) && !self.is_any_revoked();
        (is_free && runtime.is_present(session)).then(|| token.to_token())
    }

    /// The agent reads the list, and knows by which name its user was let in.
    fn is_any_revoked(&self) -> bool {
        !fs::symlink_metadata(&self.revoked).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }
}

#[cfg(test)]
mod tests;
