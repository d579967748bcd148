//! The bodies of an issuer's refusals.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::issuer::fuzzing::refusal(data));
