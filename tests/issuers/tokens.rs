//! What is in the tokens.

use serde_json::json;

use crate::Row;
use crate::scene::{Scene, claims, filed, says, scopes};

pub(crate) const ROWS: &[Row] = &[
    ("a token has the scope that was asked for, and no other", narrow),
    ("a scope that the client lacks is refused by name", lacking),
    ("an audience that has a scope is in the token, and one that has none is refused", audience),
    ("many tokens keep the enrolment, with a new refresh token each", rotation),
    ("single-use refresh tokens are never used twice", single_use),
    ("a token too large for its readers is said to be that", large),
];

fn enrolled(scene: &Scene<'_>) {
    scene.forget("alice");
    scene.enrol(&scene.open, "alice", "-s 'storage.read:/ storage.modify:/ wlcg' Grid", "enrolled");
}

fn narrow(scene: &Scene<'_>) {
    enrolled(scene);
    let login = scene.host.login("alice");
    let token = login.run("iam-session token -s storage.modify:/").successful().stdout;
    let own = scopes(&token);
    assert!(own.contains("storage.modify:/") && !own.contains("storage.read"), "{own}");
    assert!(!scopes(&filed(&login)).contains("storage.modify"));
}

fn lacking(scene: &Scene<'_>) {
    let login = scene.host.login("alice");
    // Keycloak knows no paths below a scope's own.
    let refused = login.run("iam-session token -s storage.read:/a/b");
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""), "{refused:?}");
    says(&refused, &["storage.read:/a/b"]);
}

fn audience(scene: &Scene<'_>) {
    scene.forget("alice");
    scene.open.add_audience_scope("aud-se", "https://se.example");
    scene.open.configure("[audience_scopes]\n\"https://se.example\" = \"aud-se\"\n");
    scene.enrol(&scene.open, "alice", "-s storage.read:/ Grid", "enrolled");
    let login = scene.host.login("alice");
    let token = login.run("iam-session token -s storage.read:/ --aud https://se.example").successful().stdout;
    assert!(claims(&token)["aud"].to_string().contains("https://se.example"), "{}", claims(&token));
    let refused = login.run("iam-session token -s storage.read:/ --aud https://other.example");
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""), "{refused:?}");
    says(&refused, &["https://other.example"]);
}

/// Tokens of a login each, none of which has a cache to take one from.
fn many(scene: &Scene<'_>, count: usize) {
    for _ in 0..count {
        let login = scene.host.login("alice");
        for scope in
            ["storage.read:/", "storage.modify:/", "wlcg", "storage.read:/ wlcg", "storage.modify:/ wlcg"]
        {
            login.run(&format!("iam-session token -s '{scope}'")).successful();
        }
        login.close();
    }
}

fn rotation(scene: &Scene<'_>) {
    enrolled(scene);
    many(scene, 5);
}

fn single_use(scene: &Scene<'_>) {
    scene.open.change(json!({"revokeRefreshToken": true, "refreshTokenMaxReuse": 0}));
    enrolled(scene);
    many(scene, 5);
    scene.open.change(json!({"revokeRefreshToken": false}));
}

fn large(scene: &Scene<'_>) {
    scene.forget("alice");
    let mapper = json!({"name": "entitlements", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "entitlements", "claim.value": "e".repeat(6000), "access.token.claim": "true",
                   "jsonType.label": "String"}});
    scene.open.add_client("large", json!({}), json!({"protocolMappers": [mapper]}));
    scene.enrol(&scene.open, "alice", "--client-id large -s storage.read:/ Grid", "enrolled");
    let login = scene.host.login("alice");
    let status = login.run("iam-session status");
    says(&status, &["4096"]);
    let token = login.run("iam-session token -s storage.read:/").successful().stdout;
    assert!(token.len() > 4096);
}
