//! The store's files as anybody may have written them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::store::fuzzing::file(data));
