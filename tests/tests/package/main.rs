//! The packages themselves: what is in them, who can read it, how it is linked, and what installing, upgrading and
//! removing it does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

mod aarch64;
mod completions;
mod contents;
mod deb;
mod el;
mod elf;
mod machine;
mod readme;
mod root;
mod rpm;
mod selinux;
mod sessions;
mod signature;
