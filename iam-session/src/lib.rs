//! The code of all programs but the module: agent, mint, helper, command line and root's tool.
//!
//! They are separate processes (ARCHITECTURE.md). This library holds the formats that cross between them and the code
//! of each. It has no unsafe code, and without the `helper` feature no HTTP or TLS.
#![forbid(unsafe_code)]

mod account;
pub mod admin;
pub mod agent;
mod bytes;
pub mod cli;
mod client;
mod clock;
mod commands;
pub mod config;
mod directory;
mod end_grant;
mod harden;
mod helper;
mod host;
pub mod issuer;
mod json;
mod jwt;
mod lifeline_message;
pub mod line;
mod log;
mod mint;
mod origin;
mod outcome;
mod paths;
mod protocol;
mod runtime;
pub mod scope;
#[cfg(test)]
mod scratch;
mod secret;
mod shell;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod store;
mod text;
mod usage;
#[cfg(test)]
mod vectors;
