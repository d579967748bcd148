//! Node keys come and go, by root's tool, and logins go on.

use support::{Host, Output};

use crate::scene::{Scene, token_file};

fn admin(host: &Host, arguments: &str) -> Output {
    host.as_root().run(&format!("iam-session-admin {arguments}"))
}

/// Ids and what they do, in order.
fn keys(host: &Host) -> Vec<(String, String)> {
    let listed = admin(host, "key list").successful().stdout;
    let row = |line: &str| {
        let mut cells = line.split("  ");
        (cells.next().unwrap().to_owned(), cells.nth(1).unwrap().to_owned())
    };
    listed.lines().map(row).collect()
}

/// The ids in the slots of a user's record, as the header has them.
fn slots(host: &Host, user: &str, id: &str) -> bool {
    let record = format!("/home/{user}/.local/state/iam-session/wlcg.cred");
    host.as_root().run(&format!("xxd -p {record} | tr -d '\\n' | grep -q {id}")).status == 0
}

#[test]
fn a_key_is_rotated_while_users_work() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    let old = keys(host)[0].0.clone();
    let told = admin(host, "key add").successful().stdout;
    assert!(told.contains("opens and does not seal yet"), "{told}");
    let listed = keys(host);
    let new = listed[1].0.clone();
    assert_eq!(listed, [(old.clone(), "seals and opens".to_owned()), (new.clone(), "opens".to_owned())]);
    // Until it is promoted, what is enrolled anywhere opens everywhere.
    host.enroll(&scene.provider, "bob");
    assert!(slots(host, "bob", &old) && !slots(host, "bob", &new));
    admin(host, &format!("key promote {new}")).successful();
    assert_eq!(keys(host)[0], (new.clone(), "seals and opens".to_owned()));
    // The old record still opens, and a new enrolment is sealed with the new key.
    let login = host.login("alice");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    host.enroll(&scene.provider, "bob");
    assert!(slots(host, "bob", &new) && !slots(host, "bob", &old));
    let told = admin(host, &format!("key retire {old}"));
    assert_eq!(told.status, 2, "{told:?}");
    assert!(told.stderr.contains("alice (wlcg)") && !told.stderr.contains("bob (wlcg)"), "{told:?}");
    host.enroll(&scene.provider, "alice");
    let told = admin(host, &format!("key retire {old} --yes")).successful();
    assert!(told.stderr.contains("users that are known here needs"), "{told:?}");
    assert_eq!(keys(host), [(new, "seals and opens".to_owned())]);
    assert_eq!(host.as_root().run("ls /etc/iam-session/keys.d/retired | wc -l").stdout, "1\n");
    let again = host.login("alice");
    assert!(scene.provider.accepts(&again.read(&token_file(&again))));
}

#[test]
fn the_first_key_seals_at_once() {
    let scene = Scene::new();
    scene.host.as_root().run("rm -r /etc/iam-session/keys.d").successful();
    assert!(admin(&scene.host, "key list").successful().stdout.starts_with("no node key"));
    let told = admin(&scene.host, "key add").successful().stdout;
    assert!(told.contains("seals new enrolments from now on"), "{told}");
    assert_eq!(
        scene.host.as_root().run("stat -c %a /etc/iam-session/keys.d /etc/iam-session/keys.d/*").stdout,
        "700\n400\n"
    );
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn a_key_that_is_not_in_order_is_told_and_none_is_taken_by_a_wrong_id() {
    let host = Host::start();
    host.as_root().run("cd /etc/iam-session/keys.d && f=$(ls) && cp $f 20250101T000000-0123456789abcdef.key && chmod 400 *").successful();
    let listed = admin(&host, "key list").successful().stdout;
    assert!(
        listed.contains(
            "0123456789abcdef  made 20250101T000000  is not used: is not the key that its name says"
        ),
        "{listed}"
    );
    for id in ["0123456789abcdee", "../x", ""] {
        let told = admin(&host, &format!("key retire '{id}' --yes"));
        assert_eq!(told.status, 1, "{told:?}");
    }
    assert_eq!(admin(&host, "key promote 0123456789abcdef").status, 1);
    assert_eq!(admin(&host, "check").status, 1);
}
