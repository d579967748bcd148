//! What the agent, the helper and the command line of `iam-session` share.
//!
//! The three programs are separate processes (ARCHITECTURE.md); this library holds the formats that cross
//! between them and the code of each. It has no unsafe code, and without the `helper` feature no HTTP or TLS.
#![forbid(unsafe_code)]

pub mod account;
pub mod admin;
pub mod agent;
mod bytes;
pub mod cli;
pub mod client;
pub mod clock;
mod commands;
pub mod config;
pub mod directory;
mod end_grant;
mod file_system;
pub mod harden;
pub mod helper;
pub mod issuer;
mod json;
mod jwt;
pub mod line;
pub mod log;
mod names;
pub mod paths;
mod process_stat;
pub mod protocol;
mod revoked;
pub mod scope;
pub mod secret;
pub mod store;
pub mod text;
#[cfg(test)]
mod vectors;
