//! What a request passes inside the agent and its mint. `make bench` runs it and puts the figures into docs/benchmarks.md.
//! Writes a directory of its own in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measure that fails must say where")]

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use iam_session::agent::fuzzing::TokenAtHand;
use iam_session::scope::ScopeSet;
use iam_session::store;
use nix::unistd::mkdtemp;

/// As long as a token of the WLCG profile.
const TOKEN: usize = 900;
const SESSION: &[u8] = br#"{"request":"access_token"}"#;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    cached(&mut criterion);
    criterion.bench_function("mint: a record is opened", |bench| {
        bench.iter(|| store::fuzzing::unseal().expect("a record"));
    });
    let granted =
        ScopeSet::parse("openid offline_access wlcg wlcg.groups storage.read:/ storage.modify:/cms/me");
    let wanted = ScopeSet::parse("storage.read:/cms/store/file storage.modify:/cms/me/result");
    criterion.bench_function("both: scopes are found in those granted", |bench| {
        bench.iter(|| assert!(black_box(&granted).missing(black_box(&wanted)).is_empty()));
    });
    criterion.final_summary();
}

fn cached(criterion: &mut Criterion) {
    let directory = mkdtemp("/dev/shm/iam-session-hot-XXXXXX").unwrap();
    let at_hand = TokenAtHand::lay(&directory, TOKEN).unwrap();
    criterion.bench_function("agent: from a request for a cached token to its answer", |bench| {
        bench.iter(|| assert!(at_hand.answer(black_box(SESSION)).unwrap() > TOKEN));
    });
    fs::remove_dir_all(&directory).unwrap();
}
