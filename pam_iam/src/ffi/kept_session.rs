//! The session that is kept with the PAM handle while a login lives. One unsafe operation a block.

use pam::constants::PamResultCode;
use pam::module::PamHandle;

use crate::lifeline::Session;

/// Where libpam keeps the session for us. With the version: another one of this module that is loaded beside this
/// one must not be taken for it, for it may lay a session out differently.
const SESSION: &str = concat!("pam_iam ", env!("CARGO_PKG_VERSION"));

/// The session that an earlier open_session left with the handle.
pub(crate) fn find(pamh: &PamHandle) -> Option<&Session> {
    // SAFETY: only `keep` below stores something under this name, and always a `Session`.
    unsafe { pamh.get_data(SESSION) }.ok()
}

/// Leaves a session with the handle, in the place of an earlier one, which libpam drops. pam_end(3) drops it too.
pub(crate) fn keep(pamh: &mut PamHandle, session: Session) -> Result<(), PamResultCode> {
    pamh.set_data(SESSION, Box::new(session))
}
