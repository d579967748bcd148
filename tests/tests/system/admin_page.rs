//! What docs/admin.md tells an administrator to type works.

use support::{Host, Provider};

use crate::scene::token_file;

const PAGE: &str = include_str!("../../../docs/admin.md");

/// The shell commands that begin with this comment.
fn commands(comment: &str) -> &'static str {
    let (_, block) = PAGE.split_once(&format!("```sh\n# {comment}\n")).expect("a block of this name");
    block.split_once("```").expect("the block's end").0
}

#[test]
fn a_node_key_made_as_told_seals_and_opens() {
    let host = Host::plan().start();
    let made = host.as_root().run(commands("node key"));
    assert_eq!(made.successful().stderr, "");
    let provider = Provider::start(&host);
    host.enroll(&provider, "alice");
    let login = host.login("alice");
    assert!(provider.accepts(&login.read(&token_file(&login))));
    assert!(!host.log_lines().iter().any(|line| line.contains("keys.d")), "{:?}", host.log_lines());
}
