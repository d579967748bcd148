//! What is said to an issuer and what it answers: the types that cross the helper's pipes, and the helper itself.
//!
//! `wire` is the contract (PROTOCOL.md, section 4); the rest is the helper's own and is only built with it.
//! There, each kind of request is a pure function to a `call::Call` and a pure function from the answer's
//! bytes; `transport` is the only file that touches the network, `roots` the only one that reads CA files.

#![cfg_attr(not(feature = "helper"), allow(dead_code, reason = "the fuzzers read answers and send nothing"))]

pub mod wire;

#[cfg(feature = "answers")]
mod body;
#[cfg(feature = "answers")]
mod call;
#[cfg(feature = "answers")]
mod device;
#[cfg(feature = "answers")]
mod discovery;
#[cfg(feature = "helper")]
mod dispatch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(feature = "answers")]
mod management;
#[cfg(feature = "helper")]
mod password;
#[cfg(feature = "helper")]
mod pkce;
#[cfg(feature = "answers")]
mod redact;
#[cfg(feature = "answers")]
mod refusal;
#[cfg(feature = "answers")]
mod registration;
#[cfg(feature = "answers")]
mod retry_after;
#[cfg(feature = "answers")]
mod revocation;
#[cfg(feature = "helper")]
mod roots;
#[cfg(feature = "helper")]
pub mod serve;
#[cfg(feature = "answers")]
mod token;
#[cfg(feature = "helper")]
mod transport;
#[cfg(feature = "helper")]
mod unreachable;
#[cfg(feature = "answers")]
mod url;
#[cfg(feature = "answers")]
mod userinfo;
