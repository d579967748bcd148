//! libFuzzer on one target: FUZZ_TARGET=NAME fuzz ARGUMENTS…
#![no_main]

mod targets;

use std::env;
use std::sync::LazyLock;

static CHECK: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    let found = targets::TARGETS.iter().find(|(name, _)| *name == wanted);
    found.expect("FUZZ_TARGET is a name in targets.rs").1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| CHECK(data));
