//! What each login and each cached token cost, in instructions: no more than docs/benchmarks.md says, and 5 %. Such a
//! figure does not depend on how busy the machine is.

use support::{Host, Kernel, instructions};

use crate::scene::Scene;

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

/// Under a filter of system calls other code runs.
fn enrolled() -> Scene {
    let scene = Scene::of(Host::plan().kernel(Kernel::Running));
    scene.host.enroll(&scene.provider, "alice");
    scene
}

#[test]
fn a_cached_token_takes_no_more_than_landed() {
    let scene = enrolled();
    let login = scene.host.login("alice");
    is_below_the_ceiling(instructions::TOKEN, instructions::of_cached_token(&scene.host, &login));
}

#[test]
fn open_session_takes_no_more_than_landed() {
    let scene = enrolled();
    let _login = scene.host.login("alice");
    is_below_the_ceiling(instructions::OPEN_SESSION, instructions::of_open_session(&scene.host));
}
