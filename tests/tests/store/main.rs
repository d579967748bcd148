//! The store when its file system fails, when who writes it dies, and when others write it: promises 15 to 17.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

mod faults;
#[path = "../system/scene.rs"]
#[allow(dead_code, reason = "what the tests of the whole system begin with, of which these need a part")]
mod scene;
mod stage;
