//! Dispatch only.
#![forbid(unsafe_code)]
fn main() {}
