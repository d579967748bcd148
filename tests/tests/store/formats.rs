//! Records that this version cannot read, or that are somebody else's, and node keys that come and go: each is refused
//! with one line that says what to do, and kept byte for byte.

use std::collections::BTreeSet;

use crate::scene::{Scene, is_deserted};
use crate::stage::STORE;

const RECORD: &str = "/home/alice/.local/state/iam-session/wlcg.cred";
/// Of the record's file (PROTOCOL.md, section 5).
const VERSION: usize = 9;
const SUITE: usize = 11;
const UID: usize = 35;

fn bytes_of(scene: &Scene) -> Vec<u8> {
    std::fs::read(scene.host.sandbox().path(RECORD)).unwrap()
}

/// Puts other bytes in the place of alice's record.
fn put(scene: &Scene, bytes: &[u8]) {
    std::fs::write(scene.host.sandbox().path(RECORD), bytes).unwrap();
}

fn with(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] = value;
    changed
}

#[test]
fn what_is_no_record_of_ours_is_told_in_one_line_and_kept() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let good = bytes_of(&scene);
    let last = good.len() - 1;
    for (what, bytes, told) in [
        ("a later version", with(&good, VERSION, 2), "a format that this version does not know"),
        ("another suite", with(&good, SUITE, 2), "a format that this version does not know"),
        ("another uid", with(&good, UID, good[UID] ^ 3), "belongs to uid"),
        ("a changed end", with(&good, last, good[last] ^ 1), "is damaged"),
        ("a changed issuer", with(&good, 50, good[50] ^ 1), "is damaged"),
        ("half of it", good[..good.len() / 2].to_vec(), "is damaged"),
        ("an empty file", Vec::new(), "is damaged"),
        ("another file", b"-----BEGIN OPENSSH PRIVATE KEY-----\n".to_vec(), "is damaged"),
        ("more than it may be", vec![0; 300_000], "is too large"),
    ] {
        put(&scene, &bytes);
        let output = login.run("iam-session token -s storage.read:/x");
        assert_ne!(output.status, 0, "{what}: {output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{what}: {output:?}");
        assert!(output.stderr.contains(RECORD) && output.stderr.contains(told), "{what}: {output:?}");
        assert_eq!(bytes_of(&scene), bytes, "{what}");
        let status = login.run("iam-session status").successful();
        assert!(status.stdout.contains(told), "{what}: {status:?}");
        assert_eq!(bytes_of(&scene), bytes, "{what}");
    }
    put(&scene, &good);
    login.run("iam-session token -s storage.read:/x").successful();
}

#[test]
fn a_record_is_one_by_its_contents_and_not_by_its_name() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.host.as_user("alice").run(&format!("mv {RECORD} {STORE}/other.cred")).successful();
    login.run("iam-session token --account other -s storage.read:/x").successful();
    scene.host.enroll(&scene.provider, "bob");
    let bobs = "/home/bob/.local/state/iam-session/wlcg.cred";
    scene.host.as_root().run(&format!("cp {bobs} {RECORD} && chown alice: {RECORD}")).successful();
    let output = login.run("iam-session token --account wlcg -s storage.read:/y");
    assert!(output.status != 0 && output.stderr.contains("belongs to uid"), "{output:?}");
}

#[test]
fn eight_node_keys_open_records_and_a_ninth_retires_the_oldest() {
    let scene = Scene::enrolled();
    let token = || scene.host.ssh("alice", "iam-session token -s storage.read:/x");
    let newer: BTreeSet<String> =
        (1..=8).map(|number| scene.host.add_node_key_of(&format!("2027010{number}T000000"))).collect();
    let newest = newer.last().unwrap();
    scene.host.wait_until("the end of the enrolment's login", || is_deserted(&scene.host));
    let before = bytes_of(&scene);
    let output = token();
    assert!(output.stderr.contains("no node key of this host opens"), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert_eq!(bytes_of(&scene), before);
    // Eight of nine are read: with one of the newer ones gone the oldest is among them again.
    scene.host.as_root().run(&format!("rm {newest}")).successful();
    scene.host.wait_until("the end of the login", || is_deserted(&scene.host));
    let output = token();
    assert!(scene.provider.accepts(&output.stdout), "{output:?}");
}
