//! Clients of every kind at a real provider, and whom what they are granted stands for.

use serde_json::{Value, json};

use crate::scene::{Grant, Scene, registration, request, text};

const SCOPE: &str = "openid offline_access profile storage.read:/";

/// Registers a client that authenticates so, where the issuer lets it.
fn registered_as(scene: &mut Scene, auth: &str) -> (Value, Value) {
    let endpoints = scene.discover()["endpoints"].take();
    let mut registration = registration(&endpoints, SCOPE);
    registration["auth"] = auth.into();
    let client = scene.helper.get(&registration)["client"].take();
    (endpoints, client)
}

#[test]
fn an_issuer_that_takes_one_method_gets_a_client_of_that() {
    let mut scene = Scene::new();
    for (auth, has_secret) in [("client_secret_post", true), ("none", false)] {
        scene.provider.set(json!({"auth_methods": [auth]}));
        assert_eq!(scene.discover()["auth_methods"], json!([auth]));
        let (endpoints, client) = registered_as(&mut scene, auth);
        assert_eq!((&client["auth"], client["client_secret"].is_string()), (&json!(auth), has_secret));
        let refused = registration(&endpoints, SCOPE);
        assert_eq!(scene.helper.refuses(&refused), "refused", "Basic, where it is {auth}");
        let grant = scene.enroll_client(endpoints, client, SCOPE);
        assert_eq!(scene.helper.get(&grant.refresh("storage.read:/a", ""))["scope"], "storage.read:/a");
    }
}

#[test]
fn a_registration_that_wants_a_token_takes_the_right_one() {
    let mut scene = Scene::new();
    scene.provider.set(json!({"initial_access_token": "open-sesame"}));
    let endpoints = scene.discover()["endpoints"].take();
    let mut registration = registration(&endpoints, SCOPE);
    assert_eq!(scene.helper.refuses(&registration), "registration_closed");
    registration["initial_access_token"] = "open-barley".into();
    let reply = scene.helper.ask(&registration);
    assert_eq!(reply["error"]["class"], "registration_closed");
    assert!(!reply.to_string().contains("barley"), "{reply}");
    registration["initial_access_token"] = "open-sesame".into();
    assert!(scene.helper.get(&registration)["client"]["client_id"].is_string());
}

#[test]
fn a_public_client_that_is_there_is_as_good_as_a_new_one() {
    let mut scene = Scene::new();
    let endpoints = scene.discover()["endpoints"].take();
    let client = json!({"client_id": "public-dc-client", "auth": "none"});
    let fields = json!({"endpoint": endpoints["device_authorization"], "client": client,
                        "scope": "openid offline_access storage.modify:/"});
    assert_eq!(
        scene.helper.refuses(&request("authorize_device", fields)),
        "scope_refused",
        "the client lacks it"
    );
    let grant = scene.enroll_client(endpoints, client, SCOPE);
    let token = scene.helper.get(&grant.refresh("storage.read:/", ""));
    assert_eq!(scene.provider.verify(text(&token["access_token"]))["sub"], "alice");
    assert_eq!(scene.provider.count("registration"), 0);
}

#[test]
fn a_revocation_by_form_that_is_led_astray_is_confirmed() {
    let mut scene = Scene::new();
    let endpoints = scene.discover()["endpoints"].take();
    let grant =
        scene.enroll_client(endpoints, json!({"client_id": "public-dc-client", "auth": "none"}), SCOPE);
    let fields = json!({"endpoint": grant.endpoints["revocation"], "client": grant.client,
                        "refresh_token": grant.token["refresh_token"]});
    assert_eq!(scene.helper.get(&request("revoke", fields))["answer"], "done");
    assert_eq!((scene.provider.count("revocation_led_astray"), scene.provider.count("revocation")), (1, 1));
    assert_eq!(scene.helper.refuses(&grant.refresh("openid", "")), "credential_dead");
}

fn claim(scene: &mut Scene, grant: &Grant, scope: &str, claim: &str) -> Value {
    let token = scene.helper.get(&grant.refresh(scope, ""));
    let userinfo = scene.discover()["userinfo"].take();
    let fields = json!({"endpoint": userinfo, "access_token": token["access_token"], "claim": claim});
    scene.helper.get(&request("userinfo", fields))["values"].take()
}

#[test]
fn the_userinfo_endpoint_tells_what_the_scope_lets_it() {
    let mut scene = Scene::new();
    let grant = scene.enroll(SCOPE);
    assert_eq!(claim(&mut scene, &grant, "openid profile", "preferred_username"), json!(["alice"]));
    assert_eq!(claim(&mut scene, &grant, "openid profile", "groups"), json!(["/wlcg", "/wlcg/pilots"]));
    assert_eq!(claim(&mut scene, &grant, "openid", "preferred_username"), json!([]));
    assert_eq!(claim(&mut scene, &grant, "openid", "sub"), json!(["alice"]));
    let fields =
        json!({"endpoint": "https://iam.example/userinfo", "access_token": "canary", "claim": "sub"});
    let reply = scene.helper.ask(&request("userinfo", fields));
    assert_eq!(reply["error"]["class"], "refused");
    assert!(!reply.to_string().contains("canary"), "{reply}");
}

#[test]
fn a_refresh_that_names_no_scope_tells_all_that_was_granted() {
    let mut scene = Scene::new();
    let grant = scene.enroll(SCOPE);
    let fields = json!({"endpoint": grant.endpoints["token"], "client": grant.client,
                        "refresh_token": grant.token["refresh_token"]});
    let adopted = scene.helper.get(&request("adopt", fields));
    assert_eq!(adopted["scope"], "offline_access openid profile storage.read:/");
    assert_eq!(scene.helper.refuses(&grant.refresh("", "")), "refused", "any other refresh names its own");
}
