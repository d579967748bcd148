//! `pam_iam.so`: starts the user's token agent at login. Runs as root inside sshd. So it has no network, no thread and
//! no configuration file, and does not look at the host's environment. PROTOCOL.md, sections 1, 2 and 5, is all that
//! it says to the agent.
//!
//! The hooks only translate. pam-bindings catches a panic at each of them and answers PAM_ABORT.
#![deny(unsafe_code)]

mod agent;
mod clock;
mod error;
#[allow(unsafe_code)]
mod ffi;
mod hint;
mod launch;
mod lifeline;
mod log;
mod message;
mod node_key;
mod options;
mod revoked;
mod runtime_dir;
#[cfg(test)]
mod scratch;
mod served;
mod session;
mod session_record;
mod site;
mod status;

use std::ffi::CStr;
use std::panic;
use std::sync::Once;

use pam::constants::{PAM_SILENT, PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

use log::{Detail, Log};
use options::Options;
use session::Talk;

/// The six entry points, with their C names.
#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod entry {
    use super::PamIam;
    pam::pam_hooks!(PamIam);
}

/// Session management only; the other hooks keep pam-bindings' PAM_IGNORE.
struct PamIam;

impl PamHooks for PamIam {
    fn sm_open_session(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        log_panics();
        let (options, mistakes) = Options::parse(&args);
        let log = log_of(pamh, &options);
        mistakes.into_iter().for_each(|mistake| log.warning(mistake));
        let talk = if flags & PAM_SILENT == 0 { Talk::Allowed } else { Talk::Silent };
        match session::open(pamh, &options, &log, talk) {
            Ok(()) => PamResultCode::PAM_SUCCESS,
            Err(error) => {
                log.error(error);
                PamResultCode::PAM_SESSION_ERR
            }
        }
    }

    fn sm_close_session(pamh: &mut PamHandle, _args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        log_panics();
        session::close(pamh);
        PamResultCode::PAM_SUCCESS
    }
}

fn log_of(pamh: &PamHandle, options: &Options) -> Log {
    let user = served::user(pamh).map_or_else(|| "?".to_owned(), |user| user.to_string_lossy().into_owned());
    Log::of(&user, if options.debug { Detail::Debug } else { Detail::Plain })
}

/// std's own hook would write to whatever is descriptor 2 in the host, and asks the host's environment for
/// RUST_BACKTRACE first. This std is the module's alone: no other code in the host sees the hook.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|panic| {
            let at = panic.location().map(ToString::to_string).unwrap_or_default();
            Log::of("?", Detail::Plain)
                .error(format_args!("a mistake in the module itself, at {at}: please report it"));
        }));
    });
}
