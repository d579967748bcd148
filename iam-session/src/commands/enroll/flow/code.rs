//! A device code. Pure; touches nothing.

use crate::helper::HelperError;
use crate::issuer::wire::Answer;
use crate::secret::Secret;

/// What the user must be shown (RFC 8628 §3.2).
pub(in crate::commands) struct Code {
    pub(in crate::commands) device_code: Secret,
    pub(in crate::commands) code_verifier: Option<Secret>,
    pub(in crate::commands) user_code: String,
    pub(in crate::commands) verification_uri: String,
    pub(in crate::commands) verification_uri_complete: Option<String>,
    pub(in crate::commands) expires_in: u64,
    pub(in crate::commands) interval: u64,
}

impl Code {
    /// The code in the answer to a device authorization.
    pub(in crate::commands) fn of(answer: Answer) -> Result<Self, HelperError> {
        match answer {
            Answer::DeviceAuthorization {
                device_code,
                user_code,
                verification_uri,
                verification_uri_complete,
                expires_in,
                interval,
                code_verifier,
            } => Ok(Self {
                device_code,
                user_code,
                verification_uri,
                verification_uri_complete,
                expires_in,
                interval,
                code_verifier,
            }),
            _ => Err(HelperError::Garbage),
        }
    }

    /// The address that needs the least typing.
    pub(in crate::commands) fn link(&self) -> &str {
        self.verification_uri_complete.as_deref().unwrap_or(&self.verification_uri)
    }
}
