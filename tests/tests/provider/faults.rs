//! An issuer that fails, in every way that the provider's table of faults knows.

use std::time::Duration;

use serde_json::{Value, json};
use support::{ISSUER, Stuck, wait};

use crate::scene::{Scene, request};

#[test]
fn each_fault_has_its_class() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access");
    for (fault, class) in [
        (json!({"fault": "status", "status": 503}), "busy"),
        (json!({"fault": "status", "status": 429}), "busy"),
        (json!({"fault": "cut"}), "unreachable"),
        (json!({"fault": "lost_answer"}), "unreachable"),
        (json!({"fault": "html"}), "malformed"),
        (json!({"fault": "truncated"}), "malformed"),
        (json!({"fault": "wrong_types"}), "malformed"),
        (json!({"fault": "endless"}), "malformed"),
        (json!({"fault": "redirect", "to": "https://elsewhere.example/"}), "malformed"),
    ] {
        scene.provider.fail_with(fault.clone());
        assert_eq!(scene.helper.refuses(&grant.refresh("openid", "")), class, "{fault}");
        scene.provider.heal();
        scene.helper.get(&grant.refresh("openid", ""));
    }
}

#[test]
fn retry_after_is_passed_on() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access");
    scene.provider.fail_with(json!({"fault": "status", "status": 503, "retry_after": 17, "at": ["refresh"]}));
    assert_eq!(scene.helper.ask(&grant.refresh("openid", ""))["error"]["retry_after"], 17);
    assert_eq!(scene.discover()["answer"], "discovered", "only refreshes fail");
}

#[test]
fn a_fault_may_happen_once() {
    let mut scene = Scene::new();
    scene.provider.fail_with(json!({"fault": "status", "status": 500, "times": 1}));
    scene.helper.refuses(&discover());
    scene.helper.get(&discover());
}

#[test]
fn a_provider_that_is_down_comes_back_as_it_was() {
    let mut scene = Scene::new();
    let grant = scene.enroll("openid offline_access");
    scene.provider.stop();
    assert_eq!(scene.helper.refuses(&grant.refresh("openid", "")), "unreachable");
    scene.provider.restart();
    scene.helper.get(&grant.refresh("openid", ""));
}

#[test]
fn a_wrong_certificate_is_out_of_reach() {
    let mut scene = Scene::new();
    for name in ["expired", "another_name"] {
        scene.provider.show_certificate(name);
        assert_eq!(scene.helper.refuses(&discover()), "unreachable", "{name}");
    }
    scene.provider.show_certificate("tls");
    scene.helper.get(&discover());
}

#[test]
fn an_issuer_that_says_nothing_is_given_up() {
    for stuck in [Stuck::Connecting, Stuck::Handshaking] {
        let mut scene = Scene::new();
        scene.provider.quiet(&scene.host, stuck);
        let start = wait::now();
        assert_eq!(scene.helper.refuses(&discover()), "unreachable", "{stuck:?}");
        assert!(start.elapsed() < Duration::from_secs(45), "{stuck:?}: {:?}", start.elapsed());
        scene.provider.restart();
        scene.helper.get(&discover());
    }
}

fn discover() -> Value {
    request("discover", json!({"issuer": ISSUER}))
}
