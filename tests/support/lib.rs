//! Helpers of the whole-system tests: a machine to log in to, with a real sshd, libpam and OpenID provider.
//!
//! ```no_run
//! use support::{Host, Provider};
//!
//! let host = Host::start();
//! let provider = Provider::start(&host);
//! let login = host.login("alice");
//! assert_eq!(login.run("id -un").stdout, "alice\n");
//! assert_eq!(provider.count("refresh"), 0);
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails the test, on the line where it happened"
)]

mod account;
mod actor;
mod background;
mod built;
mod certificate;
mod disk;
mod enrollment;
mod etc;
mod helper;
mod host;
pub mod instructions;
mod log;
mod login;
mod node_key;
mod output;
pub mod package;
mod pam;
mod plan;
mod process;
mod provider;
mod sandbox;
mod sshd;
mod storage;
mod stream;
mod terminal;
pub mod wait;

pub use actor::Actor;
pub use background::Background;
pub use built::{built, required};
pub use certificate::{Authority, Identity};
pub use disk::{Death, Disk};
pub use enrollment::Enrolling;
pub use helper::Helper;
pub use host::Host;
pub use login::{Attend, Login};
pub use output::Output;
pub use plan::Plan;
pub use process::Process;
pub use provider::{ISSUER, Provider, Stuck};
pub use sandbox::{Kernel, Sandbox};
pub use sshd::Way;
pub use storage::Storage;
pub use terminal::Terminal;
