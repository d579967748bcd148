//! The bodies of an issuer's good answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::issuer::fuzzing::answer(data));
