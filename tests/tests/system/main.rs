//! The whole system, as its users, its administrator and an attacker meet it: real sshd, libpam, agent and provider.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

mod boundaries;
mod clients;
mod coordination;
mod failures;
mod file;
mod forget;
mod issuer;
mod linger;
mod login;
mod passphrase;
mod readme;
mod scene;
mod standing;
mod status;
mod surroundings;
mod tokens;
