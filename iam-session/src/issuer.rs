//! What is said to an issuer and what it answers: the types that cross the helper's pipes, and the errors.
//!
//! `wire` is the contract (PROTOCOL.md, "Helper"); the rest is the helper's own and is only built with it.

pub mod wire;
