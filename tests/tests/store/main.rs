//! The store when its file system fails, and when who writes it dies, and when it is not what we wrote: promises 15 and 16.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

mod deaths;
mod faults;
mod formats;
mod locks;
#[path = "../system/scene.rs"]
#[allow(dead_code, reason = "what the tests of the whole system begin with, of which these need a part")]
mod scene;
mod stage;
