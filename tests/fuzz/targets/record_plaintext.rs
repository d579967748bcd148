//! What is sealed in a record, by whatever version.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::store::fuzzing::plaintext(data));
