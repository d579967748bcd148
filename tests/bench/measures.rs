//! What is measured: a file for each kind.

pub(crate) mod crowd;
pub(crate) mod hanging;
pub(crate) mod idle;
pub(crate) mod logins;
pub(crate) mod socket;
pub(crate) mod tokens;
