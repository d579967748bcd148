//! A line of a client of the agent's socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_session::agent::fuzzing::request(data));
