//! Decides which users get an agent. Touches the name service, with one look-up, and /etc/iam-session/revoked.
//!
//! Groups are not looked up here: that may take as long as it likes, so the child does it.

use std::ffi::{CStr, CString};
use std::fmt;

use nix::errno::Errno;
use nix::unistd::geteuid;
use pam::items::{Service, User};
use pam::module::PamHandle;

use crate::ffi::{self, Account};
use crate::options::Options;
use crate::revoked;
use crate::site::{Distrust, ROOT, SITE, TrustedDir};

/// While it is there, whatever it is, nobody gets an agent.
const DRAIN: &str = "drain";
/// The uid that stands for those of nobody; files of unmapped users have it, too.
const NOBODY: u32 = 65_534;

/// A user who gets an agent, if the groups permit it.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) account: Account,
    pub(crate) site: Option<TrustedDir>,
}

/// Why a user gets none, in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotServed {
    Unprivileged,
    Options,
    Service,
    Uid,
    Revoked,
    Drained,
}

/// Why it could not be found out.
#[derive(Debug)]
pub(crate) enum Unknown {
    User,
    LookUp(Errno),
    NoAccount,
    Site(Distrust),
    Revoked(Distrust),
}

impl fmt::Display for NotServed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unprivileged => "not served: the host is not root",
            Self::Options => "not served: an option that says who is served is wrong",
            Self::Service => "not served: the PAM service is not among services=",
            Self::Uid => "not served: the uid is below min_uid=, or nobody's",
            Self::Revoked => "not served: listed in /etc/iam-session/revoked",
            Self::Drained => {
                "not served: /etc/iam-session/drain is there ('iam-session-admin drain --off' ends it)"
            }
        })
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => write!(f, "the host has set no user"),
            Self::LookUp(errno) => write!(f, "cannot look up the user: {}", errno.desc()),
            Self::NoAccount => write!(f, "there is no such user"),
            Self::Site(why) => write!(f, "{SITE} {why}: nobody is served"),
            Self::Revoked(why) => write!(f, "{SITE}/{} {why}: nobody is served", revoked::REVOKED),
        }
    }
}

/// The user's name, as the host has it; never asked for.
pub(crate) fn user(pamh: &PamHandle) -> Option<CString> {
    let user = pamh.get_item::<User<'_>>().ok()??;
    (!user.0.is_empty()).then(|| user.0.to_owned())
}

/// Whether this login can have an agent at all: what costs nothing to find out.
pub(crate) fn permits(pamh: &PamHandle, options: &Options) -> Result<(), NotServed> {
    if !geteuid().is_root() {
        return Err(NotServed::Unprivileged);
    }
    if options.serves_nobody {
        return Err(NotServed::Options);
    }
    let service = pamh.get_item::<Service<'_>>().ok().flatten();
    let listed = |service: &CStr| options.services.iter().any(|name| name.as_bytes() == service.to_bytes());
    if service.is_some_and(|service| listed(service.0)) { Ok(()) } else { Err(NotServed::Service) }
}

/// Whether `user` is one who gets an agent.
pub(crate) fn find(user: &CStr, options: &Options) -> Result<Result<Login, NotServed>, Unknown> {
    let account = ffi::account(user).map_err(Unknown::LookUp)?.ok_or(Unknown::NoAccount)?;
    if !served_uid(account.uid, options.min_uid) {
        return Ok(Err(NotServed::Uid));
    }
    let site = TrustedDir::open(SITE, ROOT).map_err(Unknown::Site)?;
    // Both names: a name service may know a user by several, and the site wrote down one of them.
    let names = [user.to_bytes(), account.name.to_bytes()];
    if revoked::is_revoked(site.as_ref(), &names, account.uid).map_err(Unknown::Revoked)? {
        return Ok(Err(NotServed::Revoked));
    }
    if site.as_ref().is_some_and(|site| site.has(DRAIN)) {
        return Ok(Err(NotServed::Drained));
    }
    Ok(Ok(Login { account, site }))
}

fn served_uid(uid: u32, min_uid: u32) -> bool {
    uid >= min_uid && uid != ROOT && uid != NOBODY && uid != u32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_nobody_and_small_uids_are_not_served() {
        for (uid, min_uid, served) in [
            (1000, 1000, true),
            (999, 1000, false),
            (65_533, 1000, true),
            (65_534, 1000, false),
            (65_534, 1, false),
            (0, 0, false),
            (u32::MAX, 1, false),
            (u32::MAX - 1, u32::MAX - 1, true),
        ] {
            assert_eq!(served_uid(uid, min_uid), served, "{uid} with min_uid={min_uid}");
        }
    }
}
