//! Starts this program to become a user for good, with the first group and no other. Starts processes.

use nix::errno::Errno;
use nix::sys::prctl::set_dumpable;
use nix::unistd::{Gid, Uid, geteuid, seteuid, setresgid, setresuid};

use super::subprocess::{self, Answering};
use crate::protocol::Failure;

/// Whom the program is to become.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Ids {
    #[arg(long)]
    uid: u32,
    #[arg(long)]
    gid: u32,
}

/// Starts a hidden command as the user.
pub(super) fn start(
    (uid, gid): (u32, u32),
    command: &str,
    arguments: impl IntoIterator<Item = String>,
) -> Option<Answering> {
    if uid == 0 {
        return None;
    }
    let mut program = subprocess::again(command);
    program.arg(format!("--uid={uid}")).arg(format!("--gid={gid}")).arg("--").args(arguments);
    Answering::start(program)
}

impl Ids {
    /// Becomes the user for good, away from root's terminal and with nothing but the standard streams. The program has
    /// closed itself to debuggers by then (`harden`); a change of ids may undo that, so it does so again.
    pub(super) fn become_user(self) -> Result<Uid, Failure> {
        if !geteuid().is_root() {
            return Err(Failure::failed("only root may do this"));
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        if uid.is_root() {
            return Err(Failure::failed("this is for users: root follows no path of theirs"));
        }
        let become_user = || -> nix::Result<()> {
            subprocess::leave_root()?;
            setresgid(gid, gid, gid)?;
            setresuid(uid, uid, uid)?;
            set_dumpable(false)?;
            // Believed only when it has been tried.
            if seteuid(Uid::from_raw(0)).is_ok() { Err(Errno::EPERM) } else { Ok(()) }
        };
        become_user()
            .map_err(|errno| Failure::failed(format!("cannot become uid {uid}: {}", errno.desc())))?;
        Ok(uid)
    }
}
