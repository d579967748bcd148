//! The store's markers of a lock as anybody may have written them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::store::marker_fuzzing::file(data));
