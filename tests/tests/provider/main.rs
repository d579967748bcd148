//! The helper and the command line against a real OpenID provider that answers as INDIGO IAM does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

mod answers;
mod clients;
mod faults;
mod scene;

use std::path::Path;
use std::time::Duration;

use scene::{Scene, poll, request, text};
use serde_json::json;
use support::{Enrolling, ISSUER, wait};

const ANY_AUDIENCE: &str = "https://wlcg.cern.ch/jwt/v1/any";

#[test]
fn the_helper_discovers_a_real_provider() {
    let mut scene = Scene::new();
    let found = scene.discover();
    assert_eq!(found["issuer"], ISSUER);
    assert_eq!(found["endpoints"]["token"], "https://iam.example/token");
    assert_eq!(found["endpoints"]["registration"], "https://iam.example/iam/api/client-registration");
    assert!(text(&found["scopes_supported"]).contains("storage.read:/"));
}

#[test]
fn restricted_scopes_are_missing_from_the_client() {
    let mut scene = Scene::new();
    scene.provider.set(json!({"restricted_scopes": ["storage.modify:/"]}));
    let endpoints = scene.discover()["endpoints"].take();
    let registered = scene.register(&endpoints, "openid storage.read:/ storage.modify:/");
    assert_eq!(registered["scope"], "openid storage.read:/");
}

#[test]
fn the_device_flow_gives_a_token_once_it_is_approved() {
    let mut scene = Scene::new();
    let endpoints = scene.discover()["endpoints"].take();
    let client = scene.register(&endpoints, "openid offline_access storage.read:/")["client"].take();
    let device = scene.device_code(&endpoints, &client, "openid offline_access storage.read:/");
    assert_eq!(device["interval"], 5, "IAM names none");
    let poll = poll(&endpoints, &client, &device);
    assert_eq!(scene.helper.refuses(&poll), "authorization_pending");
    scene.provider.approve(text(&device["user_code"]), "alice");
    let token = scene.helper.get(&poll);
    assert_eq!(scene.provider.verify(text(&token["access_token"]))["sub"], "alice");
    assert!(token["refresh_token"].is_string());
    assert_eq!(scene.provider.count("poll"), 2);
}

#[test]
fn a_browser_approves_on_the_provider_s_pages() {
    let mut scene = Scene::new();
    let endpoints = scene.discover()["endpoints"].take();
    let client = scene.register(&endpoints, "openid offline_access storage.read:/")["client"].take();
    let device = scene.device_code(&endpoints, &client, "openid offline_access storage.read:/");
    let (uri, code) = (text(&device["verification_uri"]), text(&device["user_code"]));
    assert_eq!(scene.provider.approve_in_browser(&scene.host, uri, code, "bob"), "Sign-in Success");
    let token = scene.helper.get(&poll(&endpoints, &client, &device));
    assert!(
        text(&token["scope"]).contains("storage.read:/") && token["refresh_token"].is_string(),
        "{token}"
    );
    assert_eq!(scene.provider.verify(text(&token["access_token"]))["sub"], "bob");
}

#[test]
fn a_refusal_reaches_the_device() {
    let mut scene = Scene::new();
    let endpoints = scene.discover()["endpoints"].take();
    let client = scene.register(&endpoints, "openid")["client"].take();
    let device = scene.device_code(&endpoints, &client, "openid");
    scene.provider.deny(text(&device["user_code"]));
    assert_eq!(scene.helper.refuses(&poll(&endpoints, &client, &device)), "access_denied");
}

#[test]
fn a_refresh_narrows_scope_and_audience() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access wlcg storage.read:/ wlcg.groups");
    let token = scene.helper.get(&grant.refresh("storage.read:/a wlcg.groups", "https://se.example"));
    assert_eq!(token["scope"], "storage.read:/a wlcg.groups");
    let claims = scene.provider.verify(text(&token["access_token"]));
    assert_eq!(claims["scope"], "storage.read:/a wlcg.groups");
    assert_eq!(
        (claims["aud"].clone(), claims["wlcg.ver"].clone()),
        (json!("https://se.example"), json!("1.0"))
    );
    assert_eq!(claims["wlcg.groups"][0], "/wlcg");
    assert_eq!(claims["nbf"], claims["iat"]);

    let token = scene.helper.get(&grant.refresh("storage.read:/", ""));
    assert_eq!(scene.provider.verify(text(&token["access_token"]))["aud"], ANY_AUDIENCE);
}

#[test]
fn a_refresh_does_not_widen() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access storage.read:/a");
    for scope in ["storage.read:/", "storage.read:/ab", "storage.modify:/a"] {
        assert_eq!(scene.helper.refuses(&grant.refresh(scope, "")), "scope_refused", "{scope}");
    }
}

#[test]
fn a_scope_that_policy_denies_is_missing_from_the_token() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access storage.read:/ storage.modify:/");
    scene.provider.set(json!({"denied_scopes": ["storage.modify:/"]}));
    let token = scene.helper.get(&grant.refresh("storage.read:/ storage.modify:/", ""));
    assert_eq!(token["scope"], "storage.read:/");
}

#[test]
fn a_refresh_token_is_kept_or_rotated_as_the_issuer_likes() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access");
    let old = grant.token["refresh_token"].clone();
    let kept = scene.helper.get(&grant.refresh("openid", ""));
    assert!(kept["refresh_token"].is_null() || kept["refresh_token"] == old);

    scene.provider.set(json!({"rotate": true}));
    let new = scene.helper.get(&grant.refresh("openid", ""))["refresh_token"].take();
    assert_ne!(new, old);
    assert_eq!(scene.provider.count("reuse"), 0);
    // The old one again: the issuer ends the whole family.
    assert_eq!(scene.helper.refuses(&grant.refresh("openid", "")), "credential_dead");
    assert_eq!(scene.helper.refuses(&grant.refresh_with(&new, "openid", "")), "credential_dead");
    assert_eq!(scene.provider.count("reuse"), 1);
}

#[test]
fn a_revoked_refresh_token_is_dead() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access");
    let fields = json!({"endpoint": grant.endpoints["revocation"], "client": grant.client,
                        "refresh_token": grant.token["refresh_token"]});
    assert_eq!(scene.helper.get(&request("revoke", fields))["answer"], "done");
    assert_eq!(scene.helper.refuses(&grant.refresh("openid", "")), "credential_dead");
}

#[test]
fn a_deregistered_client_is_unknown() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access");
    let fields = json!({"registration_client_uri": grant.client["registration_client_uri"],
                        "registration_access_token": grant.client["registration_access_token"]});
    assert_eq!(scene.helper.get(&request("deregister", fields))["answer"], "done");
    assert_eq!(scene.helper.refuses(&grant.refresh("openid", "")), "client_gone");
    assert_eq!(scene.provider.count("deregistration"), 1);
}

#[test]
fn a_dead_refresh_token_is_not_repeated_in_the_message() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access");
    scene.provider.revoke_user("alice");
    let reply = scene.helper.ask(&grant.refresh("openid", ""));
    assert_eq!(reply["error"]["class"], "credential_dead");
    assert!(!reply.to_string().contains(text(&grant.token["refresh_token"])), "{reply}");
}

#[test]
fn a_short_life_ends() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access");
    scene.provider.set(json!({"access_token_lifetime": 1}));
    let token = scene.helper.get(&grant.refresh("openid", ""));
    assert_eq!(token["expires_in"], 1);
    let provider = &scene.provider;
    wait::within(Duration::from_secs(5), "the token's end", || {
        !provider.accepts(text(&token["access_token"]))
    });
}

#[test]
fn an_independent_reader_accepts_the_token() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access storage.read:/ wlcg");
    let token = scene.helper.get(&grant.refresh("storage.read:/data", ""));
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/read_token.py");
    scene.host.write("/mnt/read_token.py", std::fs::read(reader).unwrap(), 0o644);
    let read = "/mnt/tools/python/bin/python /mnt/read_token.py";
    let output = scene.host.as_root().run_with_input(read, text(&token["access_token"]).as_bytes());
    assert_eq!(output.successful().stdout, "storage.read:/data/x allowed, storage.read:/other denied\n");
}

#[test]
fn the_command_line_enrols_up_to_the_agent() {
    let scene = Scene::new();
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    let status = enrolling.event("error");
    assert!(text(&status["error"]).contains("agent"), "{status}");
    assert_eq!(enrolling.status(), Some(4));
    assert_eq!(scene.provider.count("registration"), 0, "nothing is registered that nobody would keep");
}
