//! What an issuer says of a client that it has registered.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::issuer::fuzzing::client(data));
