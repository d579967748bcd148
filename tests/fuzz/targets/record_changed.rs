//! A genuine record, one stretch of it changed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::store::fuzzing::changed(data));
