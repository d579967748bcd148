//! The agent: one process a login session, without threads and without the network.
//!
//! `serve` is the process that the module starts; `mint` the child that holds the store's keys to work with,
//! owns each mint and may outlive it. ARCHITECTURE.md says what each may touch.

#![allow(dead_code, reason = "the two processes that use these are still to come")]

mod book;
mod cache;
mod failure;
mod freshness;
mod message;
mod runtime;
mod token_file;
