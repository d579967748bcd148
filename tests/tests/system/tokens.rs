//! `iam-session token`: other tokens than the one in the file.

use serde_json::json;

use crate::scene::{Scene, json_of, token_file, words};

#[test]
fn without_options_it_is_the_token_in_the_file() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    assert_eq!(login.run("iam-session token").successful().stdout, login.read(&token_file(&login)));
}

#[test]
fn a_token_is_as_narrow_as_it_was_asked_for() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let token = login.run("iam-session token -s storage.read:/cms --aud https://se.example").successful();
    let claims = scene.provider.verify(&token.stdout);
    assert_eq!(
        (claims["scope"].as_str(), claims["aud"].as_str()),
        (Some("storage.read:/cms"), Some("https://se.example"))
    );
    assert_eq!(token.stderr, "");
}

#[test]
fn the_second_time_it_comes_from_the_cache_with_its_own_expiry() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    // The session token was minted with an hour; this one gets less.
    scene.provider.set(json!({"access_token_lifetime": 1200}));
    let command = "iam-session token -s storage.read:/cms --json";
    let first = json_of(&login, command);
    let refreshes = scene.provider.count("refresh");
    let second = json_of(&login, command);
    assert_eq!(first, second);
    assert_eq!(scene.provider.count("refresh"), refreshes);
    let claims = scene.provider.verify(first["access_token"].as_str().unwrap());
    let (told, true_end) = (first["expires_at"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!(told <= true_end && told + 5 > true_end, "{told} {true_end}");
    let session = json_of(&login, "iam-session token --json");
    assert!(session["expires_at"].as_u64().unwrap() > told + 2000);
}

#[test]
fn the_json_form_says_all_there_is_to_know() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let token =
        json_of(&login, "iam-session token -s 'storage.read:/a wlcg' --aud https://a --aud https://b --json");
    assert_eq!(
        (&token["issuer"], &token["account"], &token["audience"]),
        (&json!("https://iam.example/"), &json!("wlcg"), &json!("https://a https://b"))
    );
    assert_eq!(words(&token["scope"]), ["storage.read:/a", "wlcg"]);
}

#[test]
fn another_login_of_the_same_user_shares_the_cache() {
    let scene = Scene::enrolled();
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let command = "iam-session token -s storage.read:/cms";
    let token = one.run(command).successful().stdout;
    assert_eq!(other.run(command).successful().stdout, token);
}

#[test]
fn a_new_one_is_minted_on_demand_but_not_without_end() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/cms").successful();
    let refreshes = scene.provider.count("refresh");
    for _ in 0..5 {
        login.run("iam-session token -s storage.read:/cms --force").successful();
    }
    assert_eq!(scene.provider.count("refresh"), refreshes, "a token of a moment ago is new");
}

#[test]
fn a_scope_that_was_not_granted_is_named_and_the_issuer_is_not_asked() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let refreshes = scene.provider.count("refresh");
    let refused = login.run("iam-session token -s storage.modify:/");
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""));
    assert!(
        refused.stderr.starts_with("iam-session: account 'wlcg' was not granted 'storage.modify:/'"),
        "{refused:?}"
    );
    assert_eq!(scene.provider.count("refresh"), refreshes);
}

#[test]
fn a_scope_that_policy_takes_away_is_named() {
    let scene = Scene::enrolled_with("-s max");
    let login = scene.host.login("alice");
    scene.provider.set(json!({"denied_scopes": ["storage.modify:/"]}));
    let refused = login.run("iam-session token -s 'storage.modify:/ storage.read:/'");
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""));
    assert!(refused.stderr.contains("'storage.modify:/'"), "{refused:?}");
    login.run("iam-session token -s storage.read:/").successful();
}

#[test]
fn an_issuer_that_says_nothing_of_scopes_any_more_has_granted_none() {
    let scene = Scene::enrolled_with("-s max");
    let login = scene.host.login("alice");
    scene.provider.fail_with(json!({"fault": "unstated_scope", "at": ["refresh"]}));
    let refused = login.run("iam-session token -s storage.modify:/");
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""), "{refused:?}");
    assert!(refused.stderr.contains("did not grant 'storage.modify:/'"), "{refused:?}");
}

#[test]
fn many_clients_at_once_cost_one_request() {
    let scene = Scene::enrolled();
    let logins: Vec<_> = (0..3).map(|_| scene.host.login("alice")).collect();
    let refreshes = scene.provider.count("refresh");
    // Started in all logins before any is waited for.
    for login in &logins {
        login
            .run("for i in $(seq 20); do iam-session token -s storage.read:/cms >out.$$.$i & done")
            .successful();
    }
    for login in &logins {
        login.run("wait").successful();
        assert_eq!(login.run("cat out.$$.* | sort -u | wc -l").stdout, "1\n");
    }
    assert_eq!(scene.provider.count("refresh"), refreshes + 1);
}

#[test]
fn a_rotated_refresh_token_is_kept() {
    let scene = Scene::enrolled();
    scene.provider.set(json!({"rotate": true}));
    for path in ["a", "b", "c"] {
        let login = scene.host.login("alice");
        login.run(&format!("iam-session token -s storage.read:/{path}")).successful();
        login.close();
    }
    assert_eq!(scene.provider.count("reuse"), 0);
}
