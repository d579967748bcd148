//! The whole system, as its users, its administrator and an attacker meet it: real sshd, libpam, agent and provider.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

mod boundaries;
mod broken;
mod clients;
mod coordination;
mod cycles;
mod endings;
mod environment;
mod failures;
mod file;
mod forget;
mod issuer;
mod linger;
mod lock;
mod lock_time;
mod login;
mod measure;
mod neighbours;
mod passphrase;
mod planted;
mod readme;
mod scene;
mod seal;
mod shapes;
mod standing;
mod status;
mod surroundings;
mod tokens;
mod tracing;
mod within;
