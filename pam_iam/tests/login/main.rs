//! The module under real libpam, with a stand-in for the agent: each test in a mount namespace of its own, with its
//! own /etc, /run, /dev and /usr/libexec. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod boundary;
mod host;
mod lifecycle;
mod outcome;
mod pamtester;
mod places;
mod record;
mod served;
mod status_table;
