//! What each login and each cached token cost, in instructions: no more than docs/benchmarks.md says, and 5 %. Such a
//! figure does not depend on how busy the machine is.

use support::instructions::{self, Counted};

/// `make bench` writes it.
const LANDED: &str = include_str!("../../../docs/benchmarks.md");
/// In percent of what is landed: a change of the compiler's mind stays below.
const CEILING: u64 = 105;

fn landed(what: &str) -> u64 {
    let row = format!("| {what} | ");
    let number = LANDED.lines().find_map(|line| line.strip_prefix(&row)?.strip_suffix(" |"));
    number
        .unwrap_or_else(|| panic!("docs/benchmarks.md does not have {row}"))
        .replace(',', "")
        .parse()
        .unwrap()
}

fn is_below_the_ceiling(what: &str, counted: u64) {
    let landed = landed(what);
    println!("{what}: {counted} instructions, landed are {landed}");
    assert!(
        counted * 100 <= landed * CEILING,
        "{what} takes {counted} instructions, and {landed} are landed: mend it, or say why and run 'make bench'"
    );
}

#[test]
fn a_cached_token_takes_no_more_than_landed() {
    is_below_the_ceiling(instructions::TOKEN, Counted::start().cached_token());
}

#[test]
fn open_session_takes_no_more_than_landed() {
    is_below_the_ceiling(instructions::OPEN_SESSION, Counted::start().open_session());
}
