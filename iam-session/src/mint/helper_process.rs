//! One helper for all jobs, so that its connection to the issuer stays open. Starts a process.

use super::Mint;
use crate::helper::{self, HelperError};
use crate::issuer::wire::{HelperAnswer, HelperRequest};

impl Mint {
    /// Asks the issuer, exactly once.
    pub(crate) fn ask(&mut self, request: &HelperRequest) -> Result<HelperAnswer, HelperError> {
        helper::ask(&mut self.helper, request)
    }
}
