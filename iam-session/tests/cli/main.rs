//! The command line as a user meets it: the real program against an agent of the test's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod accounts;
mod agent;
mod clients;
mod decode;
mod enroll;
mod env;
mod finding;
mod forget;
mod locking;
mod program;
mod providers;
mod run;
#[path = "../../src/scratch.rs"]
mod scratch;
mod status;
mod token;
