//! Tokens, descriptions, headers and URLs of an issuer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::issuer::fuzzing::text(data));
