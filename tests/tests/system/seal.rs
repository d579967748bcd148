//! What opens an enrolment, shown and changed.

use serde_json::{Value, json};
use support::{Host, Login};

use crate::scene::{Scene, json_of, token_file};
use crate::standing::{PASSPHRASE, given};

/// Kind, key, and whether logins open it, of each slot of the account.
fn slots(login: &Login) -> Vec<(String, String, bool)> {
    let report = json_of(login, "iam-session seal list --json");
    let accounts = report["accounts"].as_array().unwrap();
    assert_eq!((accounts.len(), &accounts[0]["name"]), (1, &json!("wlcg")), "{report}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let slots = accounts[0]["slots"].as_array().unwrap().iter();
    slots.map(|slot| (text(&slot["kind"]), text(&slot["key"]), slot["opens_at_login"] == true)).collect()
}

/// The id in the name of a node key's file.
fn id(path: &str) -> &str {
    path.rsplit('-').next().unwrap().strip_suffix(".key").unwrap()
}

#[test]
fn a_passphrase_takes_the_place_of_the_node_key_and_gives_it_back() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let last = login.run("iam-session seal remove node");
    assert_eq!(last.status, 2, "{last:?}");
    assert!(last.stderr.contains("first run 'iam-session seal add passphrase'"), "{last:?}");
    let added = login.run(&format!("iam-session seal add passphrase {}", given(PASSPHRASE))).successful();
    assert_eq!(added.stdout, "the passphrase opens 'wlcg'\n");
    let kinds: Vec<_> = slots(&login).into_iter().map(|(kind, _, at_login)| (kind, at_login)).collect();
    assert_eq!(kinds, [("node".to_owned(), true), ("passphrase".to_owned(), false)]);
    let removed = login.run("iam-session seal remove node").successful();
    assert!(removed.stdout.contains("locked at each login from now on"), "{removed:?}");
    // This session was given the passphrase a moment ago.
    login.run("iam-session token -s storage.read:/new").successful();
    assert!(login.run("iam-session seal list").stdout.contains("each starts locked"));
    login.close();
    scene.host.wait_until("the end of the agent", || scene.host.processes_of("alice").is_empty());

    let login = scene.host.login("alice");
    assert_eq!(login.run("iam-session token").status, 6);
    let closed = login.run("iam-session seal add node");
    assert_eq!(closed.status, 6, "{closed:?}");
    login.run(&format!("iam-session unlock {}", given(PASSPHRASE))).successful();
    login.run("iam-session seal add node").successful();
    let removed = login.run("iam-session seal remove passphrase").successful();
    assert_eq!(removed.stdout, "no passphrase opens 'wlcg' any more\n");
    let other = scene.host.login("alice");
    other.run("iam-session token -s storage.read:/other").successful();
    assert_eq!(slots(&other).len(), 1);
}

#[test]
fn a_passphrase_is_changed_by_another() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    for passphrase in [PASSPHRASE, "another horse"] {
        login.run(&format!("iam-session seal add passphrase {}", given(passphrase))).successful();
    }
    login.run("iam-session seal remove node").successful();
    let other = scene.host.login("alice");
    let former = other.run(&format!("iam-session unlock {}", given(PASSPHRASE)));
    assert_eq!(former.status, 6, "{former:?}");
    other.run(&format!("iam-session unlock {}", given("another horse"))).successful();
}

#[test]
fn a_site_retires_a_node_key() {
    for renew in ["iam-session seal add node", "iam-session token -s storage.read:/new --force"] {
        let host = Host::plan().start();
        let old = host.add_node_key();
        let provider = support::Provider::start(&host);
        let scene = Scene { provider, host };
        scene.provider.set(json!({"rotate": true}));
        scene.host.enroll(&scene.provider, "alice");
        let new = scene.host.add_node_key_of("20270101T000000");
        let login = scene.host.login("alice");
        assert_eq!(slots(&login), [("node".to_owned(), id(&old).to_owned(), true)]);
        login.run(renew).successful();
        assert_eq!(slots(&login), [("node".to_owned(), id(&new).to_owned(), true)], "{renew}");
        login.close();
        scene.host.as_root().run(&format!("rm {old}")).successful();
        scene.host.wait_until("the end of the agent", || scene.host.processes_of("alice").is_empty());
        let login = scene.host.login("alice");
        login.run("iam-session token -s storage.read:/after --force").successful();
        assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    }
}

#[test]
fn what_is_not_there_is_told() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    for (arguments, status, text) in [
        ("list --account nosuch", 3, "there is no account 'nosuch'"),
        ("remove passphrase", 1, "it is not sealed under a passphrase"),
        ("add node --account ../x", 2, "no account name"),
        ("add", 2, "required arguments were not provided"),
    ] {
        let output = login.run(&format!("iam-session seal {arguments}"));
        assert_eq!(output.status, status, "{output:?}");
        assert!(output.stderr.contains(text), "{output:?}");
    }
    let same = login.run("iam-session seal add node").successful();
    assert!(same.stdout.contains("open 'wlcg' already"), "{same:?}");
    let nobody = scene.host.login("bob");
    assert_eq!(nobody.run("iam-session seal list").status, 3);
}
