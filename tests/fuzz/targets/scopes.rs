//! Two sets of scopes, with a zero byte between: what a session may have is never more than both allow.

use iam_session::scope::{ScopeSet, contains};

pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (granted, wanted) = text.split_once('\0').unwrap_or((&text, ""));
    let (granted, wanted) = (ScopeSet::parse(granted), ScopeSet::parse(wanted));
    for set in [&granted, &wanted] {
        assert_eq!(&ScopeSet::parse(&set.to_string()), set);
        assert!(set.missing(set).is_empty());
        assert_eq!(&set.intersect(set), set);
    }
    let both = granted.intersect(&wanted);
    assert_eq!(both, wanted.intersect(&granted));
    assert!(granted.missing(&both).is_empty() && wanted.missing(&both).is_empty());
    // Containment can be passed on, or a narrow token could be widened in two steps.
    let all: Vec<&str> = granted.iter().chain(wanted.iter()).take(12).collect();
    for a in &all {
        for b in all.iter().filter(|b| contains(a, b)) {
            for c in all.iter().filter(|c| contains(b, c)) {
                assert!(contains(a, c), "{a} {b} {c}");
            }
        }
    }
}
