//! What the module writes into the lifeline.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::agent::fuzzing::lifeline(data));
