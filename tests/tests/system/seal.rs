//! What opens an enrolment, shown and moved to a newer node key.

use serde_json::{Value, json};
use support::{Host, Login};

use crate::scene::{Scene, json_of, token_file};
use crate::standing::{PASSPHRASE, enroll, given, start};

/// Kind, key, and whether logins open it, of each slot of the account.
fn slots(login: &Login) -> Vec<(String, String, bool)> {
    let report = json_of(login, "iam-session seal --json");
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

/// Whoever knows the passphrase knows all that is in it.
#[test]
fn a_record_under_a_passphrase_stays_under_it_at_a_login_and_is_used_there() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    login.run("unset IAM_SESSION_SOCK IAM_SESSION_ID BEARER_TOKEN_FILE").successful();
    start(&login, &given(PASSPHRASE)).successful();
    enroll(&scene, &login);
    login.close();
    scene.host.wait_until("the end of the agent", || scene.host.processes_of("alice").is_empty());

    let login = scene.host.login("alice");
    assert_eq!(login.run("iam-session token -s storage.read:/x --force").status, 6);
    login.run(&format!("iam-session unlock {}", given(PASSPHRASE))).successful();
    login.run("iam-session token -s storage.read:/x --force").successful();
    let refused = login.run("iam-session seal renew");
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("enrol again: 'iam-session reenroll wlcg'"), "{refused:?}");
    let kinds: Vec<_> = slots(&login).into_iter().map(|(kind, _, at_login)| (kind, at_login)).collect();
    assert_eq!(kinds, [("passphrase".to_owned(), false)]);
    assert!(login.run("iam-session seal").stdout.contains("each starts locked"));

    scene.host.enroll_with(&scene.provider, "alice", "--account cms -s storage.read:/cms");
    assert_eq!(scene.provider.count("registration"), 2, "what is enrolled here has a client of its own");
    scene.host.login("alice").run("iam-session token --account cms --force").successful();
}

#[test]
fn a_site_retires_a_node_key() {
    for renew in ["iam-session seal renew", "iam-session token -s storage.read:/new --force"] {
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
        ("--account nosuch", 3, "there is no account 'nosuch'"),
        ("renew --account ../x", 2, "no account name"),
        ("add passphrase", 2, "unrecognized subcommand"),
    ] {
        let output = login.run(&format!("iam-session seal {arguments}"));
        assert_eq!(output.status, status, "{output:?}");
        assert!(output.stderr.contains(text), "{output:?}");
    }
    let same = login.run("iam-session seal renew").successful();
    assert!(same.stdout.ends_with("the newest node key of this host already\n"), "{same:?}");
    let nobody = scene.host.login("bob");
    assert_eq!(nobody.run("iam-session seal").status, 3);
}
