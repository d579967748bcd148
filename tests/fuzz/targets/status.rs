//! What root's tool reads from a user's agent, and shows.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::admin::fuzzing::status(data));
