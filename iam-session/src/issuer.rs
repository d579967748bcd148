//! What is said to an issuer and what it answers: the types that cross the helper's pipes, and the helper itself.
//!
//! `wire` is the contract (PROTOCOL.md, section 4); the rest is the helper's own and is only built with it.
//! There, each kind of request is a pure function to a `call::Call` and a pure function from the answer's
//! bytes; `transport` is the only file that touches the network, `roots` the only one that reads CA files.

pub mod wire;

#[cfg(feature = "helper")]
mod body;
#[cfg(feature = "helper")]
mod call;
#[cfg(feature = "helper")]
mod device;
#[cfg(feature = "helper")]
mod discovery;
#[cfg(feature = "helper")]
mod dispatch;
#[cfg(feature = "helper")]
mod jwt;
#[cfg(feature = "helper")]
mod lines;
#[cfg(feature = "helper")]
mod management;
#[cfg(feature = "helper")]
mod redact;
#[cfg(feature = "helper")]
mod refusal;
#[cfg(feature = "helper")]
mod registration;
#[cfg(feature = "helper")]
mod retry_after;
#[cfg(feature = "helper")]
mod revocation;
#[cfg(feature = "helper")]
mod roots;
#[cfg(feature = "helper")]
pub mod serve;
#[cfg(feature = "helper")]
mod token;
#[cfg(feature = "helper")]
mod transport;
#[cfg(feature = "helper")]
mod unreachable;
#[cfg(feature = "helper")]
mod url;
