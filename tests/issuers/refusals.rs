//! What is said where there is no token.

use serde_json::{Value, json};

use crate::Row;
use crate::scene::{Scene, claims, filed, says};

pub(crate) const ROWS: &[Row] = &[
    ("a realm in the wrong case is told, with the right one", wrong_case),
    ("the URL of the discovery document is told, with the issuer", well_known),
    ("a user without the role offline_access is told so", no_role),
    ("a client that may have no refresh token for good is told so at the enrolment", online),
    ("a client that is disabled is named, and enabled again it gives tokens without an enrolment", disabled),
    ("a secret that was changed is named as that", changed_secret),
];

fn wrong_case(scene: &Scene<'_>) {
    let said = scene.refused(&scene.open.issuer().replace("Grid", "grid"));
    assert!(said.contains(&scene.open.issuer()), "{said}");
}

fn well_known(scene: &Scene<'_>) {
    let url = format!("{}/.well-known/openid-configuration", scene.open.issuer());
    let said = scene.refused(&url);
    assert!(said.contains(&format!("'{}'", scene.open.issuer())), "{said}");
}

fn no_role(scene: &Scene<'_>) {
    scene.forget("bob");
    let error = scene.enrol(&scene.open, "bob", "-s storage.read:/ Grid", "error");
    let said = format!("{} {}", error["error"], error["hint"]);
    for words in ["offline", "administrators"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

fn online(scene: &Scene<'_>) {
    scene.forget("alice");
    scene.open.add_client("online", json!({}), json!({"optionalClientScopes": ["storage.read:/", "wlcg"]}));
    scene.enrol(&scene.open, "alice", "--client-id online -s storage.read:/ Grid", "enrolled");
    let login = scene.host.login("alice");
    let token = filed(&login);
    assert!(claims(&token)["scope"].as_str().unwrap().contains("storage.read:/"));
    let status: Value = serde_json::from_str(&login.run("iam-session status --json").stdout).unwrap();
    let account = &status["accounts"][0];
    let now: u64 = login.run("date +%s").stdout.trim().parse().unwrap();
    // Of the session in the browser.
    assert!(account["enrollment_ends_at"].as_u64().is_some_and(|end| end <= now + 1800), "{status}");
}

fn disabled(scene: &Scene<'_>) {
    scene.forget("alice");
    scene.open.add_client("switched", json!({}), json!({}));
    scene.enrol(&scene.open, "alice", "--client-id switched -s storage.read:/ Grid", "enrolled");
    let login = scene.host.login("alice");
    filed(&login);
    scene.open.change_client("switched", json!({"enabled": false}));
    let refused = login.run("iam-session token -s openid");
    says(&refused, &["disabled", "switched"]);
    scene.open.change_client("switched", json!({"enabled": true}));
    let again = || login.run("iam-session token -s openid").status == 0;
    scene.host.wait_until("a token, without the pause of the agents", again);
}

fn changed_secret(scene: &Scene<'_>) {
    scene.forget("alice");
    let secret = |text: &str| json!({"publicClient": false, "secret": text});
    scene.open.add_client("secretive", json!({}), secret("first"));
    scene.host.ssh("alice", "umask 077; echo first >secret").successful();
    let client = "--client-id secretive --client-secret-file secret -s storage.read:/ Grid";
    scene.enrol(&scene.open, "alice", client, "enrolled");
    let login = scene.host.login("alice");
    filed(&login);
    scene.open.change_client("secretive", secret("second"));
    says(&login.run("iam-session token -s openid"), &["secret", "changed"]);
}
