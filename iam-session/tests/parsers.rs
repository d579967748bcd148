//! Everything that parses keeps its promises on the seeds of tests/fuzz, and on many changes of them, always the same.
//! `make fuzz` goes further, by what the changes reach.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

#[path = "../../tests/fuzz/targets.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use targets::TARGETS;

/// Of each target.
const CHANGED: usize = 20_000;
/// The most that any of them reads.
const MAX_INPUT: usize = 4096;
/// What parses a few KiB takes no longer, on a loaded machine and without optimization.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nor more memory, all of them together.
const MAX_MEMORY: u64 = 512 << 10; // KiB

/// What readers of text, numbers and lengths stumble over.
const WORDS: [&[u8]; 16] = [
    b"\0",
    b"\n",
    b"\"",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\xff\xff\xff\xff",
    b"\xc3\x28",
    b"\x1b[2J",
    b"=",
];

macro_rules! keep_their_promises {
    ($($target:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($target)),*];
        $(
            #[test]
            fn $target() {
                keeps_its_promises(stringify!($target));
            }
        )*
    };
}

keep_their_promises! {
    record record_changed marker record_plaintext answer client refusal text request lines scopes token_file status
    lifeline configuration pam_options
}

#[test]
fn every_target_is_tested() {
    assert!(TARGETS.iter().map(|(name, _)| name).eq(TESTED));
}

fn keeps_its_promises(name: &str) {
    let check = TARGETS.iter().find(|(target, _)| *target == name).unwrap().1;
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/seeds")).join(name);
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty(), "{}", directory.display());
    let mut random = Random(1);
    let changed = (0..CHANGED).map(|_| random.change(&seeds));
    for input in seeds.iter().cloned().chain(changed) {
        try_on(name, check, &input);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")).unwrap();
    assert!(peak.trim().parse::<u64>().unwrap() < MAX_MEMORY, "{peak} kB");
}

/// What fails is kept, to be put among the seeds.
#[allow(clippy::disallowed_methods, reason = "the clock of the tests")]
fn try_on(name: &str, check: fn(&[u8]), input: &[u8]) {
    let start = Instant::now();
    let kept = catch_unwind(|| check(input)).is_ok() && start.elapsed() < PATIENCE;
    if !kept {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-failed"));
        fs::write(&file, input).unwrap();
        panic!("{name}: {} belongs into tests/fuzz/seeds/{name}", file.display());
    }
}

/// splitmix64: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(mixed >> 32).unwrap() % end.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A stretch of it, most of the time a short one.
    fn stretch(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(input.len() + 1);
        let longest = if self.below(4) == 0 { input.len() } else { 8 };
        start..(start + self.below(longest + 1)).min(input.len())
    }

    /// A seed with one to four changes.
    fn change(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.of(seeds).clone();
        for _ in 0..=self.below(4) {
            let stretch = self.stretch(&input);
            match self.below(6) {
                0 => {
                    input.iter_mut().skip(stretch.start).take(1).for_each(|byte| *byte ^= 1 << self.below(8))
                }
                1 => drop(input.splice(stretch, WORDS[self.below(WORDS.len())].iter().copied())),
                2 => drop(input.drain(stretch)),
                3 => input.truncate(stretch.start),
                4 => {
                    let again = input[stretch.clone()].to_vec();
                    input.splice(stretch.start..stretch.start, again);
                }
                _ => {
                    let other = self.of(seeds);
                    let taken = self.stretch(other);
                    input.splice(stretch, other[taken].iter().copied());
                }
            }
        }
        input.truncate(MAX_INPUT);
        input
    }
}
