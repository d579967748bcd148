//! What a program that holds secrets does to itself before it reads a byte. Touches the process only.

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};

/// No core file, no ptrace by the same uid (prctl(2), PR_SET_DUMPABLE), no file for others.
///
/// # Errors
/// Those of prctl(2) and setrlimit(2); a program that could not harden itself must not be given a secret.
pub fn harden() -> nix::Result<()> {
    set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    Ok(())
}
