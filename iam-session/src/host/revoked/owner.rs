//! Which uid is root's, as this process sees it. Reads /proc/self/uid_map.

use std::fs;

const ROOT: u32 = 0;
/// What the kernel shows in place of a uid that a user namespace does not have (user_namespaces(7)).
const UNMAPPED: u32 = 65_534;

/// The uid that files of root's have here. In a user namespace without root (an unprivileged container) they are
/// shown as nobody's, and so are those of all other users.
pub(crate) fn root() -> u32 {
    let map = fs::read_to_string("/proc/self/uid_map");
    if map.is_ok_and(|map| !has_root(&map)) { UNMAPPED } else { ROOT }
}

/// A line is a range: its first uid inside, its first uid outside, its length.
fn has_root(map: &str) -> bool {
    map.lines().any(|line| line.split_whitespace().next() == Some("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_root_unless_its_namespace_has_none() {
        assert!(has_root("         0          0 4294967295\n"));
        assert!(has_root("1000 1000 1\n0 100000 1000\n"));
        assert!(!has_root("      1000       1000          1\n"));
    }
}
