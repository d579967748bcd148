//! One helper for all jobs, so that its connection to the issuer stays open. Starts a process.

use std::path::Path;

use super::Mint;
use crate::helper::{Helper, HelperError};
use crate::issuer::wire::{Answer, Request};
use crate::paths;

impl Mint {
    /// Asks the issuer, exactly once.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Answer, HelperError> {
        let mut helper = match self.helper.take() {
            Some(helper) => helper,
            None => Helper::start_in_session(Path::new(paths::HELPER))?,
        };
        let answer = helper.ask(request, None);
        // One that broke is not asked again; the next request gets another.
        if matches!(answer, Ok(_) | Err(HelperError::Issuer(_))) {
            self.helper = Some(helper);
        }
        answer
    }
}
