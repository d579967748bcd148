//! What the README tells an administrator to install is what is built, and the PAM line of docs/admin.md is the sample's.

use std::path::Path;

use support::Host;
use support::package::payload;

use crate::rpm::{binary, query};

const README: &str = include_str!("../../../README.md");
const ADMIN: &str = include_str!("../../../docs/admin.md");
const SAMPLE: &str = "usr/share/doc/iam-session/pam.d-sshd.sample";

/// The PAM line of a text.
fn line(text: &str) -> Vec<&str> {
    let line = text.lines().find(|line| line.starts_with("-session")).expect("a PAM line");
    line.split_whitespace().collect()
}

#[test]
fn the_file_that_it_names_is_the_one_that_is_built() {
    let named = README.lines().find_map(|line| line.strip_prefix("yum install ./target/package/")).unwrap();
    assert_eq!(Path::new(named), binary().file_name().unwrap());
    let version = query(&binary(), "%{VERSION}").concat();
    assert!(named.starts_with(&format!("iam-session-{version}-1.")), "{named}");
}

#[test]
fn the_sample_is_the_line_that_documents_show_and_it_works() {
    let sample = std::fs::read_to_string(payload().join(SAMPLE)).unwrap();
    assert_eq!(line(&sample), line(ADMIN));
    let host = Host::plan().pam_options(&line(&sample)[3..].join(" ")).start();
    let login = host.login("alice");
    assert!(login.env("IAM_SESSION_SOCK").is_some());
    let complaint = |line: &String| line.contains("unknown") || line.contains("option");
    assert!(!host.log_lines().iter().any(complaint), "{:?}", host.log_lines());
}
