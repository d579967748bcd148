//! The socket as a program of somebody else's meets it: by the example of iam-session-protocol(7).

use crate::scene::{Scene, words};

const PAGE: &str = include_str!("../../../packaging/man/iam-session-protocol.7");
const PYTHON: &str = "/mnt/tools/python/bin/python";

/// What stands between `.EX` and `.EE`: it holds nothing that roff would read otherwise than Python.
fn example() -> &'static str {
    let (_, after) = PAGE.split_once("\n.EX\n").unwrap();
    let (example, _) = after.split_once("\n.EE\n").unwrap();
    assert!(
        !example.contains('\\') && !example.lines().any(|line| line.starts_with(['.', '\''])),
        "{example}"
    );
    example
}

#[test]
fn the_example_of_the_manual_gets_a_token() {
    let scene = Scene::enrolled();
    scene.host.write("/var/tmp/example.py", example(), 0o644);
    let login = scene.host.login("alice");
    let token = login.run(&format!("{PYTHON} /var/tmp/example.py")).successful().stdout;
    let claims = scene.provider.verify(&token);
    assert_eq!(
        (words(&claims["scope"]), claims["aud"].as_str()),
        (vec!["storage.read:/cms"], Some("https://se.example.org"))
    );
}

#[test]
fn the_example_of_the_manual_says_what_is_wrong() {
    let scene = Scene::new();
    scene.host.write("/var/tmp/example.py", example(), 0o644);
    let failed = scene.host.ssh("alice", &format!("{PYTHON} /var/tmp/example.py"));
    assert!(failed.status == 1 && failed.stderr.contains("run 'iam-session enroll'"), "{failed:?}");
}
