//! The code of all programs but the module: agent, mint, helper, command line and root's tool.
//!
//! They are separate processes (ARCHITECTURE.md). This library holds the formats that cross between them and the code
//! of each. It has no unsafe code, and without the `helper` feature no HTTP or TLS.
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
pub mod harden;
pub mod helper;
mod host;
pub mod issuer;
mod json;
mod jwt;
mod lifeline_message;
pub mod line;
pub mod log;
mod mint;
mod outcome;
pub mod paths;
pub mod protocol;
mod runtime;
pub mod scope;
pub mod secret;
pub mod store;
pub mod text;
mod usage;
#[cfg(test)]
mod vectors;
