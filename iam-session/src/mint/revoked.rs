//! How a mint obeys the site's list of revoked users: it looks before it asks for a token, and before it makes one
//! usable. Touches that list.
//!
//! If the grant would be lost without it, the issuer's answer is stored all the same: the user may be taken off the
//! list again.

use super::Mint;
use crate::clock;
use crate::host::revoked::{REVOKED, Ruling};
use crate::protocol::Failure;

impl Mint {
    /// Whether its user is to have no token.
    pub(crate) fn is_revoked(&self) -> bool {
        self.ruling() == Ruling::Revoked
    }

    /// Refuses what would bring a new token.
    pub(crate) fn may_ask(&self) -> Result<(), Failure> {
        match self.ruling() {
            Ruling::Free => Ok(()),
            Ruling::Revoked => Err(revoked()),
            Ruling::Unknown(error) => Err(Failure::failed(error).advise(ASK)),
        }
    }

    /// Refuses to make a token usable here.
    pub(crate) fn may_publish(&self) -> Result<(), Failure> {
        if self.is_revoked() { Err(revoked()) } else { Ok(()) }
    }

    /// As the list is now.
    fn ruling(&self) -> Ruling {
        self.list.borrow_mut().look(clock::boot_time())
    }
}

const ASK: &str = "ask the administrators";

fn revoked() -> Failure {
    Failure::refused(format!("you are listed in {REVOKED}: you get no token on this host")).advise(ASK)
}
