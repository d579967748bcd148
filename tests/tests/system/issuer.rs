//! An issuer that misbehaves: each answer has its exit code and one clear line, in `token` and in `status`; the
//! enrolment is kept, the token that is cached goes on being served, and no secret is in any output.

use serde_json::{Value, json};
use support::{Login, Output};

use crate::scene::{Scene, token_file};

const RECORD: &str = "/home/alice/.local/state/iam-session/wlcg.cred";
/// Where the agents note that the issuer is to be spared. Without them the next answer can be tried at once.
const FORGIVE: &str =
    "rm -f /run/iam-session/20001/iam-session/*.failure /home/alice/.local/state/iam-session/*.failure";

/// An answer of the token endpoint.
fn answer(status: u16, body: &str) -> Value {
    json!({"fault": "status", "status": status, "body": body, "at": ["refresh"]})
}

fn after(status: u16, retry_after: &str) -> Value {
    json!({"fault": "status", "status": status, "retry_after": retry_after, "at": ["refresh"]})
}

fn fault(name: &str) -> Value {
    json!({"fault": name, "at": ["refresh"], "to": "https://elsewhere.example/token"})
}

fn fields(values: Value) -> Value {
    json!({"fault": "spoiled", "values": values, "at": ["refresh"]})
}

/// Asks for a token that is not cached while the issuer answers so, and gives what was told.
fn ask(scene: &Scene, login: &Login, fault: Value, number: usize) -> (Output, String) {
    scene.host.as_root().run(FORGIVE).successful();
    scene.provider.fail_with(fault);
    let token = login.run(&format!("iam-session token -s storage.read:/{number}"));
    let status = login.run("iam-session status");
    scene.provider.heal();
    (token, format!("{}{}", status.stdout, status.stderr))
}

/// What holds whatever an issuer says.
fn nothing_is_lost(scene: &Scene, login: &Login, token: &Output, status: &str, what: &Value) {
    assert_eq!((token.stdout.as_str(), token.stderr.lines().count()), ("", 1), "{what}: {token:?}");
    for text in [&token.stderr, status] {
        let printable = |c: char| c == '\n' || !c.is_control();
        assert!(text.chars().all(printable), "{what}: {text:?}");
        assert!(!text.contains("eyJ"), "{what}: a token in {text}");
    }
    assert!(scene.host.exists(RECORD), "{what}");
    assert!(scene.provider.accepts(&login.read(&token_file(login))), "{what}");
}

fn try_all(rows: &[(Value, i32, &str)]) {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    for (number, (fault, exit, said)) in rows.iter().enumerate() {
        let (token, status) = ask(&scene, &login, fault.clone(), number);
        assert_eq!(token.status, *exit, "{fault}: {token:?}");
        assert!(token.stderr.contains(said), "{fault}: {token:?}");
        assert!(status.contains(said), "{fault}: {status}");
        nothing_is_lost(&scene, &login, &token, &status, fault);
    }
    scene.host.as_root().run(FORGIVE).successful();
    login.run("iam-session token -s storage.read:/after").successful();
}

#[test]
fn one_that_is_busy_or_broken_is_told_and_spared() {
    try_all(&[
        (answer(500, ""), 7, "500"),
        (answer(502, "<html><h1>Bad Gateway</h1></html>"), 7, "502"),
        (after(429, "30"), 7, "429"),
        (after(503, "Wed, 21 Oct 2099 07:28:00 GMT"), 7, "503"),
        (after(503, "31536000"), 7, "503"),
        (after(503, "soon, I hope"), 7, "503"),
        (answer(404, ""), 1, "404"),
        (fault("cut"), 7, "iam.example"),
        (fault("lost_answer"), 7, "iam.example"),
        (fault("html"), 1, "iam.example"),
        (answer(200, ""), 1, "iam.example"),
        (fault("truncated"), 1, "iam.example"),
        (fault("wrong_types"), 1, "iam.example"),
        (fault("endless"), 1, "iam.example"),
        (fault("redirect"), 1, "iam.example"),
    ]);
}

#[test]
fn one_that_refuses_says_why_and_the_enrolment_is_kept() {
    let text = |error: &str, description: &str| {
        json!({"error": error, "error_description": description}).to_string()
    };
    try_all(&[
        (answer(401, &text("unauthorized", "User alice is not active.")), 5, "alice is not active"),
        (answer(401, &text("invalid_client", "Client is suspended")), 5, "suspended"),
        (
            answer(400, &text("invalid_grant", "User alice needs to sign AUP for this organization")),
            5,
            "to be signed, at https://iam.example/",
        ),
        (answer(401, &text("invalid_token", "Invalid refresh token: eyJhbGciOiJub25lIn0.e30.")), 3, "enrol"),
        (answer(400, &text("invalid_grant", "\u{1b}[2J\u{202e}\u{7}gone")), 3, "enrol"),
        (answer(401, &text("unauthorized", "Bad credentials")), 3, "enrol"),
    ]);
}

#[test]
fn a_life_that_no_token_has_is_not_believed() {
    try_all(&[
        (fields(json!({"expires_in": 0})), 1, "expires_in"),
        (fields(json!({"expires_in": -1})), 1, "expires_in"),
    ]);
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    // What the token itself says is the limit.
    for (number, life) in
        [json!(9_223_372_036_854_775_808_u64), json!("soon"), json!("3600")].iter().enumerate()
    {
        scene.provider.fail_with(fields(json!({"expires_in": life})));
        let command = format!("iam-session token --json -s storage.read:/life{number}");
        let token: Value = serde_json::from_str(&login.run(&command).successful().stdout).unwrap();
        scene.provider.heal();
        let claims = scene.provider.verify(token["access_token"].as_str().unwrap());
        let (told, true_end) = (token["expires_at"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        assert!(told <= true_end && told + 5 > true_end, "{life}: {told} {true_end}");
    }
}

#[test]
fn a_scope_that_it_refuses_is_named_and_says_nothing_about_the_next() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let body =
        json!({"error": "invalid_scope", "error_description": "Invalid scope: storage.read:/x"}).to_string();
    let (token, status) = ask(&scene, &login, answer(400, &body), 0);
    assert_eq!(token.status, 5, "{token:?}");
    nothing_is_lost(&scene, &login, &token, &status, &json!(body));
    assert!(status.contains("all is well"), "{status}");
    login.run("iam-session token -s storage.read:/y").successful();
}

#[test]
fn another_certificate_is_out_of_reach() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    for (number, name) in ["expired", "another_name"].into_iter().enumerate() {
        scene.host.as_root().run(FORGIVE).successful();
        scene.provider.show_certificate(name);
        let token = login.run(&format!("iam-session token -s storage.read:/{number}"));
        let status = login.run("iam-session status").stdout;
        assert_eq!(token.status, 7, "{name}: {token:?}");
        assert!(token.stderr.contains("certificate"), "{name}: {token:?}");
        nothing_is_lost(&scene, &login, &token, &status, &json!(name));
    }
    scene.provider.show_certificate("tls");
    scene.host.as_root().run(FORGIVE).successful();
    login.run("iam-session token -s storage.read:/good").successful();
}

#[test]
fn one_that_asks_for_a_year_of_peace_is_asked_again_within_the_hour() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    ask(&scene, &login, after(503, "31536000"), 0);
    let status: Value = serde_json::from_str(&login.run("iam-session status --json").stdout).unwrap();
    let error = &status["accounts"][0]["last_error"];
    let wait = error["next_attempt_at"].as_u64().unwrap() - error["at"].as_u64().unwrap();
    // An hour, and a quarter of it to spread the hosts.
    assert!((3600..=4500).contains(&wait), "{wait}");
}

/// A record of 64 KiB was once too large, and the refresh token that had come in the place of another was lost with it.
#[test]
fn a_refresh_token_of_any_length_is_kept_when_it_is_replaced() {
    let scene = Scene::new();
    let registration = json!({"registration_access_token": "\"".repeat(16 * 1024)});
    scene.provider.fail_with(json!({"fault": "spoiled", "values": registration, "at": ["registration"]}));
    scene.host.enroll(&scene.provider, "alice");
    scene.provider.heal();
    let login = scene.host.login("alice");
    scene.provider.set(json!({"rotate": true, "refresh_token_padding": 16_000}));
    for path in ["a", "b", "c"] {
        let token = login.run(&format!("iam-session token -s storage.read:/{path}")).successful().stdout;
        assert!(scene.provider.accepts(&token), "{path}");
    }
    let size = scene.host.as_root().run(&format!("stat -c %s {RECORD}")).stdout;
    assert!(size.trim().parse::<u64>().unwrap() > 64 * 1024, "{size}");
    assert_eq!(scene.provider.count("reuse"), 0);
}
