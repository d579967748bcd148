//! How a user comes by a client.

use serde_json::json;

use crate::Row;
use crate::scene::{Scene, filed, scopes};

pub(crate) const ROWS: &[Row] = &[
    ("a realm without policies registers a client, and the login has a token", open),
    ("a realm with Keycloak's own policies refuses, and what helps is said", policies),
    ("an initial access token is enough there", initial_access_token),
    ("a client that wants a proof (PKCE) gives a token", pkce),
];

fn open(scene: &Scene<'_>) {
    scene.forget("alice");
    let enrolled =
        scene.enrol(&scene.open, "alice", "-s 'storage.read:/ storage.modify:/ wlcg' Grid", "enrolled");
    assert_eq!(enrolled["not_granted"], json!(null), "{enrolled}");
    let login = scene.host.login("alice");
    assert_eq!(scopes(&filed(&login)), "openid storage.read:/ wlcg");
    assert_eq!(scene.open.registered_clients().len(), 1);
}

fn policies(scene: &Scene<'_>) {
    scene.forget("alice");
    let said = scene.refused("strict");
    for words in ["Trusted Hosts", "--client-id", "--initial-access-token-file"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

fn initial_access_token(scene: &Scene<'_>) {
    scene.forget("alice");
    let token = scene.strict.initial_access_token();
    scene.host.ssh("alice", &format!("umask 077; echo {token} >token")).successful();
    scene.enrol(
        &scene.strict,
        "alice",
        "--initial-access-token-file token -s storage.read:/ strict",
        "enrolled",
    );
    let login = scene.host.login("alice");
    assert!(scopes(&filed(&login)).contains("storage.read:/"));
}

fn pkce(scene: &Scene<'_>) {
    scene.forget("alice");
    let proof = json!({"pkce.code.challenge.method": "S256"});
    scene.open.add_client("proof", proof, json!({}));
    scene.enrol(&scene.open, "alice", "--client-id proof -s storage.read:/ Grid", "enrolled");
    let login = scene.host.login("alice");
    assert!(scopes(&filed(&login)).contains("storage.read:/"));
}
