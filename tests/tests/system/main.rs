//! The whole system, as its users, its administrator and an attacker meet it: real sshd, libpam, agent and provider.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

mod boundaries;
mod broken;
mod clients;
mod coordination;
mod cycles;
mod doctor;
mod endings;
mod enroll;
mod environment;
mod failures;
mod file;
mod forget;
mod issuer;
mod linger;
mod log;
mod login;
mod measure;
mod neighbours;
mod old_kernel;
mod others;
mod passphrase;
mod planted;
mod protocol;
mod readme;
mod roles;
mod scene;
mod secrets;
mod shapes;
mod standing;
mod status;
mod subject;
mod surroundings;
mod tokens;
mod tracing;
mod within;
