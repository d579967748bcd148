//! Closes a program that holds secrets to others, before it reads a byte. Touches the process only.

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};

/// core(5): no core file. 0 would be no limit to a program that takes core files from a pipe.
const NO_CORE: u64 = 1;

/// No core file, no ptrace by the same uid (prctl(2), PR_SET_DUMPABLE), no file for others.
///
/// # Errors
/// Those of prctl(2) and setrlimit(2); a program that could not harden itself must not be given a secret.
pub(crate) fn harden() -> nix::Result<()> {
    set_dumpable(false)?;
    let (_, allowed) = getrlimit(Resource::RLIMIT_CORE)?;
    let limit = NO_CORE.min(allowed);
    setrlimit(Resource::RLIMIT_CORE, limit, limit)?;
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    Ok(())
}

/// Blocks the signals that end a session. What is on its way to the issuer may already have consumed the refresh
/// token, so only its own deadline or a SIGKILL ends it.
pub(crate) fn outlive_the_session() -> nix::Result<()> {
    let ending: SigSet = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    ending.thread_block()
}
